package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// One guest without disks, for all that happens between host and agent.
func TestVMPort(t *testing.T) {
	v := vm.Start(t, guestConfig(vm.Config{
		NoAgentPort: true,
	}))
	for _, test := range []struct {
		name string
		run  func(*testing.T, *vm.VM)
	}{
		// In this order: the first is the one that plugs the port in.
		{"port comes after the agent", testPortComesLater},
		{"host sees the agent come and go", testPortEvents},
		{"port is unplugged and plugged in", testPortReplugged},
		{"no wake-ups while the host is away", testIdle},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, v.In(t)) })
	}
}

func testPortComesLater(t *testing.T, v *vm.VM) {
	v.StartAgent("--retry-path")
	t.Cleanup(func() { stopAgent(t, v) })
	requireNoWakeups(t, v)
	v.HotPlugPort()
	v.Agent().Sync(settle)
}

// The host need not poll: QEMU tells when there is an agent.
func testPortEvents(t *testing.T, v *vm.VM) {
	opened := map[string]any{"id": vm.AgentPortID, "open": true}
	closed := map[string]any{"id": vm.AgentPortID, "open": false}
	seen := len(v.Events())
	agent := startAgent(t, v)
	v.WaitEvent(seen, "VSERPORT_CHANGE", opened)
	require.JSONEq(t, "{}", string(agent.Call("guest-ping", nil)))
	require.JSONEq(t, "7", string(agent.Call("guest-sync", map[string]any{"id": 7})))

	seen = len(v.Events())
	stopAgent(t, v)
	v.WaitEvent(seen, "VSERPORT_CHANGE", closed)
}

func testPortReplugged(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	v.HotUnplugPort()
	require.True(t, v.Wait(vm.AgentProgram, 0).Running)
	v.HotPlugPort()
	agent.Sync(settle)
	require.JSONEq(t, "{}", string(agent.Call("guest-ping", nil)))
}

// A guest without a host that asks is left to sleep. (qemu-ga looks ten times
// a second whether the host has come.)
func testIdle(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	agent.Close()
	requireNoWakeups(t, v)
	v.Agent().Sync(settle)
}

// quiet is for how long an idle agent is watched.
const quiet = 3 * time.Second

// requireNoWakeups requires that the agent falls asleep and stays so.
func requireNoWakeups(t *testing.T, v *vm.VM) {
	t.Helper()
	var last int
	v.Until(settle, "the agent falls asleep", func() bool {
		before := v.Wakeups()
		time.Sleep(quiet)
		last = v.Wakeups() - before
		return last <= 3
	})
	t.Logf("%d wake-ups in %v", last, quiet)
}
