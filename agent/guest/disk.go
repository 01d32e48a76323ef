package guest

import (
	"path"
	"slices"
	"strings"
)

// Bus types of disks, in the words of the protocol's GuestDiskBusType.
const (
	BusUnknown = "unknown"
	BusVirtio  = "virtio"
	BusSCSI    = "scsi"
	BusIDE     = "ide"
	BusSATA    = "sata"
	BusNVMe    = "nvme"
	BusUSB     = "usb"
)

// Disk tells where a disk, or the disk of a partition, is plugged in, in the
// terms in which the host configured it.
type Disk struct {
	// BusType is one of the Bus constants.
	BusType string
	// Bus, Target and Unit address the disk on its controller; 0 where the
	// bus has no such thing.
	Bus, Target, Unit int
	// Controller is the PCI function of the disk's controller.
	Controller PCIAddress
	// CCW is where an s390 disk is attached, nil for all others.
	CCW *CCWAddress
	// Serial is udev's ID_SERIAL, or where there is no udev what a
	// virtio-blk disk calls its serial number; empty if neither is known.
	Serial string
	// Node is the device node of the disk or partition: "/dev/vda1"; empty if
	// the kernel names none.
	Node string
}

// PCIAddress is the address of a PCI function. All members are -1 where it is
// not known.
type PCIAddress struct {
	Domain, Bus, Slot, Function int
}

// noPCI is the address of a disk that is not on a PCI bus we know.
var noPCI = PCIAddress{-1, -1, -1, -1}

// CCWAddress is the address of an s390 channel subsystem device.
type CCWAddress struct {
	CSSID, SSID, Subchannel, Device int
}

// maxStack bounds how deep block devices are looked for below one another.
const maxStack = 16

// disksOf follows a link in /sys to a block device and returns the device's
// kernel name and the disks it lies on: itself, or those below a device that
// is made of others (device-mapper, md, bcache). A device that does not exist
// (any more) has the link's name and no disks.
func (r Root) disksOf(link string) (name string, disks []Disk) {
	dir, err := r.Real(link)
	if err != nil {
		return path.Base(link), nil
	}
	return path.Base(dir), r.appendDisks(nil, dir, maxStack)
}

func (r Root) appendDisks(disks []Disk, dir string, depth int) []Disk {
	if !strings.Contains(dir, "/devices/virtual/block/") {
		if disk := r.disk(dir); disk != (Disk{BusType: BusUnknown, Controller: noPCI}) {
			disks = append(disks, disk)
		}
		return disks
	}
	if depth == 0 {
		return disks
	}
	slaves, err := r.ReadDir(dir + "/slaves")
	if err != nil {
		return disks
	}
	for _, slave := range slaves {
		below, err := r.Real(dir + "/slaves/" + slave.Name())
		if err == nil {
			disks = r.appendDisks(disks, below, depth-1)
		}
	}
	return disks
}

// disk describes the disk or partition with the directory dir in /sys.
func (r Root) disk(dir string) Disk {
	disk := Disk{BusType: BusUnknown, Controller: noPCI}
	r.place(&disk, r.controllerPath(dir))
	uevent := r.properties(dir + "/uevent")
	if name := uevent["DEVNAME"]; name != "" {
		disk.Node = "/dev/" + name
	}
	number := uevent["MAJOR"] + ":" + uevent["MINOR"]
	if f, err := r.Open("/run/udev/data/b" + number); err == nil {
		disk.Serial = parseUdevData(f)["ID_SERIAL"]
		_ = f.Close()
	} else if disk.BusType == BusVirtio {
		disk.Serial = r.virtioSerial(dir, uevent["DEVTYPE"])
	}
	return disk
}

// virtioSerial reads the serial number that virtio-blk tells, which is all
// that udev's rules would make ID_SERIAL of.
func (r Root) virtioSerial(dir, devtype string) string {
	if devtype == "partition" {
		dir = path.Dir(dir)
	}
	data, err := r.ReadFile(dir + "/serial")
	if err != nil {
		return ""
	}
	return trimLine(data)
}

// properties reads a file of assignments; one that cannot be read has none.
func (r Root) properties(name string) map[string]string {
	f, err := r.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	return parseProperties(f)
}

// controllerPath returns a path in /sys that leads through the disk's
// controller. It is dir itself except for NVMe namespaces that several
// controllers could reach: those hang below a virtual subsystem
//
//	/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1
//
// with a link to each controller, of which the first is taken.
func (r Root) controllerPath(dir string) string {
	parts := strings.Split(dir, "/")
	at := slices.Index(parts, "nvme-subsystem")
	if at < 0 || at+1 >= len(parts) {
		return dir
	}
	subsystem := strings.Join(parts[:at+2], "/")
	entries, err := r.ReadDir(subsystem)
	if err != nil {
		return dir
	}
	for _, e := range entries {
		if _, ok := numbered(e.Name(), "nvme"); !ok {
			continue
		}
		if controller, err := r.Real(subsystem + "/" + e.Name()); err == nil {
			return controller
		}
	}
	return dir
}

// trimLine takes the white space from the end of a file of one line.
func trimLine(data []byte) string {
	return strings.TrimRight(string(data), " \t\n")
}
