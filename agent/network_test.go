package agent

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
)

func TestNetworkInterfacesWireForm(t *testing.T) {
	stats := &guest.InterfaceStats{
		RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDropped: 8,
	}
	mac := []byte{0x52, 0x54, 0, 0x12, 0x34, 0xff}
	for _, c := range []struct {
		in   guest.Interface
		want string
	}{
		{
			guest.Interface{Name: "eth0", HardwareAddr: mac, Stats: stats, Addrs: []netip.Prefix{
				netip.MustParsePrefix("192.0.2.7/24"), netip.MustParsePrefix("fe80::1/64"),
			}},
			`{"name": "eth0", "hardware-address": "52:54:00:12:34:ff",
			"ip-addresses": [
				{"ip-address": "192.0.2.7", "ip-address-type": "ipv4", "prefix": 24},
				{"ip-address": "fe80::1", "ip-address-type": "ipv6", "prefix": 64}],
			"statistics": {"rx-bytes": 1, "rx-packets": 2, "rx-errs": 3, "rx-dropped": 4,
				"tx-bytes": 5, "tx-packets": 6, "tx-errs": 7, "tx-dropped": 8}}`,
		},
		{
			guest.Interface{Name: "tun0", HardwareAddr: make([]byte, 6), Stats: stats}, // no address, no statistics
			`{"name": "tun0", "hardware-address": "00:00:00:00:00:00"}`,
		},
		{
			guest.Interface{Name: "odd:1", Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}}, // a label
			`{"name": "odd:1", "ip-addresses": [{"ip-address": "192.0.2.8", "ip-address-type": "ipv4", "prefix": 32}]}`,
		},
	} {
		requireWire(t, c.want, interfaceOf(c.in), nil)
	}
}

func TestNetworkInterfacesOfTheMachine(t *testing.T) {
	got, err := captured(t, "debian12-virtio").networkInterfaces(t.Context(), noArgs{})
	require.NoError(t, err)
	for _, i := range got {
		require.NotEmpty(t, i.Name)
		if i.Statistics != nil {
			require.NotEmpty(t, i.IPAddresses, i.Name)
		}
	}
}
