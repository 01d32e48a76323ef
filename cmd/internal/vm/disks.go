package vm

import (
	"fmt"
	"maps"
	"path/filepath"
	"testing"
)

// Disk is a disk of a guest.
type Disk struct {
	// Name is the disk's serial number in the guest.
	Name string
	// FS is the filesystem the disk is formatted with: ext4, xfs, btrfs, vfat
	// or none. The guest has it mounted at /mnt/NAME.
	FS string
	// SizeMiB is 0 for the smallest size that the filesystem likes.
	SizeMiB int
	// Seed, if there is any, are files of the host by their names on a vfat disk
	// with the label CIDATA: where cloud-init looks for its NoCloud data. The
	// test mounts it, if it has to; FS stays empty.
	Seed map[string]string
	// Device, if not nil, is how the disk is plugged in, as QEMU's device_add
	// has it, instead of as a virtio-blk device. Such a disk is not mounted, and
	// GuestDisk does not find it.
	Device map[string]any
}

// image is the file a disk is kept in at the moment: each snapshot leaves one
// behind and goes on in another.
type image struct {
	disk   Disk
	node   string // QEMU's name
	path   string
	format string
}

// mkfs is how a filesystem is made, and its smallest comfortable size in MiB.
var mkfs = map[string]struct {
	size int
	argv []string
}{
	"":      {size: 32},
	"ext4":  {size: 48, argv: []string{"mkfs.ext4", "-q"}},
	"xfs":   {size: 320, argv: []string{"mkfs.xfs", "-q"}},
	"btrfs": {size: 128, argv: []string{"mkfs.btrfs", "-q"}},
	"vfat":  {size: 32, argv: []string{"mkfs.vfat"}},
}

// makeImage makes the file of a disk, formatted.
func makeImage(t testing.TB, dir string, disk Disk) *image {
	t.Helper()
	how, ok := mkfs[disk.FS]
	if !ok {
		t.Fatalf("disk %s: no filesystem is called %q here", disk.Name, disk.FS)
	}
	size := max(disk.SizeMiB, how.size)
	path := imageFile(dir, disk.Name)
	runTool(t, "qemu-img", "create", "-q", "-f", "raw", path, fmt.Sprintf("%dM", size))
	if how.argv != nil {
		runTool(t, how.argv[0], append(how.argv[1:], path)...)
	}
	if disk.Seed != nil {
		addSeed(t, path, disk.Seed)
	}
	return &image{disk: disk, node: disk.Name, path: path, format: "raw"}
}

// addSeed fills the disk at path.
func addSeed(t testing.TB, path string, seed map[string]string) {
	t.Helper()
	runTool(t, "mkfs.vfat", "-n", "CIDATA", path)
	for name, source := range seed {
		runTool(t, "mcopy", "-i", path, source, "::"+name)
	}
}

// blockdev is QEMU's description of the image. The guest's flushes need not
// reach the host's disk: what the host reads afterwards is the same.
func (i *image) blockdev() map[string]any {
	return map[string]any{
		"driver": i.format, "node-name": i.node,
		"cache": map[string]any{"no-flush": true, "direct": false},
		"file":  map[string]any{"driver": "file", "filename": i.path},
	}
}

// device is QEMU's description of the disk.
func (i *image) device() map[string]any {
	if i.disk.Device != nil {
		device := maps.Clone(i.disk.Device)
		device["drive"] = i.node
		return device
	}
	return map[string]any{
		"driver": "virtio-blk-pci", "id": "dev-" + i.disk.Name,
		"drive": i.node, "serial": i.disk.Name,
	}
}

// ImageFile returns the file in which a disk was kept when the guest booted.
func (v *VM) ImageFile(name string) string {
	return imageFile(v.dir, name)
}

func imageFile(dir, name string) string {
	return filepath.Join(dir, name+".raw")
}
