package main_test

import (
	"encoding/json"
	"os"
	"syscall"
	"testing"
	"time"

	"qemu-ga/cmd/internal/vm"
	"qemu-ga/cmd/internal/vm/control"

	"github.com/stretchr/testify/require"
)

// settle bounds what should happen at once, on a busy machine.
const settle = 20 * time.Second

// guestConfig adds to a guest's configuration which agent it runs. With
// VM_REFERENCE set it is the real qemu-ga, to see which of these tests'
// expectations it meets.
func guestConfig(config vm.Config) vm.Config {
	config.Reference = os.Getenv("VM_REFERENCE") != ""
	return config
}

// startAgent starts the agent in the guest and connects to it. It ends with
// the test, which must leave nothing frozen.
func startAgent(t *testing.T, v *vm.VM, options ...string) *vm.Agent {
	t.Helper()
	v.StartAgent(options...)
	t.Cleanup(func() { stopAgent(t, v) })
	agent := v.Agent()
	agent.Sync(settle)
	return agent
}

// stopAgent ends the agent, if it runs, and shows what it wrote if the test
// has failed.
func stopAgent(t *testing.T, v *vm.VM) {
	t.Helper()
	ended := v.Wait(vm.AgentProgram, 0)
	if ended.Running {
		v.Signal(vm.AgentProgram, syscall.SIGTERM)
		ended = v.Wait(vm.AgentProgram, settle)
	}
	if t.Failed() {
		t.Logf("agent (%s):\n%s", ended.Status, ended.Output)
	}
	require.False(t, ended.Running, "the agent does not end on SIGTERM")
}

// requireStatus asks for the agent's freeze status.
func requireStatus(t *testing.T, agent *vm.Agent, want string) {
	t.Helper()
	require.JSONEq(t, `"`+want+`"`, string(agent.Call("guest-fsfreeze-status", nil)))
}

// freeze freezes and requires the number of filesystems it answers.
func freeze(t *testing.T, agent *vm.Agent, want int) {
	t.Helper()
	require.Equal(t, want, number(t, agent.Call("guest-fsfreeze-freeze", nil)))
}

// thaw thaws and requires the number of filesystems it answers.
func thaw(t *testing.T, agent *vm.Agent, want int) {
	t.Helper()
	require.Equal(t, want, number(t, agent.Call("guest-fsfreeze-thaw", nil)))
}

func number(t *testing.T, result json.RawMessage) int {
	t.Helper()
	var n int
	require.NoError(t, json.Unmarshal(result, &n), "%s", result)
	return n
}

// startWriters starts a writer at the root of each disk, named as the disk.
func startWriters(v *vm.VM, disks ...string) {
	for _, disk := range disks {
		v.StartWriter(control.Writer{Name: disk, Path: writerFile(disk), PauseMS: 2})
		requireWrites(v, disk)
	}
}

func writerFile(disk string) string {
	return "/mnt/" + disk + "/writer"
}

// requireWrites waits until writers have written more than they had.
func requireWrites(v *vm.VM, disks ...string) {
	for _, disk := range disks {
		before := v.Writer(disk).Count
		v.Until(settle, "writes to "+disk, func() bool { return v.Writer(disk).Count > before })
	}
}

// blocked is for how long a write is under way when its writer has stopped:
// a hundred times what one takes.
const blockedMS = 500

// requireStopped waits until writers are stuck in a write.
func requireStopped(v *vm.VM, disks ...string) {
	for _, disk := range disks {
		v.Until(settle, "the writer on "+disk+" stops", func() bool {
			return v.Writer(disk).InFlightMS > blockedMS
		})
	}
}

// stopWriters ends writers, none of which may have met an error.
func stopWriters(t *testing.T, v *vm.VM, disks ...string) {
	for _, disk := range disks {
		require.Empty(t, v.StopWriter(disk).Error, disk)
		v.Sh("rm " + writerFile(disk))
	}
}

// requireWritable requires that filesystems take a write within the limit.
func requireWritable(t *testing.T, v *vm.VM, limit time.Duration, disks ...string) {
	t.Helper()
	paths := make([]string, len(disks))
	for i, disk := range disks {
		paths[i] = "/mnt/" + disk
	}
	for _, accepted := range v.Accepts(limit, paths...) {
		require.False(t, accepted.Blocked, "%s is frozen", accepted.Path)
		require.Empty(t, accepted.Error, accepted.Path)
	}
}
