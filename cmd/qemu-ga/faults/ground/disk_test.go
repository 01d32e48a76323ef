package ground_test

import (
	"os"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"
)

// diskFaults are disks that stop answering.
var diskFaults = []fault{
	{
		name: "disk hangs before the freeze", did: "one of three disks completes no write; freeze",
		own:    []string{"--fsfreeze-stall-timeout=2"},
		before: (*scene).mountHung,
		do: func(s *scene) string {
			s.hang()
			return s.syncHung()
		},
		limit: time.Second, told: "has completed no write for 2s, so it is hung; nothing was frozen",
	},
	{
		name: "disk hangs in the freeze", did: "one of three disks stops just before its FIFREEZE; freeze, without a sync before",
		own:    []string{"--fsfreeze-stall-timeout=3", "--fsfreeze-presync=false"},
		before: (*scene).mountHung,
		do: func(s *scene) string {
			s.hang()
			return s.freezeHung()
		},
		limit: 1100 * time.Millisecond, told: "cannot freeze " + hungDir + ": its disk completes nothing; look at the disk; everything else was thawed",
	},
	{
		name: "disk hangs in the hook", did: "one of three disks stops when the hook has written to it; freeze",
		options: withHook, own: []string{"--fsfreeze-stall-timeout=2"},
		before: hangInHook,
		do:     (*scene).syncHung,
		limit:  time.Second, told: "has completed no write for 2s, so it is hung; nothing was frozen",
	},
	{
		name: "disk pauses in the freeze", did: "one of three disks stops just before its FIFREEZE, and goes on after 2 s; freeze, without a sync before; thaw",
		own: []string{"--fsfreeze-presync=false"}, before: (*scene).mountHung,
		do: func(s *scene) string {
			s.hang()
			s.host.send(doFreeze)
			time.Sleep(2 * time.Second) // the pause
			require.NoError(s, s.disk.Resume())
			return join("freeze: "+s.host.reply(5*time.Second), s.ask("thaw", doThaw))
		},
		limit: watchTime, told: "freeze: 3; thaw: 3",
	},
	{
		name: "disk is slow in the freeze", did: "one of three disks takes 2 ms for each 4 KiB, with 4 MiB to be written; freeze, without a sync before; thaw",
		own: []string{"--fsfreeze-presync=false"}, before: (*scene).mountHung,
		do: func(s *scene) string {
			require.NoError(s, os.WriteFile(filepath.Join(hungDir, "dirty"), make([]byte, 4<<20), 0o600))
			require.NoError(s, s.disk.Slow(2*time.Millisecond))
			s.host.send(doFreeze)
			answer := "freeze: " + s.host.reply(soon)
			answer = join(answer, s.askIn("thaw", doThaw, soon))
			require.NoError(s, s.disk.Slow(0))
			return answer
		},
		limit: soon, told: "freeze: 3; thaw: 3",
	},
	{
		name: "disk hangs while frozen", did: "one of three disks stops; thaw",
		before: (*scene).mountHung,
		do: func(s *scene) string {
			s.freeze()
			s.hangFrozen()
			answer := s.askIn("thaw", doThaw, 5*time.Second)
			s.settle()
			if s.agent.kind == reference {
				return answer
			}
			require.Equal(s, "thawed", s.host.ask(doStatus))
			require.NoError(s, s.disk.Resume())
			s.freezeAgain()
			return answer
		},
		limit: 2 * time.Second, told: "thaw: ",
	},
}

// syncHung freezes with a disk that hangs in a sync, so that nothing is frozen,
// and looks whether the agent serves others meanwhile.
func (s *scene) syncHung() string {
	s.Helper()
	s.host.send(doFreeze)
	ping := "ping meanwhile: " + dial(s.agent).askFor(doPing, time.Second)
	require.True(s, s.agent.kind == reference || s.host.unread() == 0, "the ping is answered after the freeze")
	answer := join("freeze: "+s.host.reply(5*time.Second), ping, s.status())
	s.settle()
	if s.agent.kind == reference {
		return answer
	}
	require.Contains(s, answer, "ping meanwhile: {}")
	require.Contains(s, answer, hungDir)
	require.Contains(s, answer, "status: thawed")
	require.NoError(s, s.disk.Resume())
	s.freezeAgain()
	return answer
}

// freezeHung freezes with a disk that hangs in its FIFREEZE, and looks whether the agent
// serves others meanwhile.
func (s *scene) freezeHung() string {
	s.Helper()
	s.host.send(doFreeze)
	other := tryDial(s.agent, s.agent.patience(time.Second))
	ping := "ping meanwhile: " + other.askFor(doPing, time.Second)
	require.True(s, s.agent.kind == reference || s.host.unread() == 0, "the ping is answered after the freeze")
	answer := join("freeze: "+s.host.reply(6*time.Second), ping)
	s.settle()
	if s.agent.kind == reference {
		return answer
	}
	require.Contains(s, answer, "ping meanwhile: {}")
	require.Contains(s, s.host.ask(doFreeze), "has not come back from the kernel")
	s.reports(`"stuck"`)
	require.NoError(s, s.disk.Resume())
	s.freezeAgain()
	return answer
}

// hangMark is how a hook tells that the disk is to hang, and waits until it
// does.
const hangMark = "/hang"

// hangInHook has the disk of the third filesystem hang at the end of the hook.
func hangInHook(s *scene) {
	s.Helper()
	s.mountHung()
	_ = os.Remove(hangMark)
	s.hook("[ $1 = thaw ] || [ -e " + hangMark + ".done ] || { echo dirty >" + hungDir + "/last; touch " + hangMark + "; while [ -e " + hangMark + " ]; do sleep 0.01; done; }")
	stop := make(chan struct{})
	s.Cleanup(func() { close(stop) })
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(probePause):
			}
			if exists(hangMark) {
				_ = s.disk.Hang()
				_ = os.Rename(hangMark, hangMark+".done") // once
				return
			}
		}
	}()
	s.Cleanup(func() { _ = os.Remove(hangMark + ".done") })
}

// hangFrozen makes the disk hang under a frozen filesystem.
func (s *scene) hangFrozen() {
	s.Helper()
	require.NoError(s, s.disk.Hang())
}

// freezeAgain freezes as soon as the agent lets it, and thaws: the fault has
// left nothing behind.
func (s *scene) freezeAgain() {
	s.Helper()
	var answer string
	require.Eventually(s, func() bool {
		answer = s.host.ask(doFreeze)
		return answer == "3"
	}, soon, 20*time.Millisecond, "it does not freeze again")
	require.Equal(s, "3", s.host.ask(doThaw))
	require.Equal(s, "thawed", s.host.ask(doStatus))
}
