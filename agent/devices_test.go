package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
)

// treeOf makes a guest of files.
func treeOf(t *testing.T, files map[string]string) *Agent {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	return New(Config{Root: guest.Root(root)})
}

func TestVCPUs(t *testing.T) {
	require.JSONEq(t, `{"return": [
		{"logical-id": 0, "online": true, "can-offline": false},
		{"logical-id": 1, "online": true, "can-offline": true},
		{"logical-id": 2, "online": false, "can-offline": true},
		{"logical-id": 10, "online": true, "can-offline": true}]}`,
		answered(t, captured(t, "debian12-virtio"), "guest-get-vcpus", ""))
	require.Contains(t, answered(t, captured(t, "alpine-minimal"), "guest-get-vcpus", ""),
		"cannot list the processors: No such file or directory")
}

func TestSetVCPUs(t *testing.T) {
	const dir = "/sys/devices/system/cpu/"
	a := treeOf(t, map[string]string{
		dir + "cpu0/x": "", dir + "cpu1/online": "1\n", dir + "cpu2/online": "0\n", dir + "cpu3/online": "1\n",
	})
	at := func(cpu string) string {
		return string(contents(t, string(a.root)+dir+cpu+"/online"))
	}
	set := func(vcpus string) string { return answered(t, a, "guest-set-vcpus", `{"vcpus":`+vcpus+`}`) }
	require.Equal(t, `{"return": 0}`, set(`[]`))
	require.Equal(t, `{"return": 3}`, set(`[{"logical-id":0,"online":true},
		{"logical-id":1,"online":false,"can-offline":false},{"logical-id":2,"online":true}]`))
	require.Equal(t, "0\n", at("cpu1"), "one byte is written")
	require.Equal(t, "1\n", at("cpu2"))

	require.Contains(t, set(`[{"logical-id":0,"online":false}]`), "logical processor #0 can't be offlined")
	require.Contains(t, set(`[{"logical-id":9,"online":true}]`), "Could not open '/sys/devices/system/cpu/cpu9/': No such file or directory")
	require.Contains(t, set(`[{"logical-id":-1,"online":true}]`), "Could not open '/sys/devices/system/cpu/cpu-1/': No such file or directory")
	require.Equal(t, `{"return": 1}`, set(`[{"logical-id":3,"online":false},{"logical-id":0,"online":false},{"logical-id":1,"online":true}]`))
	require.Equal(t, "0\n", at("cpu3"))
	require.Equal(t, "0\n", at("cpu1"), "it stops at the first that fails")
	require.Contains(t, set(`[{"logical-id":1}]`), "Parameter 'vcpus[0].online' is missing")
}

func TestMemoryBlocks(t *testing.T) {
	a := captured(t, "debian12-virtio")
	require.JSONEq(t, `{"return": [
		{"phys-index": 0, "online": true, "can-offline": false},
		{"phys-index": 1, "online": true, "can-offline": true},
		{"phys-index": 7, "online": false, "can-offline": true},
		{"phys-index": 32, "online": true, "can-offline": false}]}`, answered(t, a, "guest-get-memory-blocks", ""))
	require.JSONEq(t, `{"return": {"size": 134217728}}`, answered(t, a, "guest-get-memory-block-info", ""))

	a = captured(t, "alpine-minimal")
	require.JSONEq(t, `{"return": []}`, answered(t, a, "guest-get-memory-blocks", ""))
	require.Contains(t, answered(t, a, "guest-get-memory-block-info", ""), "No such file or directory")
	a = treeOf(t, map[string]string{"/sys/devices/system/memory/probe": ""})
	require.Contains(t, answered(t, a, "guest-get-memory-blocks", ""), "guest reported zero memory blocks!")
}

func TestSetMemoryBlocks(t *testing.T) {
	const dir = "/sys/devices/system/memory/"
	a := treeOf(t, map[string]string{
		dir + "memory0/state": "online\n", dir + "memory1/state": "offline\n", dir + "memory2/x": "",
	})
	require.JSONEq(t, `{"return": [
		{"phys-index": 0, "response": "success"},
		{"phys-index": 1, "response": "success"},
		{"phys-index": 2, "response": "operation-not-supported", "error-code": 2},
		{"phys-index": 18446744073709551615, "response": "not-found", "error-code": 2}]}`,
		answered(t, a, "guest-set-memory-blocks", `{"mem-blks":[{"phys-index":0,"online":false},
		{"phys-index":1,"online":true,"can-offline":true},{"phys-index":2,"online":false},{"phys-index":-1,"online":true}]}`))
	require.Equal(t, "offline", string(contents(t, string(a.root)+dir+"memory0/state")))
	require.JSONEq(t, `{"return": [{"phys-index": 0, "response": "operation-not-supported", "error-code": 2}]}`,
		answered(t, treeOf(t, nil), "guest-set-memory-blocks", `{"mem-blks":[{"phys-index":0,"online":false}]}`),
		"a kernel without memory hotplug")
	require.Equal(t, "onlinee\n", string(contents(t, string(a.root)+dir+"memory1/state")), "the word alone is written")
}

func TestDisks(t *testing.T) {
	const pci = `"pci-controller": {"domain": 0, "bus": 0, "slot": 2, "function": 0}`
	a := captured(t, "debian12-virtio")
	list, err := a.disks(t.Context(), noArgs{})
	require.NoError(t, err)
	requireWire(t, `{"name": "/dev/vda", "partition": false, "address": {"bus-type": "virtio", "bus": 0, "target": 0, "unit": 0,
		`+pci+`, "serial": "root-disk", "dev": "/dev/vda"}}`, list[1], nil)
	requireWire(t, `{"name": "/dev/vda1", "partition": true, "dependencies": ["/dev/vda"]}`, list[2], nil)
	list, err = captured(t, "rhel-lvm-multipath").disks(t.Context(), noArgs{})
	require.NoError(t, err)
	requireWire(t, `{"name": "/dev/dm-2", "partition": false, "dependencies": ["/dev/dm-1"], "alias": "data-pg"}`, list[2], nil)
	require.Contains(t, answered(t, treeOf(t, nil), "guest-get-disks", ""), "No such file or directory")
}

func TestSmartOf(t *testing.T) {
	require.Nil(t, smartOf(nil))
	got := smartOf(&guest.NVMeHealth{
		Kelvin: 300, Spare: 100, ErrorLogEntries: guest.Count128{Lo: 1, Hi: 2}, DataUnitsRead: guest.Count128{Lo: 3, Hi: 4},
	})
	require.Equal(t, &diskSmart{
		Type: "nvme", Temperature: 300, AvailableSpare: 100, ErrorLogEntriesLo: 1, ErrorLogEntriesHi: 2,
		DataUnitsReadLo: 3, DataUnitsReadHi: 4,
	}, got)
}

func TestDiskStats(t *testing.T) {
	got, err := captured(t, "debian12-virtio").diskStats(t.Context(), noArgs{})
	require.Len(t, got, 5)
	requireWire(t, `{"name": "vda", "major": 254, "minor": 0, "stats": {
		"read-ios": 27212, "read-merges": 4407, "read-sectors": 2082954, "read-ticks": 5720,
		"write-ios": 121020, "write-merges": 157313, "write-sectors": 4646864, "write-ticks": 58404,
		"ios-pgr": 1, "total-ticks": 35684, "weight-ticks": 67120,
		"discard-ios": 12, "discard-merges": 3, "discard-sectors": 4096, "discard-ticks": 30,
		"flush-ios": 2918, "flush-ticks": 640}}`, got[1], err)
	requireWire(t, `{"name": "sda", "major": 8, "minor": 0, "stats": {
		"read-ios": 310, "read-merges": 0, "read-sectors": 9408, "read-ticks": 110,
		"write-ios": 20, "write-merges": 2, "write-sectors": 176, "write-ticks": 30,
		"ios-pgr": 0, "total-ticks": 120, "weight-ticks": 140}}`, got[3], nil)
	requireWire(t, `{"read-ios": 1, "read-sectors": 2, "write-ios": 3, "write-sectors": 4}`, diskStatsOf([]uint64{1, 2, 3, 4}), nil)
	requireWire(t, `{}`, diskStatsOf([]uint64{1, 2, 3, 4, 5}), nil)
	require.Contains(t, answered(t, treeOf(t, nil), "guest-get-diskstats", ""), "No such file or directory")
}

func TestCPUStats(t *testing.T) {
	got, err := captured(t, "debian12-virtio").cpuStats(t.Context(), noArgs{})
	requireWire(t, `[
		{"type": "linux", "cpu": 0, "user": 1023320, "nice": 8110, "system": 279930, "idle": 10800210,
		"iowait": 5010, "irq": 100, "softirq": 700, "steal": 3910, "guest": 50, "guestnice": 60},
		{"type": "linux", "cpu": 10, "user": 1037930, "nice": 7330, "system": 281100, "idle": 10801890,
		"iowait": 7500, "irq": 0, "softirq": 4320, "steal": 3990, "guest": 0, "guestnice": 0}]`, got, err)
	got, err = treeOf(t, map[string]string{"/proc/stat": "cpu 1 2 3 4\ncpu0 1 2 3 4 5\nintr 0"}).cpuStats(t.Context(), noArgs{})
	requireWire(t, `[{"type": "linux", "cpu": 0, "user": 10, "nice": 20, "system": 30, "idle": 40, "iowait": 50}]`, got, err)
}

func TestLoad(t *testing.T) {
	got, err := New(Config{}).loadAverage(t.Context(), noArgs{})
	require.NoError(t, err)
	require.GreaterOrEqual(t, got.Load1m, 0.0)
}

func TestNetworkRoutes(t *testing.T) {
	got, err := captured(t, "debian12-virtio").networkRoutes(t.Context(), noArgs{})
	require.Len(t, got, 6)
	requireWire(t, `{"iface": "eth0", "destination": "192.0.2.0", "metric": 100, "gateway": "0.0.0.0", "mask": "255.255.255.0",
		"irtt": 0, "flags": 1, "refcnt": 0, "use": 0, "window": 0, "mtu": 1460, "version": 4}`, got[1], err)
	requireWire(t, `{"iface": "lo", "destination": "::1", "metric": 0, "flags": 2149580801, "refcnt": 2, "use": 0,
		"desprefixlen": "128", "source": "::", "srcprefixlen": "0", "nexthop": "::", "version": 6}`, got[4], nil)
	// A kernel without IPv6 has its IPv4 routes, one without both has none.
	got, err = captured(t, "alpine-minimal").networkRoutes(t.Context(), noArgs{})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.JSONEq(t, `{"return": []}`, answered(t, treeOf(t, nil), "guest-network-get-route", ""))
}
