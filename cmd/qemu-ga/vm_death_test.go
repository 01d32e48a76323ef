package main_test

import (
	"syscall"
	"testing"
	"time"

	"qemu-ga/cmd/internal/vm"

	"github.com/stretchr/testify/require"
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

// An agent that is stopped thaws before it ends.
func testTerminatedWhileFrozen(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	freeze(t, agent, len(freezable))
	v.Signal(vm.AgentProgram, syscall.SIGTERM)
	require.False(t, v.Wait(vm.AgentProgram, settle).Running)
	requireWritable(t, v, time.Second, freezable...)
}
