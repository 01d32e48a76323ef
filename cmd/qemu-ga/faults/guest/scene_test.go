package guest_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
	"qemu-ga/cmd/internal/vm/control"
	"qemu-ga/cmd/qemu-ga/faults"
)

// fault is one thing that goes wrong.
type fault struct {
	// name and did are the table's first columns.
	name, did string
	// options are those of our agent, both those of either.
	options, both []string
	// do does it, and returns what the host was told.
	do func(*scene) string
	// limit is how long our agent may leave a filesystem frozen, told what it
	// has to tell the host (a part of it).
	limit time.Duration
	told  string
	// omit says why it is not done to the C agent.
	omit string
}

// disks are the guest's filesystems.
var disks = []string{"a", "b"}

// Bounds: settle for what should happen at once, on a busy machine;
// watchTime for a filesystem that does not thaw.
const (
	settle    = 20 * time.Second
	watchTime = 2 * time.Second
)

// blockedMS is how long a write has to wait to count as stopped.
const blockedMS = 300

// scene is a guest in which a fault is done to its agent.
type scene struct {
	*testing.T
	v         *vm.VM
	reference bool
	options   []string
	host      *vm.Agent
	still     bool // something did not thaw as long as it was worth waiting
}

// play does a fault to the agent of a guest.
func play(t *testing.T, v *vm.VM, f fault, reference bool) (o faults.Outcome) {
	s := &scene{T: t, v: v.In(t), reference: reference, options: f.both}
	if !reference {
		s.options = append(append([]string{}, f.both...), f.options...)
	}
	t.Cleanup(s.clear)
	s.start()
	for _, disk := range disks {
		s.v.StartWriter(control.Writer{Name: disk, Path: "/mnt/" + disk + "/writer", PauseMS: 2, Buffered: true})
	}
	o.Failed = true
	defer func() { o.Failed = t.Failed() }()
	o.Told = f.do(s)
	s.settle(watchTime)
	o.Still = s.still
	for _, disk := range disks {
		stats := s.v.Writer(disk)
		require.Empty(t, stats.Error)
		o.Frozen = max(o.Frozen, time.Duration(max(stats.WorstMS, stats.InFlightMS))*time.Millisecond)
	}
	if !reference {
		require.False(t, o.Still, "something is frozen still")
		require.LessOrEqual(t, o.Frozen, f.limit, "frozen for too long")
		require.Contains(t, o.Told, f.told)
	}
	return o
}

// start starts the agent, or starts it again, and finds its ear.
func (s *scene) start() {
	s.Helper()
	s.v.StartAgent(s.options...)
	s.host = s.v.Agent()
	s.host.Sync(settle)
}

// freeze freezes everything.
func (s *scene) freeze() {
	s.Helper()
	require.Equal(s, fmt.Sprint(len(disks)), string(s.host.Call("guest-fsfreeze-freeze", nil)))
	s.stopped()
}

// stopped waits until every filesystem stands still.
func (s *scene) stopped() {
	s.Helper()
	for _, disk := range disks {
		s.v.Until(settle, "the writer on "+disk+" stops", func() bool { return s.v.Writer(disk).InFlightMS > blockedMS })
	}
}

// settle waits until every filesystem takes writes, as long as limit.
func (s *scene) settle(limit time.Duration) {
	s.Helper()
	s.still = !s.writable(limit) || s.still
}

// writable waits until every filesystem takes writes, and tells whether they
// do.
func (s *scene) writable(limit time.Duration) bool {
	s.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		waiting := 0.0
		for _, disk := range disks {
			waiting = max(waiting, s.v.Writer(disk).InFlightMS)
		}
		if waiting < blockedMS {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// patience is how long it is worth waiting for this agent.
func (s *scene) patience() time.Duration {
	if s.reference {
		return watchTime
	}
	return settle
}

// ask gives the agent's answer, for the table.
func (s *scene) ask(name, command string) string {
	s.Helper()
	s.host.Send(command, nil)
	result, err := s.host.Reply(max(5*time.Second, s.patience()))
	var answered *vm.AgentError
	switch {
	case errors.As(err, &answered):
		return name + ": error: " + answered.Desc
	case err != nil:
		return name + ": no answer"
	default:
		return name + ": " + strings.Trim(string(result), `"`)
	}
}

// news is what a host is told that asks before it thaws.
func (s *scene) news() string {
	s.Helper()
	return s.ask("status", "guest-fsfreeze-status") + "; " + s.ask("thaw", "guest-fsfreeze-thaw")
}

// again starts the agent again, after its end, and gives the news.
func (s *scene) again() string {
	s.Helper()
	require.False(s, s.v.Wait(vm.AgentProgram, settle).Running)
	s.host.Close()
	s.start()
	return s.news()
}

// clear leaves the guest as it was.
func (s *scene) clear() {
	if s.v.Wait(vm.AgentProgram, 0).Running {
		s.v.Signal(vm.AgentProgram, syscall.SIGKILL)
		require.False(s, s.v.Wait(vm.AgentProgram, settle).Running)
	}
	for _, disk := range disks {
		// What the C agent has left; it is no error that nothing is frozen.
		s.v.Try(settle, "fsfreeze", "--unfreeze", "/mnt/"+disk)
	}
	for _, disk := range disks {
		s.v.StopWriter(disk)
	}
	s.v.Sh("rm -f /run/qga.state*")
}
