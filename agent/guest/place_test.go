package guest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the buses of real guests look like is in the golden files; here is
// what no guest should show, and what the captured ones do not.
func TestPlace(t *testing.T) {
	const dev = "/sys/devices"
	r := tree(t, map[string]string{
		dev + "/pci0000:00/0000:00:02.0/driver":                          "->/drivers/virtio-pci",
		dev + "/platform/4010000000.pcie/pci0001:7f/0001:7f:1f.7/driver": "->/drivers/virtio-pci",
		dev + "/pci0000:00/0000:00:03.0/driver":                          "->/drivers/ahci",
		dev + "/pci0000:00/0000:00:04.0/driver":                          "->/drivers/pcieport",
		dev + "/pci0000:00/0000:00:05.0/driver":                          "->/drivers/ata_piix",
		dev + "/pci0000:00/0000:00:05.0/host4/x":                         "",
		dev + "/pci0000:00/0000:00:05.0/host10/x":                        "",
		dev + "/pci0000:00/0000:00:05.0/hosts/x":                         "",
	})
	unknown := Disk{BusType: BusUnknown, Controller: noPCI}
	for _, c := range []struct {
		dir  string
		want Disk
	}{
		{"/pci0000:00/0000:00:02.0/virtio0/block/vda", Disk{BusType: BusVirtio, Controller: PCIAddress{Slot: 2}}},
		{
			"/platform/4010000000.pcie/pci0001:7f/0001:7f:1f.7/virtio0/block/vda", // arm64 without ACPI
			Disk{BusType: BusVirtio, Controller: PCIAddress{Domain: 1, Bus: 0x7f, Slot: 0x1f, Function: 7}},
		},
		{
			"/pci0000:00/0000:00:02.0/virtio0/host2/target2:0:3/2:0:3:1/block/sda",
			Disk{BusType: BusSCSI, Target: 3, Unit: 1, Controller: PCIAddress{Slot: 2}},
		},
		// A driver whose rule the path does not fit: the address is known.
		{"/pci0000:00/0000:00:03.0/block/sda", Disk{BusType: BusUnknown, Controller: PCIAddress{Slot: 3}}},
		{"/pci0000:00/0000:00:03.0/ata1/host0/target0:0:0/0:0:0/block/sda", Disk{BusType: BusUnknown, Controller: PCIAddress{Slot: 3}}},
		{"/pci0000:00/0000:00:03.0/atax/host0/target0:0:0/0:0:0:0/block/sda", Disk{BusType: BusUnknown, Controller: PCIAddress{Slot: 3}}},
		// Ports count in the order of their numbers, not of their names.
		{
			"/pci0000:00/0000:00:05.0/host10/target10:0:1/10:0:1:0/block/sda",
			Disk{BusType: BusIDE, Bus: 1, Unit: 1, Controller: PCIAddress{Slot: 5}},
		},
		// Bridges without a disk driver below, no driver at all, no function.
		{"/pci0000:00/0000:00:04.0/block/sda", unknown},
		{"/pci0000:00/0000:00:09.0/0000:01:00.0/block/sda", unknown},
		{"/pci0000:00", unknown},
		{"/pcixyz/0000:00:02.0/virtio0/block/vda", Disk{BusType: BusVirtio, Controller: noPCI}},
		{"/css0/0.0.0005", unknown},
		{"/css0/0.0.zzzz/0.0.0003/virtio1/block/vda", unknown},
		{"/platform/virtio3/net/eth0", unknown},
		{"", unknown},
	} {
		got := unknown
		r.place(&got, dev+c.dir)
		require.Equal(t, c.want, got, c.dir)
	}
}

func TestDisksOfDevicesThatNest(t *testing.T) {
	files := map[string]string{
		"/sys/dev/block/253:0":                        "->../../devices/virtual/block/dm-0",
		"/sys/devices/virtual/block/dm-0/slaves/dm-0": "->../../dm-0", // no kernel does this
	}
	name, disks := tree(t, files).disksOf("/sys/dev/block/253:0")
	require.Equal(t, "dm-0", name)
	require.Empty(t, disks)

	name, disks = tree(t, nil).disksOf("/sys/dev/block/253:0")
	require.Equal(t, "253:0", name)
	require.Empty(t, disks)
}

// A btrfs lies on all its devices, though the mount table names one of them.
func TestDisksOfBtrfs(t *testing.T) {
	const dev, fs = "/sys/devices/pci0000:00", "/sys/fs/btrfs"
	files := map[string]string{
		"/proc/self/mountinfo":                              "28 1 0:34 /root / rw - btrfs /dev/vda3 rw\n29 28 0:35 / /mnt rw - btrfs /dev/vdd rw\n",
		"/sys/class/block/vda3/dev":                         "252:3\n",
		"/sys/class/block/vdd/dev":                          "252:48\n",
		"/sys/dev/block/252:3":                              "->../.." + strings.TrimPrefix(dev, "/sys") + "/0000:00:02.0/virtio0/block/vda/vda3",
		"/sys/dev/block/252:48":                             "->../.." + strings.TrimPrefix(dev, "/sys") + "/0000:00:05.0/virtio3/block/vdd",
		fs + "/features/free_space_tree":                    "0\n",
		fs + "/1234-other/devices/vdc":                      "->../../../../devices/pci0000:00/0000:00:04.0/virtio2/block/vdc",
		fs + "/5678-own/devices/vda3":                       "->../../../../devices/pci0000:00/0000:00:02.0/virtio0/block/vda/vda3",
		fs + "/5678-own/devices/vdb":                        "->../../../../devices/pci0000:00/0000:00:03.0/virtio1/block/vdb",
		fs + "/5678-own/devices/missing":                    "->../../../../devices/pci0000:00/0000:00:09.0/virtio9/block/vdz",
		dev + "/0000:00:04.0/virtio2/block/vdc/uevent":      "DEVNAME=vdc\n",
		dev + "/0000:00:05.0/virtio3/block/vdd/uevent":      "DEVNAME=vdd\n",
		dev + "/0000:00:02.0/virtio0/block/vda/vda3/uevent": "DEVNAME=vda3\n",
		dev + "/0000:00:03.0/virtio1/block/vdb/uevent":      "DEVNAME=vdb\n",
	}
	for slot := 2; slot <= 5; slot++ {
		files[fmt.Sprintf("%s/0000:00:%02d.0/driver", dev, slot)] = "->/drivers/virtio-pci"
	}
	list, err := tree(t, files).Filesystems(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	disk := func(slot int, node string) Disk {
		return Disk{BusType: BusVirtio, Controller: PCIAddress{Slot: slot}, Node: node}
	}
	require.Equal(t, []Disk{disk(5, "/dev/vdd")}, list[0].Disks, "one that the kernel does not list")
	require.Equal(t, "vda3", list[1].Device)
	require.Equal(t, []Disk{disk(2, "/dev/vda3"), disk(3, "/dev/vdb")}, list[1].Disks)
}

func FuzzPlace(f *testing.F) {
	f.Add("/sys/devices/pci0000:00/0000:00:05.0/virtio2/host2/target2:0:0/2:0:0:3/block/sda")
	f.Add("/sys/devices/css0/0.0.0005/0.0.0003/virtio1/block/vda")
	f.Add("/sys/devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda")
	r := Root(f.TempDir())
	f.Fuzz(func(t *testing.T, dir string) {
		disk := Disk{BusType: BusUnknown, Controller: noPCI}
		r.place(&disk, dir)
		require.Equal(t, noPCI, disk.Controller, "the root has no drivers")
		require.GreaterOrEqual(t, min(disk.Bus, disk.Target, disk.Unit), 0)
		if disk.BusType == BusVirtio {
			require.Contains(t, dir, "virtio")
		}
	})
}
