package confined_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// TestDisabled: a kernel that can do SELinux, and was told not to.
func TestDisabled(t *testing.T) {
	guest := vm.Start(t, vm.Config{Disks: disks[:1], KernelArgs: "selinux=0"})
	guest.StartAgent()
	agent := guest.Agent()
	agent.Sync(settle)
	var status struct{ State, Summary string }
	require.NoError(t, json.Unmarshal(agent.Call("x-selinux-status", nil), &status))
	require.Equal(t, "off", status.State)
	require.Equal(t, "SELinux is off", status.Summary)
	require.Equal(t, 1, number(t, agent.Call("guest-fsfreeze-freeze", nil)))
	require.True(t, guest.Accepts(settle/20, "/mnt/boot")[0].Blocked)
	require.Equal(t, 1, number(t, agent.Call("guest-fsfreeze-thaw", nil)))
}
