package guest

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

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
	// volume over several. It is empty for a loop device.
	Disks []Disk
}

// Filesystems lists the filesystems of LocalMounts, the last mounted first.
// It fails only where the mount table cannot be read or ctx ends.
func (r Root) Filesystems(ctx context.Context) ([]Filesystem, error) {
	mounts, err := r.LocalMounts()
	if err != nil {
		return nil, err
	}
	points := make([]string, len(mounts))
	for i, m := range mounts {
		points[i] = r.Path(m.Point)
	}
	usages, err := usages.ask(ctx, points)
	if err != nil {
		return nil, err
	}
	list := make([]Filesystem, 0, len(mounts))
	for i, m := range slices.Backward(mounts) {
		f := Filesystem{Point: m.Point, Type: m.FSType, Usage: usages[i]}
		f.Device, f.Disks = r.disksOf("/sys/dev/block/" + m.Dev.String())
		list = append(list, f)
	}
	return list, nil
}

// LocalMounts returns the mounts of filesystems that lie on a block device, in
// the table's order, each device once: of bind mounts, second mounts and btrfs
// subvolumes the first. A btrfs, whose superblock number is not a device's,
// has the number of the device that it names as its source; where that cannot
// be found it is left out, as QEMU's agent leaves it out.
func (r Root) LocalMounts() ([]mountinfo.Mount, error) {
	table, err := mountinfo.Read(r.Path("/proc/self/mountinfo"))
	if err != nil {
		return nil, err
	}
	seen := map[mountinfo.Dev]bool{}
	local := table[:0]
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
		if !seen[m.Dev] {
			seen[m.Dev] = true
			local = append(local, m)
		}
	}
	return local, nil
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
