package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"qemu-ga/cmd/internal/vm"

	"github.com/stretchr/testify/require"
)

// marks are written to each disk without a sync just before a snapshot: they
// are on the disk only if something has written the filesystem back.
const mark = "written just before the snapshot"

func writeMarks(v *vm.VM) {
	for _, disk := range freezable {
		v.Sh("echo '" + mark + "' > /mnt/" + disk + "/mark")
	}
}

// Without a freeze the same checks fail: they can tell.
func testSnapshotWithoutFreeze(t *testing.T, v *vm.VM) {
	startWriters(v, freezable...)
	writeMarks(v)
	shots := v.Snapshot()
	stopWriters(t, v, freezable...)

	require.Contains(t, ext4Features(t, shots["ext4"]), "needs_recovery")
	for _, disk := range freezable {
		content, _ := readShot(t, v, disk, shots[disk], "mark")
		require.NotEqual(t, mark, strings.TrimSpace(content), disk)
	}
	v.Sh("rm /mnt/*/mark; sync")
}

// The main job: a snapshot of running disks that is clean, and complete up to
// the freeze.
func testSnapshotWithFreeze(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	all := append([]string{"vfat"}, freezable...)
	startWriters(v, all...)
	writeMarks(v)

	requireStatus(t, agent, "thawed")
	freeze(t, agent, len(freezable))
	requireStatus(t, agent, "frozen")
	requireStopped(v, freezable...)
	requireWrites(v, "vfat") // Linux cannot freeze it
	requireNotFrozen(t, agent, "vfat")
	written := map[string]int{}
	for _, disk := range freezable {
		written[disk] = v.Writer(disk).Count
	}
	shots := v.Snapshot()
	requireStopped(v, freezable...)
	thaw(t, agent, len(freezable))
	requireStatus(t, agent, "thawed")
	requireWrites(v, all...)
	stopWriters(t, v, all...)

	run(t, "e2fsck", "-fn", shots["ext4"])
	require.NotContains(t, ext4Features(t, shots["ext4"]), "needs_recovery")
	run(t, "btrfs", "check", "--readonly", shots["btrfs"])
	for _, disk := range freezable {
		content, err := readShot(t, v, disk, shots[disk], "mark")
		require.NoError(t, err, content)
		require.Equal(t, mark, strings.TrimSpace(content), disk)
		content, err = readShot(t, v, disk, shots[disk], "writer")
		require.NoError(t, err, content)
		// The write that was stopped may have been before or in its fsync.
		blocks := len(content) / 4096
		require.Contains(t, []int{written[disk], written[disk] + 1}, blocks, disk)
	}
	// By now its log is replayed: a frozen xfs leaves one record on purpose.
	run(t, "xfs_repair", "-n", shots["xfs"])
	v.Sh("rm /mnt/*/mark")
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	vm.Tools(t, name)
	output, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s: %s", name, output)
	return string(output)
}

func ext4Features(t *testing.T, image string) string {
	t.Helper()
	for line := range strings.Lines(run(t, "dumpe2fs", "-h", image)) {
		if features, ok := strings.CutPrefix(line, "Filesystem features:"); ok {
			return features
		}
	}
	t.Fatal("dumpe2fs tells no features")
	return ""
}

// readShot reads a file of an image, by means that mount nothing on the host.
func readShot(t *testing.T, v *vm.VM, fs, image, file string) (string, error) {
	t.Helper()
	switch fs {
	case "ext4":
		vm.Tools(t, "debugfs")
		output, err := exec.Command("debugfs", "-R", "cat /"+file, image).Output()
		return string(output), err
	case "btrfs":
		vm.Tools(t, "btrfs")
		dir := t.TempDir()
		if output, err := exec.Command("btrfs", "restore", image, dir).CombinedOutput(); err != nil {
			return string(output), err
		}
		content, err := os.ReadFile(filepath.Join(dir, file))
		return string(content), err
	default:
		path := v.HotPlugImage("shot", image)
		defer v.HotUnplugDisk("shot")
		return v.Sh("mkdir -p /tmp/shot; mount -t xfs -o nouuid " + path + " /tmp/shot;" +
			" cat /tmp/shot/" + file + " || true; umount /tmp/shot"), nil
	}
}
