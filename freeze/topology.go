package freeze

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// backing is the file below a loop device.
type backing struct {
	// Dev is the device number that stat(2) gives for the file, zero where
	// the loop device could not be asked. On btrfs it is a subvolume's.
	Dev mountinfo.Dev
	// Path is the file's path when the loop device was set up. It can be
	// wrong by now: renamed, or another mount namespace's.
	Path string
}

// topology tells where the writes of block devices go.
type topology struct {
	sys string // where sysfs is
	dev string // where the device nodes are
}

// below follows dev down through partitions, device mapper, md and loop
// devices. It gives the files under loop devices and the devices that have
// nothing below. What sysfs does not know ends the walk there.
func (t topology) below(dev mountinfo.Dev) (files []backing, disks []mountinfo.Dev) {
	seen := map[mountinfo.Dev]bool{}
	queue := []mountinfo.Dev{dev}
	for len(queue) > 0 {
		d := queue[0]
		queue = queue[1:]
		if seen[d] {
			continue
		}
		seen[d] = true
		dir, err := filepath.EvalSymlinks(filepath.Join(t.sys, "dev/block", d.String()))
		if err != nil {
			disks = append(disks, d)
			continue
		}
		// A partition's directory is in that of its disk.
		if whole, ok := readDev(filepath.Join(filepath.Dir(dir), "dev")); ok {
			queue = append(queue, whole)
			continue
		}
		slaves := t.slaves(dir)
		queue = append(queue, slaves...)
		if file, ok := t.loopFile(dir); ok {
			files = append(files, file)
		}
		if len(slaves) == 0 {
			disks = append(disks, d)
		}
	}
	return files, disks
}

// slaves are the devices that the one at dir is made of.
func (t topology) slaves(dir string) []mountinfo.Dev {
	entries, err := os.ReadDir(filepath.Join(dir, "slaves"))
	if err != nil {
		return nil
	}
	var devs []mountinfo.Dev
	for _, entry := range entries {
		if d, ok := readDev(filepath.Join(dir, "slaves", entry.Name(), "dev")); ok {
			devs = append(devs, d)
		}
	}
	return devs
}

// loopFile tells whether dir is a bound loop device, and of which file. The
// loop driver itself is asked for the file's device, as the path in sysfs is
// that of long ago; where its node cannot be opened (SELinux forbids it to a
// confined agent) the path must do.
func (t topology) loopFile(dir string) (backing, bool) {
	text, err := os.ReadFile(filepath.Join(dir, "loop/backing_file"))
	if err != nil {
		return backing{}, false
	}
	file := backing{Path: strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), " (deleted)")}
	node, err := os.OpenFile(filepath.Join(t.dev, filepath.Base(dir)), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return file, true
	}
	defer func() { _ = node.Close() }()
	if info, err := unix.IoctlLoopGetStatus64(int(node.Fd())); err == nil {
		file.Dev = mountinfo.Dev{Major: unix.Major(info.Device), Minor: unix.Minor(info.Device)}
	}
	return file, true
}

// btrfsDevices lists the devices of the btrfs that source, one of them, is
// part of: /sys/fs/btrfs/UUID/devices/NAME.
func (t topology) btrfsDevices(source mountinfo.Dev) []mountinfo.Dev {
	dirs, err := filepath.Glob(filepath.Join(t.sys, "fs/btrfs/*/devices"))
	if err != nil {
		return nil
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		var devs []mountinfo.Dev
		for _, entry := range entries {
			if d, ok := readDev(filepath.Join(dir, entry.Name(), "dev")); ok {
				devs = append(devs, d)
			}
		}
		if slices.Contains(devs, source) {
			return devs
		}
	}
	return nil
}

// describe fills in where f's writes go.
func (t topology) describe(f *filesystem) {
	if f.Dev.Major != 0 {
		f.Devices = append(f.Devices, f.Dev)
	} else if d, ok := t.node(f.Source); ok {
		f.Devices = append(f.Devices, d)
		if f.Type == "btrfs" {
			if members := t.btrfsDevices(d); len(members) > 0 {
				f.Devices = members
			}
		}
	}
	if f.Type == "btrfs" {
		f.Numbers = subvolumes(f)
	}
	// A journal on a device of its own is written to as well.
	for _, option := range []string{"logdev", "rtdev", "journal_path"} {
		if path, ok := f.Mounts[0].SuperOption(option); ok {
			if d, ok := t.node(path); ok && !slices.Contains(f.Devices, d) {
				f.Devices = append(f.Devices, d)
			}
		}
	}
	for _, d := range f.Devices {
		files, disks := t.below(d)
		f.Backing = append(f.Backing, files...)
		for _, disk := range disks {
			if !slices.Contains(f.Disks, disk) {
				f.Disks = append(f.Disks, disk)
			}
		}
	}
}

// node gives the number of the block device that a mount names as
// /dev/NAME.
func (t topology) node(path string) (mountinfo.Dev, bool) {
	rest, ok := strings.CutPrefix(path, "/dev/")
	if !ok {
		return mountinfo.Dev{}, false
	}
	path = filepath.Join(t.dev, rest)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK {
		return mountinfo.Dev{Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev)}, true
	}
	return readDev(filepath.Join(t.sys, "class/block", filepath.Base(path), "dev"))
}

// subvolumes gives the device numbers that stat(2) shows for files on a
// btrfs: every subvolume has one of its own, and none is the superblock's.
func subvolumes(f *filesystem) []mountinfo.Dev {
	var numbers []mountinfo.Dev
	for _, point := range f.points() {
		var st unix.Stat_t
		if err := unix.Stat(point, &st); err == nil {
			numbers = append(numbers, mountinfo.Dev{Major: unix.Major(st.Dev), Minor: unix.Minor(st.Dev)})
		}
	}
	return numbers
}

// readDev reads a sysfs file that holds a device number.
func readDev(path string) (mountinfo.Dev, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return mountinfo.Dev{}, false
	}
	d, err := mountinfo.ParseDev(strings.TrimSpace(string(text)))
	return d, err == nil
}
