package main_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// What libvirt, and so most hosts, asks of an agent: the real libvirtd and
// virsh do.
func TestLibvirt(t *testing.T) {
	disks := []string{"ext4", "xfs"}
	d := vm.StartDomain(t, guestConfig(vm.Config{
		Disks: []vm.Disk{{Name: "ext4", FS: "ext4"}, {Name: "xfs", FS: "xfs"}},
	}))
	d.Sh("ip link set lo up; ip addr add 192.0.2.7/24 dev lo")
	d.StartAgent()
	t.Cleanup(func() { stopAgent(t, d.VM) })
	d.Connected()

	t.Run("freeze and thaw", func(t *testing.T) {
		d := d.In(t)
		startWriters(d.VM, disks...)
		require.Contains(t, d.VirshDomain("domfsfreeze"), "Froze 2 filesystem(s)")
		requireStopped(d.VM, disks...)
		require.Contains(t, d.VirshDomain("domfsthaw"), "Thawed 2 filesystem(s)")
		requireWrites(d.VM, disks...)

		require.Contains(t, d.VirshDomain("domfsfreeze", "--mountpoint", "/mnt/xfs"), "Froze 1 filesystem(s)")
		requireStopped(d.VM, "xfs")
		requireWrites(d.VM, "ext4")
		require.Contains(t, d.VirshDomain("domfsthaw"), "Thawed 1 filesystem(s)")
		stopWriters(t, d.VM, disks...)
	})

	t.Run("snapshot", func(t *testing.T) {
		d := d.In(t)
		startWriters(d.VM, disks...)
		d.VirshDomain("snapshot-create-as", "--disk-only", "--quiesce", "--no-metadata", "--name", "shot")
		requireWrites(d.VM, disks...)
		stopWriters(t, d.VM, disks...)
		// From now on the guest writes to other files.
		run(t, "e2fsck", "-fn", d.ImageFile("ext4"))
		require.NotContains(t, ext4Features(t, d.ImageFile("ext4")), "needs_recovery")
	})

	t.Run("information", func(t *testing.T) {
		d := d.In(t)
		filesystems := d.VirshDomain("domfsinfo")
		require.Regexp(t, `/mnt/ext4 +vda +ext4 +vda`, filesystems)
		require.Regexp(t, `/mnt/xfs +vdb +xfs +vdb`, filesystems)

		info := strings.Join(strings.Fields(d.VirshDomain("guestinfo")), " ")
		for _, want := range []string{
			"os.id : scratch", "timezone.name : UTC", "hostname : scratch", "user.count : 0",
			"fs.0.mountpoint : /mnt/ext4", "fs.0.disk.0.serial : ext4", "if.0.name : lo",
		} {
			require.Contains(t, info, want)
		}
		require.Contains(t, d.VirshDomain("domifaddr", "--source", "agent"), "192.0.2.7/24")
		require.Contains(t, d.VirshDomain("domhostname", "--source", "agent"), "scratch")
		require.Regexp(t, `^Time: \d+$`, d.VirshDomain("domtime"))
		require.JSONEq(t, `{"return": {}}`,
			d.VirshDomain("qemu-agent-command", `{"execute": "guest-ping"}`))
	})
}
