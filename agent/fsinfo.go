package agent

import (
	"context"

	"qemu-ga/agent/guest"
)

// filesystem is a member of the answer to guest-get-fsinfo.
type filesystem struct {
	// Name is the block device's name in the kernel: "vda1", "dm-0".
	Name string `json:"name"`
	// Mountpoint is where the filesystem was mounted first.
	Mountpoint string `json:"mountpoint"`
	// Type is the filesystem's type: "ext4".
	Type string `json:"type"`
	// UsedBytes is what is taken; the three sizes are missing together where
	// the filesystem does not answer.
	UsedBytes *uint64 `json:"used-bytes,omitzero"`
	// TotalBytes is what is taken and what ordinary users could still take.
	TotalBytes *uint64 `json:"total-bytes,omitzero"`
	// TotalBytesPrivileged is all there is, the reserve for root included.
	TotalBytesPrivileged *uint64 `json:"total-bytes-privileged,omitzero"`
	// Disk lists the disks that hold the filesystem; none for a loop device.
	Disk []diskAddress `json:"disk"`
}

// diskAddress tells where a disk is plugged in.
type diskAddress struct {
	// PCIController is the PCI function of the disk's controller. It is
	// always there: libvirt refuses the whole answer where it is missing.
	PCIController pciAddress `json:"pci-controller"`
	// BusType is the kind of bus: "virtio", "scsi", "unknown".
	BusType string `json:"bus-type"`
	// Bus is the bus of the controller that the disk is on.
	Bus int `json:"bus"`
	// Target is the disk's target number on the bus.
	Target int `json:"target"`
	// Unit is the disk's unit number.
	Unit int `json:"unit"`
	// Serial is the disk's serial number, as udev's ID_SERIAL has it.
	Serial string `json:"serial,omitzero"`
	// Dev is the device node of the disk or partition: "/dev/vda1".
	Dev string `json:"dev,omitzero"`
	// CCWAddress is where the disk is attached to an s390 guest.
	CCWAddress *ccwAddress `json:"ccw-address,omitzero"`
}

// pciAddress is the address of a PCI function; all -1 where it is unknown.
type pciAddress struct {
	// Domain is the PCI domain.
	Domain int `json:"domain"`
	// Bus is the bus in the domain.
	Bus int `json:"bus"`
	// Slot is the slot on the bus.
	Slot int `json:"slot"`
	// Function is the function in the slot.
	Function int `json:"function"`
}

// ccwAddress is the address of a device in an s390 channel subsystem.
type ccwAddress struct {
	// CSSID is the channel subsystem image.
	CSSID int `json:"cssid"`
	// SSID is the subchannel set.
	SSID int `json:"ssid"`
	// Subchno is the subchannel.
	Subchno int `json:"subchno"`
	// Devno is the device number.
	Devno int `json:"devno"`
}

// fsInfo answers guest-get-fsinfo. Lists the mounted filesystems that lie on
// disks, the last mounted first, each once. One that does not answer within two
// seconds, or that other mounts hide, is listed without sizes.
func (a *Agent) fsInfo(ctx context.Context, _ noArgs) ([]filesystem, error) {
	mounted, err := a.root.Filesystems(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]filesystem, 0, len(mounted))
	for _, m := range mounted {
		fs := filesystem{Name: m.Device, Mountpoint: m.Point, Type: m.Type, Disk: []diskAddress{}}
		if u := m.Usage; u != nil {
			fs.UsedBytes, fs.TotalBytes, fs.TotalBytesPrivileged = &u.Used, &u.Total, &u.Privileged
		}
		for _, disk := range m.Disks {
			fs.Disk = append(fs.Disk, addressOf(disk))
		}
		list = append(list, fs)
	}
	return list, nil
}

func addressOf(d guest.Disk) diskAddress {
	return diskAddress{
		PCIController: pciAddress(d.Controller),
		BusType:       d.BusType, Bus: d.Bus, Target: d.Target, Unit: d.Unit,
		Serial: d.Serial, Dev: d.Node,
		CCWAddress: ccwAddressOf(d.CCW),
	}
}

func ccwAddressOf(c *guest.CCWAddress) *ccwAddress {
	if c == nil {
		return nil
	}
	return &ccwAddress{CSSID: c.CSSID, SSID: c.SSID, Subchno: c.Subchannel, Devno: c.Device}
}
