package vm

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm/control"
)

// commandLimit is for what a guest does in passing, on a very busy machine.
const commandLimit = time.Minute

// call makes a call that must succeed. The guest's own limit, if there is one,
// comes on top of the time a busy machine may take to carry the call.
func call[Result any](v *VM, limit time.Duration, method string, args any) Result {
	v.t.Helper()
	var result Result
	require.NoError(v.t, v.control.call(limit+commandLimit, method, args, &result), "%s %+v", method, args)
	return result
}

func milliseconds(d time.Duration) int {
	return int(d / time.Millisecond)
}

// Try runs a program in the guest, which may fail or not end in time.
func (v *VM) Try(limit time.Duration, argv ...string) control.Ran {
	v.t.Helper()
	return call[control.Ran](v, limit, control.MethodRun, control.Run{Argv: argv, TimeoutMS: milliseconds(limit)})
}

// Sh runs a shell script in the guest, which must succeed, and returns what it
// wrote.
func (v *VM) Sh(script string) string {
	v.t.Helper()
	ran := v.Try(commandLimit, "/bin/sh", "-euc", script)
	require.False(v.t, ran.TimedOut, "%s: does not end: %s", script, ran.Output)
	require.Zero(v.t, ran.Status, "%s: %s", script, ran.Output)
	return ran.Output
}

// StartProgram starts a program in the guest under a name and returns its
// process number.
func (v *VM) StartProgram(name string, argv ...string) int {
	v.t.Helper()
	return call[control.Started](v, 0, control.MethodStart, control.Start{Name: name, Argv: argv}).PID
}

// AgentProgram is the name under which StartAgent starts the agent.
const AgentProgram = "agent"

// StartAgent starts the guest's agent on its port, with further options, which
// override those it is given here.
func (v *VM) StartAgent(options ...string) {
	v.t.Helper()
	argv := []string{
		v.agent, "-m", "virtio-serial",
		"-p", "/dev/virtio-ports/org.qemu.guest_agent.0", "-t", "/run",
	}
	v.agentPID = v.StartProgram(AgentProgram, append(argv, options...)...)
}

// AgentPID is the process number of the agent that was started last.
func (v *VM) AgentPID() int {
	return v.agentPID
}

// Wakeups counts how often the guest's kernel has given the agent a CPU.
func (v *VM) Wakeups() int {
	v.t.Helper()
	counts := v.Sh(fmt.Sprintf("grep -h ctxt_switches /proc/%d/task/*/status", v.AgentPID()))
	total := 0
	for line := range strings.Lines(counts) {
		// voluntary_ctxt_switches:	42
		_, count, _ := strings.Cut(line, ":")
		n, err := strconv.Atoi(strings.TrimSpace(count))
		require.NoError(v.t, err)
		total += n
	}
	return total
}

// Signal sends a signal to a started program.
func (v *VM) Signal(name string, signal syscall.Signal) {
	v.t.Helper()
	call[struct{}](v, 0, control.MethodSignal, control.Signal{Name: name, Signal: int(signal)})
}

// Wait waits for the end of a started program; with no time left it just tells
// how it stands.
func (v *VM) Wait(name string, limit time.Duration) control.Waited {
	v.t.Helper()
	return call[control.Waited](v, limit, control.MethodWait,
		control.Wait{Name: name, TimeoutMS: milliseconds(limit)})
}

// GuestDisk waits for a disk and returns its device file in the guest.
func (v *VM) GuestDisk(name string) string {
	v.t.Helper()
	return call[control.Found](v, commandLimit, control.MethodDisk,
		control.Disk{Serial: name, TimeoutMS: milliseconds(commandLimit)}).Path
}

// Mount mounts a disk in the guest at /mnt/NAME.
func (v *VM) Mount(disk Disk) {
	v.t.Helper()
	target := "/mnt/" + disk.Name
	v.Sh("mkdir -p " + target + " && mount -t " + disk.FS + " " + v.GuestDisk(disk.Name) + " " + target)
}

// Accepts tells which directories' filesystems take a write within the limit.
func (v *VM) Accepts(limit time.Duration, paths ...string) []control.Accepted {
	v.t.Helper()
	return call[[]control.Accepted](v, limit, control.MethodAccepts,
		control.Accepts{Paths: paths, TimeoutMS: milliseconds(limit)})
}

// StartWriter starts a writer in the guest.
func (v *VM) StartWriter(w control.Writer) {
	v.t.Helper()
	call[struct{}](v, 0, control.MethodWriterStart, w)
}

// Writer tells what a writer has done so far.
func (v *VM) Writer(name string) control.WriterStats {
	v.t.Helper()
	return call[control.WriterStats](v, 0, control.MethodWriterStats, control.Named{Name: name})
}

// StopWriter ends a writer and tells all it did.
func (v *VM) StopWriter(name string) control.WriterStats {
	v.t.Helper()
	return call[control.WriterStats](v, 0, control.MethodWriterStop, control.Named{Name: name})
}
