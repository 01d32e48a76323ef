package freeze

import (
	"slices"
	"strings"

	"qemu-ga/freeze/mountinfo"
)

// filesystem is one superblock of the guest with every place it is mounted:
// bind mounts and btrfs subvolumes share their superblock, and it is the
// superblock that is frozen.
type filesystem struct {
	// Dev is the superblock's device number in the mount table.
	Dev mountinfo.Dev
	// Numbers are further device numbers that its files show to stat(2).
	Numbers []mountinfo.Dev
	// Type and Source are those of the first mount.
	Type, Source string
	// Mounts are its mounts in the order of the table.
	Mounts []mountinfo.Mount
	// Devices are the block devices that it writes to: one as a rule, several
	// for btrfs and for filesystems with a log of their own.
	Devices []mountinfo.Dev
	// Backing are the files that loop devices below it write to.
	Backing []backing
	// Disks are the devices at the very bottom: what has no device below.
	Disks []mountinfo.Dev
}

// name is how people know the filesystem: where it is mounted first.
func (f *filesystem) name() string { return f.Mounts[0].Point }

// points lists all its mount points.
func (f *filesystem) points() []string {
	var points []string
	for _, m := range f.Mounts {
		if !slices.Contains(points, m.Point) {
			points = append(points, m.Point)
		}
	}
	return points
}

// fold makes one filesystem of all mounts that share a superblock, in the
// order in which they first appear.
func fold(mounts []mountinfo.Mount) []*filesystem {
	var all []*filesystem
	byDev := make(map[mountinfo.Dev]*filesystem)
	for _, m := range mounts {
		f := byDev[m.Dev]
		if f == nil {
			f = &filesystem{Dev: m.Dev, Type: m.FSType, Source: m.Source}
			byDev[m.Dev] = f
			all = append(all, f)
		}
		f.Mounts = append(f.Mounts, m)
	}
	return all
}

// onDisk tells whether writes to the filesystem end on disks of this guest,
// so that a snapshot holds it. Superblocks without a device number of their
// own are kept in memory, or by somebody else, except for the types that span
// several devices.
func (f *filesystem) onDisk() bool {
	return f.Dev.Major != 0 || f.Type == "btrfs" || f.Type == "bcachefs" || f.Type == "zfs"
}

// noFreezeOperation lists the types that sit on a block device and that the
// kernel (6.18) cannot freeze. A freeze tries them all the same and believes
// the kernel; the list serves a dry run, which may not try.
var noFreezeOperation = map[string]bool{
	"vfat": true, "msdos": true, "exfat": true, "ntfs3": true, "fuseblk": true,
	"iso9660": true, "udf": true, "squashfs": true, "erofs": true, "cramfs": true,
	"romfs": true, "minix": true, "affs": true, "hfs": true, "hfsplus": true, "zfs": true,
}

// notFreezable says why a filesystem of this type cannot be frozen.
func notFreezable(fsType string) string {
	if fsType == "fuseblk" || strings.HasPrefix(fsType, "fuse.") {
		return "a FUSE filesystem has no freeze operation in Linux"
	}
	return fsType + " has no freeze operation in Linux"
}

// offDisk says why a filesystem that is not on a disk of this guest is left
// alone.
func offDisk(fsType string) string {
	switch {
	case strings.HasPrefix(fsType, "nfs"), strings.HasPrefix(fsType, "ceph"), strings.HasPrefix(fsType, "gfs"),
		slices.Contains([]string{"cifs", "smb3", "9p", "virtiofs", "afs", "lustre", "glusterfs"}, fsType):
		return "it is not on a disk of this guest: its server holds it"
	case fsType == "fuse", strings.HasPrefix(fsType, "fuse."):
		return "it is not on a disk of this guest: a FUSE program holds it"
	case fsType == "overlay", fsType == "aufs", fsType == "unionfs":
		return "its writes land on the filesystem of its upper layer"
	default:
		return "it is not on a disk: it is kept in memory"
	}
}
