package vm_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// A full guest is what the tests of packages, units and policies stand on: its
// system runs, and it can be called whatever is frozen and however often it
// boots.
func TestDebian(t *testing.T) {
	v := vm.StartDebian(t, vm.Debian{
		Config: vm.Config{Files: vm.AgentFiles(t), Disks: []vm.Disk{{Name: "data", FS: "xfs"}}},
	})
	require.Equal(t, "running", v.Ready(time.Minute), "%s", v.Sh("systemctl --failed"))
	require.Equal(t, "active", v.Systemctl("is-active", "qemu-guest-agent"))
	agent := v.Agent()
	agent.Sync(20 * time.Second)

	t.Run("everything frozen", func(t *testing.T) {
		v := v.In(t)
		require.JSONEq(t, "2", string(agent.Call("guest-fsfreeze-freeze", nil)))
		ran := v.Try(20*time.Second, "/bin/sh", "-c", "echo out; echo err >&2; exit 3")
		require.Equal(t, 3, ran.Status)
		require.Equal(t, "out\n", ran.Stdout)
		require.Contains(t, ran.Output, "err\n")
		accepted := v.Accepts(time.Second, "/", "/mnt/data", "/run")
		require.True(t, accepted[0].Blocked)
		require.True(t, accepted[1].Blocked)
		require.True(t, accepted[2].OK)
		shots := v.Snapshot()
		require.Len(t, shots, 2)
		require.JSONEq(t, "2", string(agent.Call("guest-fsfreeze-thaw", nil)))
	})

	t.Run("files", func(t *testing.T) {
		v := v.In(t)
		v.Push("/var/lib/deep/down/file", []byte("hello\x00\n"), 0o640)
		require.Equal(t, "hello\x00\n", string(v.Pull("/var/lib/deep/down/file")))
		require.Equal(t, "640\n", v.Sh("stat -c %a /var/lib/deep/down/file"))
	})

	t.Run("reboot", func(t *testing.T) {
		v := v.In(t)
		v.Sh("sync")
		v.Reboot()
		require.Equal(t, "running", v.Ready(2*time.Minute))
		require.Equal(t, "hello\x00\n", string(v.Pull("/var/lib/deep/down/file")))
		agent.Sync(20 * time.Second)
		v.Reset()
		v.Ready(2 * time.Minute)
	})
}
