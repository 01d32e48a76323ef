package guest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNetworkView(t *testing.T) {
	devices := "eth0 eth1"
	routed := map[string]bool{"eth1": true, "bond0": true}
	for _, c := range []struct {
		view NetworkView
		want string
	}{
		{NetworkView{}, "eth1 eth0 bond0 docker0 veth1 lo eth0:1"},
		{NetworkView{KernelOrder: true}, "lo docker0 eth0 veth1 eth1 bond0 eth0:1"},
		{NetworkView{PhysicalOnly: true}, "eth1 eth0 eth0:1"},
		{NetworkView{Exclude: []string{"veth*", "docker0", "lo"}}, "eth1 eth0 bond0 eth0:1"},
		{NetworkView{Exclude: []string{"eth0"}}, "eth1 bond0 docker0 veth1 lo"},
		{NetworkView{Max: 3}, "eth1 eth0 bond0"},
		{NetworkView{Max: 100, KernelOrder: true, PhysicalOnly: true}, "eth0 eth1 eth0:1"},
	} {
		var all []Interface
		for name := range strings.FieldsSeq("lo docker0 eth0 veth1 eth1 bond0") {
			all = append(all, Interface{Name: name, Stats: &InterfaceStats{}})
		}
		all = append(all, Interface{Name: "eth0:1"})
		var names []string
		for _, i := range c.view.of(all, func(n string) bool { return strings.Contains(devices, n) }, routed) {
			names = append(names, i.Name)
		}
		require.Equal(t, c.want, strings.Join(names, " "), "%+v", c.view)
	}
}

func TestDefaultRoutes(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(root+"/proc/net", 0o755))
	require.NoError(t, os.MkdirAll(root+"/sys/class/net/eth0/device", 0o755))
	require.NoError(t, os.WriteFile(root+"/proc/net/route", []byte(
		"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"+
			"eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"+
			"eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"), 0o644))
	require.NoError(t, os.WriteFile(root+"/proc/net/ipv6_route", []byte(
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 br0\n"+
			"00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n"), 0o644))
	require.Equal(t, map[string]bool{"eth0": true, "br0": true}, Root(root).defaultRoutes())
	require.True(t, Root(root).hasDevice("eth0"))
	require.False(t, Root(root).hasDevice("br0"))
	require.Empty(t, Root(t.TempDir()).defaultRoutes())
}
