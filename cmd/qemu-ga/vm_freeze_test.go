package main_test

import (
	"testing"
	"time"

	"qemu-ga/cmd/internal/vm"

	"github.com/stretchr/testify/require"
)

// freezable are the guest's disks that a freeze covers, by their filesystems.
var freezable = []string{"ext4", "xfs", "btrfs"}

// One guest with real disks, for everything that a freeze is.
func TestVMFreeze(t *testing.T) {
	v := vm.Start(t, guestConfig(vm.Config{
		Disks: []vm.Disk{
			{Name: "ext4", FS: "ext4"},
			{Name: "xfs", FS: "xfs"},
			{Name: "btrfs", FS: "btrfs"},
			{Name: "vfat", FS: "vfat"},
		},
		Programs: []string{"mkfs.ext4"},
	}))
	for _, test := range []struct {
		name string
		run  func(*testing.T, *vm.VM)
	}{
		{"snapshot without freeze", testSnapshotWithoutFreeze},
		{"snapshot with freeze", testSnapshotWithFreeze},
		{"hot-plugged disk", testHotPluggedDisk},
		{"deadline", testDeadline},
		{"deadline of one request", testRequestDeadline},
		{"killed while frozen", testKilledWhileFrozen},
		{"freezer killed while frozen", testFreezerKilled},
		{"both killed while frozen", testBothKilled},
		{"thawed by hand", testThawByHand},
		{"terminated while frozen", testTerminatedWhileFrozen},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, v.In(t)) })
	}
}

// A disk that came after the agent started is frozen like any other.
func testHotPluggedDisk(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	freeze(t, agent, len(freezable))
	thaw(t, agent, len(freezable))

	disk := vm.Disk{Name: "hot", SizeMiB: 64}
	path := v.HotPlugDisk(disk)
	v.Sh("mkfs.ext4 -q " + path)
	disk.FS = "ext4"
	v.Mount(disk)
	startWriters(v, "hot")
	freeze(t, agent, len(freezable)+1)
	requireStopped(v, "hot")
	thaw(t, agent, len(freezable)+1)
	requireWrites(v, "hot")
	stopWriters(t, v, "hot")
	v.Sh("umount /mnt/hot")
	v.HotUnplugDisk("hot")

	freeze(t, agent, len(freezable))
	thaw(t, agent, len(freezable))
}

// A host that never comes back leaves no guest frozen, and is told so.
func testDeadline(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v, "--fsfreeze-timeout=2")
	startWriters(v, freezable...)
	start := time.Now()
	freeze(t, agent, len(freezable))
	requireStopped(v, freezable...)
	requireWritable(t, v, settle, freezable...)
	requireTook(t, start, 2*time.Second)
	requireWrites(v, freezable...)
	requireExpired(t, agent, "fsfreeze is limited to 2 seconds")
	stopWriters(t, v, freezable...)

	freeze(t, agent, len(freezable))
	thaw(t, agent, len(freezable))
}

// The request's own deadline counts, not the agent's.
func testRequestDeadline(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	start := time.Now()
	require.Equal(t, len(freezable),
		number(t, agent.Call("guest-fsfreeze-freeze", map[string]any{"x-timeout": 1})))
	requireWritable(t, v, settle, freezable...)
	requireTook(t, start, time.Second)
	requireExpired(t, agent, "fsfreeze is limited to 1 second")
}

// requireTook requires that a freeze has lasted for its deadline. A busy
// machine may see its end late.
func requireTook(t *testing.T, start time.Time, deadline time.Duration) {
	t.Helper()
	took := time.Since(start)
	require.Greater(t, took, deadline*9/10)
	require.Less(t, took, deadline+settle/2)
}

// requireExpired requires what a host is told that comes after its freeze has
// ended without it: "frozen", so that it thaws, then why it cannot.
func requireExpired(t *testing.T, agent *vm.Agent, words string) {
	t.Helper()
	requireStatus(t, agent, "frozen")
	requireReport(t, agent, "expired")
	agent.Call("guest-get-time", nil) // nothing is frozen, so all is allowed
	require.Contains(t, agent.Fail("guest-fsfreeze-thaw", nil).Desc, words)
	requireStatus(t, agent, "thawed")
}
