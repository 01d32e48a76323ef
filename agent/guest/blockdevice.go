package guest

import (
	"cmp"
	"os"
	"path"
	"slices"
	"strings"
)

// BlockDevice is a disk, a partition, or a device that is made of others.
type BlockDevice struct {
	// Node is the device node: "/dev/vda1".
	Node      string
	Partition bool
	// Below are the nodes of the devices that it lies on: a partition's disk,
	// a logical volume's physical ones. It is nil where the kernel does not
	// keep such a list.
	Below []string
	// Disk tells where a disk is plugged in; nil for partitions and for
	// devices that are no hardware.
	Disk *Disk
	// Alias is the name that device-mapper has for it: "rhel-root".
	Alias string
}

// BlockDevices lists the block devices that have a size, disks by their names
// and each with its partitions behind it.
func (r Root) BlockDevices() ([]BlockDevice, error) {
	const blockDir = "/sys/block"
	entries, err := r.ReadDir(blockDir)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return naturally(a.Name(), b.Name()) })
	var list []BlockDevice
	for _, e := range entries {
		dir, err := r.Real(blockDir + "/" + e.Name())
		if err != nil || !r.hasSize(dir) {
			continue
		}
		if device, ok := r.blockDevice(dir); ok {
			list = append(list, device)
			list = r.appendPartitions(list, dir, device.Node)
		}
	}
	return list, nil
}

// hasSize tells whether a disk has sectors; an unused loop device and a drive
// without a medium have none.
func (r Root) hasSize(dir string) bool {
	size, err := r.firstLine(dir + "/size")
	return err == nil && size != "0"
}

// blockDevice describes the disk with the directory dir in /sys.
func (r Root) blockDevice(dir string) (BlockDevice, bool) {
	device := BlockDevice{Node: r.node(dir)}
	if device.Node == "" {
		return device, false
	}
	if slaves, err := r.ReadDir(dir + "/slaves"); err == nil {
		device.Below = []string{}
		for _, s := range slaves {
			below, err := r.Real(dir + "/slaves/" + s.Name())
			if err != nil {
				continue
			}
			if node := r.node(below); node != "" {
				device.Below = append(device.Below, node)
			}
		}
	}
	if strings.Contains(dir, "/devices/virtual/block/") {
		device.Alias = r.mapperName(dir)
		return device, true
	}
	disk := r.disk(dir)
	device.Disk = &disk
	return device, true
}

// appendPartitions adds the partitions of a disk: the directories below its
// own that have a number of a partition.
func (r Root) appendPartitions(list []BlockDevice, dir, disk string) []BlockDevice {
	entries, err := r.ReadDir(dir)
	if err != nil {
		return list
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return naturally(a.Name(), b.Name()) })
	for _, e := range entries {
		part := dir + "/" + e.Name()
		if !e.IsDir() || !strings.HasPrefix(e.Name(), path.Base(dir)) {
			continue
		}
		if node := r.node(part); node != "" {
			list = append(list, BlockDevice{Node: node, Partition: true, Below: []string{disk}})
		}
	}
	return list
}

// node returns the device node of a device in /sys, "" if it has none.
func (r Root) node(dir string) string {
	name := r.properties(dir + "/uevent")["DEVNAME"]
	if name == "" {
		return ""
	}
	return "/dev/" + name
}

// mapperName returns what device-mapper calls a device; udev knows, and the
// kernel where there is no udev.
func (r Root) mapperName(dir string) string {
	number, err := r.firstLine(dir + "/dev")
	if err == nil {
		if f, err := r.Open("/run/udev/data/b" + number); err == nil {
			defer func() { _ = f.Close() }()
			return parseUdevData(f)["DM_NAME"]
		}
	}
	name, _ := r.firstLine(dir + "/dm/name") // not of device-mapper
	return name
}

// naturally compares names so that vda2 comes before vda10, and sdz before
// sdaa.
func naturally(a, b string) int {
	trim := func(s string) string { return strings.TrimRight(s, "0123456789") }
	return cmp.Or(
		cmp.Compare(len(trim(a)), len(trim(b))), cmp.Compare(trim(a), trim(b)),
		cmp.Compare(len(a), len(b)), cmp.Compare(a, b),
	)
}
