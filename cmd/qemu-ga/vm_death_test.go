package main_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// An agent that dies takes its freeze with it, and its successor knows.
func testKilledWhileFrozen(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	startWriters(v, freezable...)
	freeze(t, agent, len(freezable))
	requireStopped(v, freezable...)
	v.Signal(vm.AgentProgram, syscall.SIGKILL)
	requireWritable(t, v, time.Second, freezable...)
	requireWrites(v, freezable...)
	require.False(t, v.Wait(vm.AgentProgram, settle).Running)

	v.StartAgent()
	agent.Sync(settle)
	requireExpired(t, agent, "fsfreeze is limited")
	stopWriters(t, v, freezable...)

	freeze(t, agent, len(freezable))
	thaw(t, agent, len(freezable))
}

// The agent thaws when its freezer is killed.
func testFreezerKilled(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	freeze(t, agent, len(freezable))
	v.Sh("kill -9 " + freezer(v))
	requireWritable(t, v, time.Second, freezable...)
	requireExpired(t, agent, "fsfreeze is limited")
}

// With the agent and its freezer killed, nobody is left to thaw; the next
// agent does so as it starts.
func testBothKilled(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	freezeForGood(t, v, agent)
	v.StartAgent()
	requireWritable(t, v, settle, freezable...)
	agent.Sync(settle)
	requireExpired(t, agent, "fsfreeze is limited")
}

// The administrator can thaw, too, and the host still hears of it.
func testThawByHand(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	freezeForGood(t, v, agent)
	v.Sh(vm.AgentPath + " thaw --statedir=/run")
	requireWritable(t, v, time.Second, freezable...)
	v.StartAgent()
	agent.Sync(settle)
	requireExpired(t, agent, "fsfreeze is limited")
}

// freezeForGood freezes and kills all that would thaw.
func freezeForGood(t *testing.T, v *vm.VM, agent *vm.Agent) {
	t.Helper()
	freeze(t, agent, len(freezable))
	// Stopped first, so that neither sees the other die.
	both := fmt.Sprintf("%d %s", v.AgentPID(), freezer(v))
	v.Sh("kill -STOP " + both + "; kill -9 " + both)
	require.False(t, v.Wait(vm.AgentProgram, settle).Running)
	for _, accepted := range v.Accepts(blockedMS*time.Millisecond, "/mnt/ext4", "/mnt/xfs", "/mnt/btrfs") {
		require.True(t, accepted.Blocked, "%s is not frozen: %s", accepted.Path, accepted.Error)
	}
}

// An agent that is stopped thaws before it ends.
func testTerminatedWhileFrozen(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	freeze(t, agent, len(freezable))
	v.Signal(vm.AgentProgram, syscall.SIGTERM)
	require.False(t, v.Wait(vm.AgentProgram, settle).Running)
	requireWritable(t, v, time.Second, freezable...)

	v.StartAgent()
	agent.Sync(settle)
	requireExpired(t, agent, "fsfreeze is limited")
}

// freezer returns the process number of the agent's child.
func freezer(v *vm.VM) string {
	// PPid:	42
	pid := v.Sh(fmt.Sprintf("grep -ls '^PPid:.%d$' /proc/[0-9]*/status | cut -d/ -f3", v.AgentPID()))
	return strings.TrimSpace(pid)
}
