package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFSInfo(t *testing.T) {
	const noPCI = `{"domain": -1, "bus": -1, "slot": -1, "function": -1}`
	for name, want := range map[string]string{
		"debian12-virtio": `[
			{"name": "8:77", "mountpoint": "/mnt/gone", "type": "ext4", "disk": []},
			{"name": "loop0", "mountpoint": "/mnt/image", "type": "iso9660", "disk": []},
			{"name": "sda", "mountpoint": "/srv/my data", "type": "xfs", "disk": [{
				"bus-type": "scsi", "bus": 0, "target": 0, "unit": 3,
				"pci-controller": {"domain": 0, "bus": 0, "slot": 5, "function": 0},
				"serial": "0QEMU_QEMU_HARDDISK_data-disk", "dev": "/dev/sda"}]},
			{"name": "vda15", "mountpoint": "/boot/efi", "type": "vfat", "disk": [{
				"bus-type": "virtio", "bus": 0, "target": 0, "unit": 0,
				"pci-controller": {"domain": 0, "bus": 0, "slot": 2, "function": 0},
				"serial": "root-disk", "dev": "/dev/vda15"}]},
			{"name": "vda1", "mountpoint": "/", "type": "ext4", "disk": [{
				"bus-type": "virtio", "bus": 0, "target": 0, "unit": 0,
				"pci-controller": {"domain": 0, "bus": 0, "slot": 2, "function": 0},
				"serial": "root-disk", "dev": "/dev/vda1"}]}]`,
		"s390x-ccw": `[
			{"name": "sda", "mountpoint": "/scsi", "type": "ext4", "disk": [{
				"bus-type": "scsi", "bus": 0, "target": 2, "unit": 9, "pci-controller": ` + noPCI + `,
				"serial": "0QEMU_QEMU_HARDDISK_s1", "dev": "/dev/sda",
				"ccw-address": {"cssid": 0, "ssid": 0, "subchno": 7, "devno": 65025}}]},
			{"name": "dasda1", "mountpoint": "/dasd", "type": "ext4", "disk": [{
				"bus-type": "unknown", "bus": 0, "target": 0, "unit": 0, "pci-controller": ` + noPCI + `,
				"serial": "0X0200", "dev": "/dev/dasda1",
				"ccw-address": {"cssid": 0, "ssid": 1, "subchno": 161, "devno": 512}}]},
			{"name": "vda1", "mountpoint": "/", "type": "ext4", "disk": [{
				"bus-type": "virtio", "bus": 0, "target": 0, "unit": 0, "pci-controller": ` + noPCI + `,
				"serial": "s390root", "dev": "/dev/vda1",
				"ccw-address": {"cssid": 0, "ssid": 0, "subchno": 5, "devno": 3}}]}]`,
	} {
		got, err := captured(t, name).fsInfo(t.Context(), noArgs{})
		for i := range got { // of the disk that the tree is checked out on
			got[i].UsedBytes, got[i].TotalBytes, got[i].TotalBytesPrivileged = nil, nil, nil
		}
		requireWire(t, want, got, err)
	}
}

func TestFSInfoTellsSpaceTogetherOrNotAtAll(t *testing.T) {
	got, err := captured(t, "debian12-virtio").fsInfo(t.Context(), noArgs{})
	require.NoError(t, err)
	known := 0
	for _, fs := range got {
		require.Equal(t, fs.UsedBytes == nil, fs.TotalBytes == nil)
		require.Equal(t, fs.UsedBytes == nil, fs.TotalBytesPrivileged == nil)
		if fs.UsedBytes == nil {
			continue
		}
		known++
		require.LessOrEqual(t, *fs.UsedBytes, *fs.TotalBytes)
		require.LessOrEqual(t, *fs.TotalBytes, *fs.TotalBytesPrivileged)
	}
	require.Equal(t, 1, known, "only / exists in the captured tree")
}
