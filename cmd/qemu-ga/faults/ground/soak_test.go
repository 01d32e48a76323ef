package ground_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze/freezetest"
)

// The environment variables of TestSoak: how many rounds, and the seed of an
// earlier run that is to be repeated.
const (
	roundsVariable = "SOAK_ROUNDS"
	seedVariable   = "SOAK_SEED"
)

// shortSoak is how many rounds there are if nobody says.
const shortSoak = 15

// TestSoak freezes, kills and thaws at random moments: in the sync, in the
// hook, in the window, while frozen, in the thaw. After each round every
// filesystem takes writes, and the hook has been told to go on.
func TestSoak(t *testing.T) {
	freezetest.Need(t)
	rounds, seed := shortSoak, uint64(time.Now().UnixNano())
	if text := os.Getenv(roundsVariable); text != "" {
		var err error
		rounds, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("%d rounds; repeat them with %s=%d", rounds, seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	s := &scene{T: t, probes: make(map[string]*prober)}
	t.Cleanup(s.clear)
	s.mount("ext4", "/mnt/a")
	s.mount("xfs", "/mnt/b")
	s.mount("btrfs", "/mnt/c")
	_ = os.Remove(hookCalls)
	s.hook("true")
	s.agent = newAgent(t, ours, append([]string{shortly}, withHook...))
	s.agent.start()
	counts := make(map[string]int)
	for round := range rounds {
		c := soakChoices[random.IntN(len(soakChoices))]
		pause := time.Duration(random.IntN(c.within+1)) * time.Millisecond
		at := fmt.Sprintf("round %d: %s after %v", round, c.name, pause)
		counts[c.name]++
		s.host = dial(s.agent)
		s.host.send(doFreeze)
		time.Sleep(pause) // the moment of the fault, not a wait for anything
		c.do(s)
		s.recovered(at)
	}
	t.Logf("%v; not one missed thaw", counts)
}

// soakChoices are what can happen to a freeze, at a moment within so many
// milliseconds after its request.
var soakChoices = []struct {
	name   string
	within int
	do     func(*scene)
}{
	{"thaw", 100, func(s *scene) { s.host.send(doThaw) }},
	{"agent killed", 100, func(s *scene) { s.die(unix.SIGKILL) }},
	{"agent told to stop", 100, func(s *scene) { s.die(unix.SIGTERM) }},
	{"freezer killed", 100, func(s *scene) { s.signalFreezers(unix.SIGKILL) }},
	{"everything killed", 100, func(s *scene) {
		s.signalFreezers(unix.SIGSTOP)
		s.die(unix.SIGKILL)
		s.signalFreezers(unix.SIGKILL)
	}},
	{"freezer stopped", 100, func(s *scene) { s.signalFreezers(unix.SIGSTOP) }},
	{"agent killed in the thaw", 60, func(s *scene) {
		s.host.send(doThaw)
		s.die(unix.SIGKILL)
	}},
	{"host vanishes", 60, func(s *scene) { s.host.close() }},
	{"host loses patience", 60, func(s *scene) { s.host.send(doSync) }},
	{"deadline", 60, func(*scene) {}},
}

// die ends the agent by a signal.
func (s *scene) die(signal unix.Signal) {
	s.Helper()
	s.agent.signal(signal)
	require.True(s, s.agent.ended(soon), "it does not end")
}

// revive starts an agent that has ended, as often as its unit would. A child
// that was being started as the agent was killed has its socket for a moment,
// and who dials then is never answered.
func (s *scene) revive() {
	s.Helper()
	if !s.agent.ended(0) {
		return
	}
	for range 5 {
		if s.agent.ended(0) {
			s.agent.start()
		}
		if h := tryDial(s.agent, soon); h != nil && h.ask(doPing) == pingReply {
			h.close()
			return
		}
	}
	s.Fatal("the agent does not start, or is deaf")
}

// signalFreezers sends a signal to the freezer, if there is one yet.
func (s *scene) signalFreezers(signal unix.Signal) {
	for _, pid := range freezers(s.T) {
		_ = unix.Kill(pid, signal) // it may have ended
	}
}

// recovered requires that all is as before the round: at the latest a moment
// after the deadline, or after the restart that a dead agent gets.
func (s *scene) recovered(at string) {
	s.Helper()
	s.revive()
	for _, dir := range s.dirs {
		s.writes(at, dir, shortlyByBoth)
	}
	s.host = dial(s.agent)
	require.Eventually(s, func() bool {
		s.host.ask(doThaw) // the number, or the news
		return s.host.ask(doStatus) == "thawed"
	}, soon, time.Millisecond, at)
	for _, dir := range s.dirs {
		s.writes(at, dir, shortlyByBoth)
	}
	require.NotContains(s, s.calls(), "freeze freeze", at)
	require.False(s, strings.HasSuffix(s.calls(), "freeze"), "%s: the hook was not told to go on", at)
	_ = os.Remove(hookCalls)
	s.host.close()
}

// writes requires that a filesystem takes writes, and says whether one that
// does not is frozen or only slow.
func (s *scene) writes(at, dir string, limit time.Duration) {
	s.Helper()
	if !freezetest.Writable(dir, limit) {
		thawed := freezetest.Thaw(dir)
		wrote := os.WriteFile(dir+"/last", nil, 0o600)
		require.Fail(s, "it takes no write", "%s: %s: thaw by hand: %v; then: %v; freezers: %v", at, dir, thawed, wrote, freezers(s.T))
	}
}
