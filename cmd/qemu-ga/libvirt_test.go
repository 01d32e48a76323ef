package main_test

import (
	"os"
	"path/filepath"
	"strconv"
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
		Disks: []vm.Disk{
			{Name: "ext4", FS: "ext4"},
			{Name: "xfs", FS: "xfs"},
			{Name: "scsi", FS: "ext4", Device: map[string]any{"scsi-id": 3, "lun": 2}},
		},
		Modules:  []string{"virtio_scsi", "sd_mod"},
		Programs: []string{"chpasswd"}, Files: passwordFiles(t),
	}))
	d.Sh("ip link set lo up; ip addr add 192.0.2.7/24 dev lo")
	d.StartAgent()
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
		d.Sh("mkdir /mnt/scsi; until mount /dev/sda /mnt/scsi; do sleep 0.1; done")
		filesystems := d.VirshDomain("domfsinfo")
		require.Regexp(t, `/mnt/scsi +sda +ext4 +sdc`, filesystems, "by its target: libvirt calls it sdc")
		d.Sh("umount /mnt/scsi")
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
	t.Run("changes", func(t *testing.T) { testLibvirtChanges(t, d.In(t)) })

	// This is the guest's end.
	t.Run("shutdown", func(t *testing.T) {
		d := d.In(t)
		d.Sh("mkdir -p /sbin; printf '#!/bin/sh\nexec busybox poweroff -f\n' >/sbin/poweroff; chmod +x /sbin/poweroff")
		d.ShutDown()
		d.Until(settle, "the domain is gone", func() bool { return !strings.Contains(d.Virsh("list"), "running") })
	})
}

// testLibvirtChanges has libvirt change the guest in every way it can through
// the agent.
func testLibvirtChanges(t *testing.T, d *vm.Domain) {
	d.VirshDomain("domfstrim")

	const then = 1_900_000_000
	d.VirshDomain("domtime", "--time", strconv.Itoa(then))
	require.InDelta(t, then, seconds(t, d.VM, "date +%s"), tolerance)
	got := strings.Fields(d.VirshDomain("domtime"))
	require.Len(t, got, 2)
	now, err := strconv.Atoi(got[1])
	require.NoError(t, err)
	require.InDelta(t, then, now, tolerance)

	d.Sh("echo root:*:19000:0:99999:7::: >/etc/shadow; chmod 600 /etc/shadow")
	d.VirshDomain("set-user-password", "--user", "root", "--password", "sw0rdfish")
	require.Contains(t, d.Sh("cat /etc/shadow"), "root:$6$")

	// Without a line end: virsh takes what is behind it for another key.
	keys := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(keys, []byte("ssh-rsa AAAA jo@host"), 0o600))
	d.VirshDomain("set-user-sshkeys", "--user", "root", "--file", keys)
	require.Equal(t, "ssh-rsa AAAA jo@host\n", d.Sh("cat /root/.ssh/authorized_keys"))
	require.Equal(t, "ssh-rsa AAAA jo@host", strings.TrimSpace(d.VirshDomain("get-user-sshkeys", "--user", "root")))
	d.VirshDomain("set-user-sshkeys", "--user", "root", "--file", keys, "--remove")
	require.Empty(t, d.Sh("cat /root/.ssh/authorized_keys"))

	d.VirshDomain("guestvcpus", "--cpulist", "1", "--disable")
	require.Equal(t, "1\n", d.Sh("nproc"))
	require.Regexp(t, `online +: 0\n`, d.VirshDomain("guestvcpus"))
	d.VirshDomain("guestvcpus", "--cpulist", "1", "--enable")
	require.Equal(t, "2\n", d.Sh("nproc"))
}
