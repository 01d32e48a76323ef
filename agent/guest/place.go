package guest

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// place fills in where the disk is plugged in, from its path in /sys, of which
// these are the shapes:
//
//	/sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda/vda1
//	/sys/devices/pci0000:00/0000:00:05.0/virtio2/host2/target2:0:0/2:0:0:1/block/sda
//	/sys/devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda
//	/sys/devices/css0/0.0.0005/0.0.0003/virtio1/block/vda
//
// A path of another shape leaves the disk as it is.
func (r Root) place(disk *Disk, dir string) {
	parts := strings.Split(dir, "/")
	if pci := slices.IndexFunc(parts, isPCIRoot); pci >= 0 {
		r.placePCI(disk, parts, pci+1)
		return
	}
	if css := slices.IndexFunc(parts, isChannelSubsystem); css >= 0 {
		ccw, ok := parseCCW(parts[css+1:])
		if !ok {
			return
		}
		disk.CCW = ccw
	}
	placeVirtio(disk, parts)
}

// isPCIRoot knows the directory of a PCI host bridge: pci0000:00.
func isPCIRoot(part string) bool {
	rest, ok := strings.CutPrefix(part, "pci")
	_, hex := hexFields(rest, ":")
	return ok && hex
}

// isChannelSubsystem knows the directory of an s390 channel subsystem: css0.
func isChannelSubsystem(part string) bool {
	rest, ok := strings.CutPrefix(part, "css")
	_, hex := hexFields(rest)
	return ok && hex
}

// placePCI walks from bridge to bridge down to the first function with a
// driver whose disks we can place. parts[at] is the first function.
func (r Root) placePCI(disk *Disk, parts []string, at int) {
	for ; at < len(parts); at++ {
		n, ok := hexFields(parts[at], ":", ":", ".")
		if !ok {
			return
		}
		function := strings.Join(parts[:at+1], "/")
		driver, err := os.Readlink(r.below(function + "/driver"))
		if err != nil {
			continue
		}
		if r.placeByDriver(disk, path.Base(driver), parts) {
			disk.Controller = PCIAddress{Domain: n[0], Bus: n[1], Slot: n[2], Function: n[3]}
			return
		}
	}
}

// placeByDriver applies the rule of one controller driver and tells whether
// there is one. A rule that the path does not fit leaves the disk's bus
// unknown.
func (r Root) placeByDriver(disk *Disk, driver string, parts []string) bool {
	scsi, onSCSI := scsiAddress(parts)
	switch driver {
	case "virtio-pci":
		disk.BusType = BusVirtio
		if onSCSI { // without the target libvirt takes it for that of target 0
			disk.BusType, disk.Target, disk.Unit = BusSCSI, scsi.target, scsi.lun
		}
	case "ata_piix": // a port per IDE bus, on which the target is the unit
		if port, ok := r.portIndex(parts); ok && onSCSI {
			disk.BusType, disk.Bus, disk.Unit = BusIDE, port, scsi.target
		}
	case "ahci": // a port per disk
		if port, ok := r.portIndex(parts); ok && onSCSI {
			disk.BusType, disk.Unit = BusSATA, port
		}
	case "sym53c8xx":
		if onSCSI {
			disk.BusType, disk.Unit = BusSCSI, scsi.target
		}
	case "nvme":
		disk.BusType = BusNVMe
	case "xhci_hcd", "ehci-pci":
		disk.BusType = BusUSB
	default:
		return false
	}
	return true
}

// placeVirtio places a virtio disk that is not on PCI (s390, virtio-mmio).
func placeVirtio(disk *Disk, parts []string) {
	virtio := slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(part, "virtio") })
	if !virtio || !slices.Contains(parts, "block") {
		return
	}
	disk.BusType = BusVirtio
	if a, ok := scsiAddress(parts); ok {
		disk.BusType, disk.Bus, disk.Target, disk.Unit = BusSCSI, a.channel, a.target, a.lun
	}
}

// portIndex counts at which of its controller's ports a disk is: the position
// of its ataN (or hostN) among those beside it, in the order of their numbers.
// The numbers themselves run on over all controllers of the guest.
func (r Root) portIndex(parts []string) (int, bool) {
	prefix := "ata"
	at := slices.IndexFunc(parts, func(part string) bool { return strings.HasPrefix(part, prefix) })
	if at < 0 {
		prefix = "host"
		at = slices.IndexFunc(parts, func(part string) bool { return strings.HasPrefix(part, prefix) })
	}
	if at < 0 {
		return 0, false
	}
	own, ok := numbered(parts[at], prefix)
	if !ok {
		return 0, false
	}
	entries, err := r.ReadDir(strings.Join(parts[:at], "/"))
	if err != nil {
		return 0, false
	}
	index := 0
	for _, e := range entries {
		if n, ok := numbered(e.Name(), prefix); ok && n < own {
			index++
		}
	}
	return index, true
}

// scsi is the address of a SCSI device below its host.
type scsi struct {
	channel, target, lun int
}

// scsiAddress reads the address from the component behind the target's:
// target2:0:0/2:0:0:1.
func scsiAddress(parts []string) (scsi, bool) {
	at := slices.IndexFunc(parts, func(part string) bool { return strings.HasPrefix(part, "target") })
	if at < 0 || at+1 >= len(parts) {
		return scsi{}, false
	}
	fields := strings.Split(parts[at+1], ":")
	if len(fields) != 4 {
		return scsi{}, false
	}
	var n [4]int
	for i, f := range fields {
		v, err := strconv.ParseUint(f, 10, 31)
		if err != nil {
			return scsi{}, false
		}
		n[i] = int(v)
	}
	return scsi{channel: n[1], target: n[2], lun: n[3]}, true
}

// parseCCW reads a subchannel and the device behind it: 0.0.0005/0.0.0003.
func parseCCW(parts []string) (*CCWAddress, bool) {
	if len(parts) < 2 {
		return nil, false
	}
	sub, ok := hexFields(parts[0], ".", ".")
	dev, ok2 := hexFields(parts[1], ".", ".")
	if !ok || !ok2 {
		return nil, false
	}
	return &CCWAddress{CSSID: sub[0], SSID: sub[1], Subchannel: sub[2], Device: dev[2]}, true
}

// hexFields reads hexadecimal numbers with the separators between them.
func hexFields(s string, separators ...string) ([]int, bool) {
	fields := make([]int, 0, len(separators)+1)
	for i := 0; ; i++ {
		field, rest := s, ""
		if i < len(separators) {
			var found bool
			if field, rest, found = strings.Cut(s, separators[i]); !found {
				return nil, false
			}
		}
		n, err := strconv.ParseUint(field, 16, 31)
		if err != nil {
			return nil, false
		}
		fields = append(fields, int(n))
		if i == len(separators) {
			return fields, true
		}
		s = rest
	}
}

// numbered reads the number in a name like ata3.
func numbered(name, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), err == nil
}
