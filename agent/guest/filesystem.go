package guest

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// maxMountDepth bounds how deep mounts are looked for below one another: a table
// that is read while it changes may go in circles.
const maxMountDepth = 64

// Filesystem is a mounted filesystem that lies on block devices of its own.
type Filesystem struct {
	// Device is the kernel's name of the block device ("vda1", "dm-0"), or its
	// number ("254:1") where /sys does not know it.
	Device string
	// Point is where the filesystem is mounted, Type its type ("ext4").
	Point, Type string
	// Usage is nil where the space cannot be told.
	Usage *Usage
	// Disks are the disks or partitions that hold it, more than one for a
	// volume or a btrfs over several. It is empty for a loop device.
	Disks []Disk
}

// Filesystems lists the mounted filesystems that lie on a block device, the
// last mounted first. It fails only where the mount table cannot be read or
// ctx ends.
func (r Root) Filesystems(ctx context.Context) ([]Filesystem, error) {
	mounts, err := r.localMounts()
	if err != nil {
		return nil, err
	}
	points := make([]string, len(mounts)) // "" where the name leads elsewhere
	for i, m := range mounts {
		if !m.hidden {
			points[i] = r.Path(m.Point)
		}
	}
	usages, err := usages.ask(ctx, points)
	if err != nil {
		return nil, err
	}
	list := make([]Filesystem, 0, len(mounts))
	for i, m := range slices.Backward(mounts) {
		f := Filesystem{Point: m.Point, Type: m.FSType, Usage: usages[i]}
		f.Device, f.Disks = r.disksOf("/sys/dev/block/" + m.Dev.String())
		if m.FSType == "btrfs" {
			f.Disks = append(f.Disks, r.otherDisks(f.Device)...)
		}
		list = append(list, f)
	}
	return list, nil
}

// otherDisks returns the disks of a btrfs beside those of one of its devices:
// the kernel lists all of them
//
//	/sys/fs/btrfs/UUID/devices/vda3 -> ../../../../devices/…/block/vda/vda3
func (r Root) otherDisks(device string) (disks []Disk) {
	const btrfsDir = "/sys/fs/btrfs"
	volumes, err := r.ReadDir(btrfsDir)
	if err != nil {
		return nil
	}
	for _, v := range volumes {
		dir := path.Join(btrfsDir, v.Name(), "devices")
		members, err := r.ReadDir(dir)
		own := slices.ContainsFunc(members, func(e fs.DirEntry) bool { return e.Name() == device })
		if err != nil || !own {
			continue
		}
		for _, m := range members {
			if m.Name() != device {
				_, more := r.disksOf(path.Join(dir, m.Name()))
				disks = append(disks, more...)
			}
		}
		return disks
	}
	return nil
}

// localMount is a mount of a filesystem on a block device.
type localMount struct {
	mountinfo.Mount
	hidden bool // under other mounts, and so are all others of the filesystem
}

// localMounts returns the mounts of filesystems that lie on a block device, in
// the table's order, each device once: of bind mounts, second mounts and btrfs
// subvolumes the first that is not hidden. A btrfs, whose superblock number is
// not a device's, has the number of the device that it names as its source;
// where that cannot be found it is left out, as QEMU's agent leaves it out.
func (r Root) localMounts() ([]localMount, error) {
	table, err := mountinfo.Read(r.Path("/proc/self/mountinfo"))
	if err != nil {
		return nil, err
	}
	hidden := hiddenIn(table)
	place := map[mountinfo.Dev]int{}
	var local []localMount
	for _, m := range table {
		if m.Dev.Major == 0 {
			if m.FSType != "btrfs" {
				continue
			}
			dev, ok := r.deviceNumber(m.Source)
			if !ok {
				continue
			}
			m.Dev = dev
		}
		i, seen := place[m.Dev]
		switch {
		case !seen:
			place[m.Dev] = len(local)
			local = append(local, localMount{m, hidden(m)})
		case local[i].hidden && !hidden(m):
			local[i] = localMount{m, false}
		}
	}
	return local, nil
}

// hiddenIn returns a function that tells whether a mount of the table cannot be
// reached by its name: another mount lies on it, or on a directory on the way.
func hiddenIn(table []mountinfo.Mount) func(mountinfo.Mount) bool {
	byID, on := map[int]mountinfo.Mount{}, map[int][]mountinfo.Mount{}
	for _, m := range table {
		byID[m.ID] = m
		on[m.Parent] = append(on[m.Parent], m)
	}
	return func(m mountinfo.Mount) bool {
		from := m.ID // the mount by which the way back came to m
		for range maxMountDepth {
			for _, other := range on[m.ID] {
				if other.Point == m.Point && other.ID != m.ID && other.ID != from {
					return true
				}
			}
			for _, other := range on[m.Parent] {
				if strings.HasPrefix(m.Point, other.Point+"/") && other.ID != m.Parent {
					return true
				}
			}
			below, ok := byID[m.Parent]
			if !ok || below.ID == m.ID {
				return false
			}
			from, m = m.ID, below
		}
		return false
	}
}

// deviceNumber finds the number of the block device with a name like
// /dev/mapper/root: by the device node, or by /sys where there is none, or
// where SELinux does not let us look at it.
func (r Root) deviceNumber(node string) (mountinfo.Dev, bool) {
	if !path.IsAbs(node) {
		return mountinfo.Dev{}, false
	}
	var st unix.Stat_t
	if err := unix.Stat(r.Path(node), &st); err == nil {
		dev := mountinfo.Dev{Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev)}
		return dev, st.Mode&unix.S_IFMT == unix.S_IFBLK
	}
	real, err := r.Real(node)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return mountinfo.Dev{}, false
	}
	data, err := r.ReadFile("/sys/class/block/" + path.Base(real) + "/dev")
	if err != nil {
		return mountinfo.Dev{}, false
	}
	dev, err := mountinfo.ParseDev(trimLine(data))
	return dev, err == nil
}
