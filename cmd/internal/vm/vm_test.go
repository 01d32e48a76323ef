package vm_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
	"qemu-ga/cmd/internal/vm/control"
)

// The real qemu-ga shows that what the other tests see is there to be seen:
// that a guest boots, that its agent talks, and that a frozen filesystem is
// told from one that is not.
func TestGuestWithRealAgent(t *testing.T) {
	v := vm.Start(t, vm.Config{
		Reference: true,
		Disks:     []vm.Disk{{Name: "one", FS: "ext4"}, {Name: "four", FS: "vfat"}},
	})
	seen := len(v.Events())
	v.StartAgent()
	v.WaitEvent(seen, "VSERPORT_CHANGE", map[string]any{"id": vm.AgentPortID, "open": true})
	agent := v.Agent()
	agent.Sync(10 * time.Second)

	t.Run("freeze", func(t *testing.T) {
		v := v.In(t)
		v.StartWriter(control.Writer{Name: "w", Path: "/mnt/one/w", PauseMS: 2})
		v.Until(5*time.Second, "the writer has written", func() bool { return v.Writer("w").Count > 0 })
		require.JSONEq(t, "1", string(agent.Call("guest-fsfreeze-freeze", nil)))
		v.Until(5*time.Second, "the writer is blocked", func() bool { return v.Writer("w").InFlightMS > 300 })
		accepted := v.Accepts(300*time.Millisecond, "/mnt/one", "/mnt/four", "/tmp")
		require.True(t, accepted[0].Blocked)
		require.True(t, accepted[1].OK, "vfat cannot be frozen: %s", accepted[1].Error)
		require.True(t, accepted[2].OK)
		require.JSONEq(t, "1", string(agent.Call("guest-fsfreeze-thaw", nil)))
		stats := v.StopWriter("w")
		require.Greater(t, stats.WorstMS, 300.0)
		require.Len(t, stats.Writes, stats.Count)
	})

	t.Run("disks come and go", func(t *testing.T) {
		v := v.In(t)
		path := v.HotPlugDisk(vm.Disk{Name: "five"})
		v.Sh("dd if=/dev/zero of=" + path + " bs=4k count=1 conv=fsync 2>&1")
		v.HotUnplugDisk("five")
		v.Until(5*time.Second, "the disk is gone", func() bool {
			return v.Try(time.Second, "test", "-e", path).Status == 1
		})
	})

	t.Run("wake-ups are seen", func(t *testing.T) {
		v := v.In(t)
		agent.Close() // with its host away, the real agent looks for it all the time
		before := v.Wakeups()
		v.Until(10*time.Second, "the agent wakes up", func() bool { return v.Wakeups() > before+10 })
	})

	t.Run("a program that does not end", func(t *testing.T) {
		ran := v.In(t).Try(100*time.Millisecond, "sleep", "60")
		require.True(t, ran.TimedOut)
	})
}
