package main_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"qemu-ga/cmd/internal/vm"

	"github.com/stretchr/testify/require"
)

// TestVMPortHosts is about hosts that come and go, and one that does not
// listen.
func TestVMPortHosts(t *testing.T) {
	v := vm.Start(t, guestConfig(vm.Config{}))
	for _, test := range []struct {
		name string
		run  func(*testing.T, *vm.VM)
	}{
		{"many hosts in turn", testManyHosts},
		{"host that never reads", testDeafHost},
		{"port that another agent has", testPortBusy},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, v.In(t)) })
	}
}

func testManyHosts(t *testing.T, v *vm.VM) {
	startAgent(t, v).Close()
	for i := range 100 {
		host := v.Agent()
		if i%2 == 0 {
			host.Send("guest-get-osinfo", nil) // and does not wait for it
		} else {
			host.Sync(settle)
		}
		host.Close()
	}
	v.Agent().Sync(settle)
}

// testDeafHost asks for more than fits between agent and host, reads nothing
// and leaves. The next host is served.
func testDeafHost(t *testing.T, v *vm.VM) {
	startAgent(t, v).Close()
	deaf := v.Agent()
	for range 500 {
		deaf.Send("guest-info", nil)
	}
	deaf.Close()
	v.Agent().Sync(settle)
}

// testPortBusy starts a second agent, which takes over when the first ends.
func testPortBusy(t *testing.T, v *vm.VM) {
	host := startAgent(t, v)
	v.StartProgram("second", fmt.Sprintf("/proc/%d/exe", v.AgentPID()), "--retry-path", "-t", "/tmp")
	v.Until(settle, "the second agent finds the port busy", func() bool {
		return strings.Contains(v.Wait("second", 0).Output, "device or resource busy: another program has it open: stop that one")
	})
	stopAgent(t, v)
	host.Sync(settle)
	v.Signal("second", syscall.SIGTERM)
	require.False(t, v.Wait("second", settle).Running)
}
