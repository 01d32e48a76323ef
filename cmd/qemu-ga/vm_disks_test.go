package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// storage is a Debian with everything that makes disks of disks, and a client
// for a socket.
var storage = vm.Variant{
	Name:     "storage",
	Packages: []string{"lvm2", "mdadm", "socat"},
}

// device is how a disk is plugged in.
type device = map[string]any

// onSCSI is a SCSI disk of a controller.
func onSCSI(bus string, id, lun int, serial string) device {
	return device{"driver": "scsi-hd", "bus": bus + ".0", "channel": 0, "scsi-id": id, "lun": lun, "serial": serial}
}

// path is one of the two ways to the disk "mp".
func path(id int) device {
	d := onSCSI("paths", id, 0, "mp0")
	d["wwn"], d["share-rw"] = uint64(0x6000c29000000001), true
	return d
}

// storageConfig has a disk for each kind of controller that QEMU has and the
// agent, or QEMU's, has a rule for, and some for volumes.
func storageConfig() vm.Config {
	second := path(2)
	second["drive"] = "mp"
	return vm.Config{
		Controllers: []map[string]any{
			{"driver": "virtio-scsi-pci", "id": "vscsi", "addr": "0x10"},
			{"driver": "ahci", "id": "sata", "addr": "0x11"},
			{"driver": "lsi53c895a", "id": "lsi", "addr": "0x12"},
			{"driver": "megasas", "id": "mega", "addr": "0x13"},
			{"driver": "qemu-xhci", "id": "usb", "addr": "0x14"},
			{"driver": "virtio-scsi-pci", "id": "paths", "addr": "0x15"},
			second,
		},
		Disks: []vm.Disk{
			{Name: "blk", FS: "ext4", Device: device{"driver": "virtio-blk-pci", "id": "gone", "serial": "blk0", "addr": "0x16"}},
			{Name: "scsi", FS: "ext4", Device: onSCSI("vscsi", 3, 2, "scsi0")},
			{Name: "sata", FS: "ext4", Device: device{"driver": "ide-hd", "bus": "sata.2", "serial": "sata0"}},
			{Name: "ide", FS: "ext4", Device: device{"driver": "ide-hd", "bus": "ide.1", "unit": 1, "serial": "ide0"}},
			{Name: "nvme", FS: "ext4", Device: device{"driver": "nvme", "serial": "nvme0", "addr": "0x17"}},
			{Name: "lsi", FS: "ext4", Device: onSCSI("lsi", 4, 0, "lsi0")},
			{Name: "mega", FS: "ext4", Device: device{"driver": "scsi-hd", "bus": "mega.0", "scsi-id": 1, "serial": "mega0"}},
			{Name: "usb", FS: "ext4", Device: device{"driver": "usb-storage", "bus": "usb.0", "serial": "usb0"}},
			{Name: "mp", FS: "ext4", Device: path(1)},
			{Name: "pv1", SizeMiB: 64, Device: onSCSI("vscsi", 4, 0, "pv1")},
			{Name: "pv2", SizeMiB: 64, Device: onSCSI("vscsi", 4, 1, "pv2")},
			{Name: "md1", SizeMiB: 64, Device: onSCSI("vscsi", 5, 0, "md1")},
			{Name: "md2", SizeMiB: 64, Device: onSCSI("vscsi", 5, 1, "md2")},
			{Name: "bt1", SizeMiB: 128, Device: onSCSI("vscsi", 6, 0, "bt1")},
			{Name: "bt2", SizeMiB: 128, Device: onSCSI("vscsi", 6, 1, "bt2")},
		},
	}
}

// makeVolumes makes what lies on several disks, and mounts everything.
const makeVolumes = `
set -eu
udevadm settle
devices() { for file in $(grep -lE "^E:ID_SERIAL(_SHORT)?=$1\$" /run/udev/data/b*); do echo /dev/block/${file##*/b}; done; }
device() { readlink -f $(devices $1); }
vgcreate -q vg $(device pv1) $(device pv2)
lvcreate -q -y -n lv -l 100%FREE -i 2 vg
yes | mdadm -q --create /dev/md0 --level=1 --raid-devices=2 --metadata=1.2 $(device md1) $(device md2)
modprobe dm-round-robin
set -- $(devices 36000c29000000001)
dmsetup create mpath --table "0 $(blockdev --getsz $1) multipath 0 0 1 1 round-robin 0 2 0 ${1##*/} ${2##*/}"
mkfs.ext4 -q /dev/vg/lv
mkfs.ext4 -q /dev/md0
mkfs.btrfs -q -m raid1 -d raid1 $(device bt1) $(device bt2)
udevadm settle
for serial in blk0 scsi0 sata0 ide0 nvme0 lsi0 mega0 usb0; do
	mkdir /mnt/$serial; mount $(device $serial) /mnt/$serial
done
mkdir /mnt/lv /mnt/md /mnt/mpath /mnt/btrfs
mount /dev/vg/lv /mnt/lv
mount /dev/md0 /mnt/md
mount $(device bt1) /mnt/btrfs
mount /dev/mapper/mpath /mnt/mpath
truncate -s 40M /root/loop; mkfs.ext4 -q /root/loop; mkdir /mnt/loop; mount /root/loop /mnt/loop
`

// place is where a disk is, as guest-get-fsinfo tells it.
type place struct {
	BusType           string `json:"bus-type"`
	Bus, Target, Unit int
	Controller        struct{ Domain, Bus, Slot, Function int } `json:"pci-controller"`
	Serial, Dev       string
}

// TestVMDisks asks where disks are that are plugged in in every way that QEMU
// has, and QEMU's own agent as well.
func TestVMDisks(t *testing.T) {
	config := storageConfig()
	config.Files = vm.AgentFiles(t)
	config.Files["/reference"] = vm.Reference(t)
	v := vm.StartDebian(t, vm.Debian{Config: config, Variant: storage})
	ran := v.Try(5*time.Minute, "/bin/sh", "-c", makeVolumes)
	require.Zero(t, ran.Status, ran.Output)
	agent := v.Agent()
	agent.Sync(settle)

	disks := map[string][]place{}
	var mounted []struct {
		Mountpoint string
		Disk       []place
	}
	require.NoError(t, json.Unmarshal(agent.Call("guest-get-fsinfo", nil), &mounted))
	for _, m := range mounted {
		disks[m.Mountpoint] = m.Disk
	}
	for point, want := range map[string]string{
		"/":          "virtio 0.0.0 of 0:0:3.0 root",
		"/mnt/blk0":  "virtio 0.0.0 of 0:0:22.0 blk0",
		"/mnt/scsi0": "scsi 0.3.2 of 0:0:16.0 0QEMU_QEMU_HARDDISK_scsi0",
		"/mnt/sata0": "sata 0.0.2 of 0:0:17.0 QEMU_HARDDISK_sata0",
		"/mnt/ide0":  "ide 1.0.1 of 0:0:1.1 QEMU_HARDDISK_ide0",
		"/mnt/nvme0": "nvme 0.0.0 of 0:0:23.0 QEMU_NVMe_Ctrl_nvme0_1",
		"/mnt/lsi0":  "scsi 0.0.4 of 0:0:18.0 0QEMU_QEMU_HARDDISK_lsi0",
		"/mnt/usb0":  "usb 0.0.0 of 0:0:20.0 QEMU_QEMU_HARDDISK_usb0-0:0",
		// There is no rule for its driver; libvirt still finds all members.
		"/mnt/mega0": "unknown 0.0.0 of -1:-1:-1.-1 0QEMU_QEMU_HARDDISK_mega0",
		"/mnt/lv":    "scsi 0.4.0 of 0:0:16.0 0QEMU_QEMU_HARDDISK_pv1, scsi 0.4.1 of 0:0:16.0 0QEMU_QEMU_HARDDISK_pv2",
		"/mnt/md":    "scsi 0.5.0 of 0:0:16.0 0QEMU_QEMU_HARDDISK_md1, scsi 0.5.1 of 0:0:16.0 0QEMU_QEMU_HARDDISK_md2",
		"/mnt/btrfs": "scsi 0.6.0 of 0:0:16.0 0QEMU_QEMU_HARDDISK_bt1, scsi 0.6.1 of 0:0:16.0 0QEMU_QEMU_HARDDISK_bt2",
		"/mnt/mpath": "scsi 0.1.0 of 0:0:21.0 36000c29000000001, scsi 0.2.0 of 0:0:21.0 36000c29000000001",
		"/mnt/loop":  "",
	} {
		var all []string
		for _, d := range disks[point] {
			c := d.Controller
			all = append(all, fmt.Sprintf("%s %d.%d.%d of %d:%d:%d.%d %s",
				d.BusType, d.Bus, d.Target, d.Unit, c.Domain, c.Bus, c.Slot, c.Function, d.Serial))
		}
		slices.Sort(all)
		require.Equal(t, want, strings.Join(all, ", "), point)
	}

	t.Run("as qemu-ga", func(t *testing.T) { testSameDisks(t, v.In(t), agent) })
	t.Run("a disk vanishes", func(t *testing.T) { testVanishingDisk(t, v.In(t), agent) })
}

// testSameDisks has QEMU's agent in the same guest tell the same, but for what
// compat/DIFFERENCES.md says of disks.
func testSameDisks(t *testing.T, v *vm.VM, agent *vm.Agent) {
	v.Sh("mkdir -p /run/theirs; systemd-run -q /reference/qemu-ga -m unix-listen -p /run/theirs/s -t /run/theirs; until [ -S /run/theirs/s ]; do sleep 0.1; done")
	for _, command := range []string{"guest-get-fsinfo", "guest-get-disks"} {
		var reply struct{ Return []map[string]any }
		answer := v.Sh(`echo '{"execute":"` + command + `"}' | socat -t60 - UNIX-CONNECT:/run/theirs/s`)
		require.NoError(t, json.Unmarshal([]byte(answer), &reply), answer)
		var ours []map[string]any
		require.NoError(t, json.Unmarshal(agent.Call(command, nil), &ours))
		requireNoTargets(t, reply.Return)
		require.Equal(t, steady(reply.Return), steady(ours), command)
	}
}

// places are where a list's filesystem or disk is.
func places(element map[string]any) (all []map[string]any) {
	disks, _ := element["disk"].([]any)
	for _, d := range append(disks, element["address"]) {
		if place, ok := d.(map[string]any); ok {
			all = append(all, place)
		}
	}
	return all
}

// requireNoTargets says that a list has disks of which it could tell a target,
// and does not.
func requireNoTargets(t *testing.T, list []map[string]any) {
	t.Helper()
	onSCSI := 0
	for _, e := range list {
		for _, place := range places(e) {
			if place["bus-type"] == "scsi" {
				onSCSI++
				require.Zero(t, place["target"], "%v", place)
			}
		}
	}
	require.NotZero(t, onSCSI)
}

// steady takes from a list what changes from call to call, its order, and what
// is not the same on purpose: the targets of SCSI disks, and the disks of a
// btrfs beyond that which the mount table names.
func steady(list []map[string]any) map[string]any {
	byName := map[string]any{}
	for _, e := range list {
		delete(e, "used-bytes")
		delete(e, "total-bytes")
		for _, place := range places(e) {
			if place["bus-type"] == "scsi" {
				delete(place, "target")
			}
		}
		if disks, ok := e["disk"].([]any); ok && e["type"] == "btrfs" {
			e["disk"] = slices.DeleteFunc(disks, func(d any) bool { return d.(map[string]any)["dev"] != "/dev/"+e["name"].(string) })
		}
		if smart, ok := e["smart"].(map[string]any); ok {
			for key, value := range smart {
				smart[key] = fmt.Sprintf("%T", value)
			}
		}
		for _, key := range []string{"disk", "dependencies"} {
			if parts, ok := e[key].([]any); ok {
				slices.SortFunc(parts, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
		byName[fmt.Sprint(e["mountpoint"], " ", e["name"])] = e
	}
	return byName
}

// testVanishingDisk takes disks away under their filesystems.
func testVanishingDisk(t *testing.T, v *vm.VM, agent *vm.Agent) {
	seen := len(v.Events())
	v.QMP("device_del", map[string]any{"id": "gone"})
	v.WaitEvent(seen, "DEVICE_DELETED", map[string]any{"device": "gone"})
	var mounted []struct {
		Name, Mountpoint string
		Disk             []place
	}
	require.NoError(t, json.Unmarshal(agent.Call("guest-get-fsinfo", nil), &mounted))
	at := slices.IndexFunc(mounted, func(m struct {
		Name, Mountpoint string
		Disk             []place
	},
	) bool {
		return m.Mountpoint == "/mnt/blk0"
	})
	require.GreaterOrEqual(t, at, 0, "it is mounted still")
	require.Empty(t, mounted[at].Disk)
	var disks []struct{ Name string }
	require.NoError(t, json.Unmarshal(agent.Call("guest-get-disks", nil), &disks))
	for _, d := range disks {
		require.NotEqual(t, "/dev/vdb", d.Name)
	}
}
