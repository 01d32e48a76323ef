package guest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

type attr struct {
	kind  uint16
	value []byte
}

// message makes a netlink message of a fixed part and attributes.
func message(kind, flags uint16, fixed []byte, attrs ...attr) []byte {
	pad := func(b []byte) []byte { return append(b, make([]byte, align4(len(b))-len(b))...) }
	b := append(make([]byte, unix.SizeofNlMsghdr), fixed...)
	for _, a := range attrs {
		b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(a.value)))
		b = binary.NativeEndian.AppendUint16(b, a.kind)
		b = pad(append(b, a.value...))
	}
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags)
	return pad(b)
}

func linkMessage(index byte, name string, hw []byte, stats ...uint64) []byte {
	fixed := make([]byte, unix.SizeofIfInfomsg)
	fixed[4] = index
	counters := make([]byte, 0, 8*len(stats))
	for _, n := range stats {
		counters = binary.NativeEndian.AppendUint64(counters, n)
	}
	attrs := []attr{{unix.IFLA_IFNAME, append([]byte(name), 0)}, {unix.IFLA_STATS64, counters}}
	if hw != nil {
		attrs = append(attrs, attr{unix.IFLA_ADDRESS, hw})
	}
	return message(unix.RTM_NEWLINK, unix.NLM_F_MULTI, fixed, attrs...)
}

func addrMessage(index, bits byte, attrs ...attr) []byte {
	family := byte(unix.AF_INET)
	if len(attrs[0].value) == 16 {
		family = unix.AF_INET6
	}
	fixed := []byte{family, bits, 0, 0, 0, 0, 0, 0}
	binary.NativeEndian.PutUint32(fixed[4:], uint32(index))
	return message(unix.RTM_NEWADDR, unix.NLM_F_MULTI, fixed, attrs...)
}

func ip(kind uint16, s string) attr { return attr{kind, netip.MustParseAddr(s).AsSlice()} }

func label(s string) attr { return attr{unix.IFA_LABEL, append([]byte(s), 0)} }

// read takes in messages as if two dumps had brought them.
func read(packets ...[]byte) ([]Interface, error) {
	n := network{byName: map[string]int{}, byIndex: map[int32]string{}}
	for _, p := range packets {
		if _, err := parseDump(p, n.message); err != nil {
			return nil, err
		}
	}
	return n.list, nil
}

func TestInterfacesFromMessages(t *testing.T) {
	mac := []byte{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	got, err := read(
		linkMessage(1, "lo", make([]byte, 6)),
		linkMessage(2, "eth0", mac, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 100),
		linkMessage(3, "tun0", nil),
		linkMessage(4, "gre0", []byte{192, 0, 2, 1}),
		linkMessage(5, "ib0", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}),
		addrMessage(1, 8, ip(unix.IFA_ADDRESS, "127.0.0.1"), ip(unix.IFA_LOCAL, "127.0.0.1"), label("lo")),
		addrMessage(2, 24, ip(unix.IFA_ADDRESS, "192.0.2.7"), ip(unix.IFA_LOCAL, "192.0.2.7"), label("eth0:lab")),
		addrMessage(2, 24, ip(unix.IFA_ADDRESS, "192.0.2.8"), label("odd")),
		addrMessage(3, 32, ip(unix.IFA_ADDRESS, "10.0.0.2"), ip(unix.IFA_LOCAL, "10.0.0.1"), label("tun0")),
		addrMessage(2, 64, ip(unix.IFA_ADDRESS, "fe80::1")),
		addrMessage(9, 64, ip(unix.IFA_ADDRESS, "fe80::9")), // a link that came after the links' dump
	)
	require.NoError(t, err)
	zero := make([]byte, 6)
	require.Equal(t, []Interface{
		{Name: "lo", HardwareAddr: zero, Stats: &InterfaceStats{}, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}},
		{
			Name: "eth0", HardwareAddr: mac, Addrs: []netip.Prefix{netip.MustParsePrefix("fe80::1/64")},
			Stats: &InterfaceStats{
				RxPackets: 1, TxPackets: 2, RxBytes: 3, TxBytes: 4, RxErrors: 5, TxErrors: 6,
				RxDropped: 107, TxDropped: 8,
			},
		},
		{Name: "tun0", HardwareAddr: zero, Stats: &InterfaceStats{}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}},
		{Name: "gre0", HardwareAddr: []byte{192, 0, 2, 1, 0, 0}, Stats: &InterfaceStats{}},
		{Name: "ib0", HardwareAddr: []byte{1, 2, 3, 4, 5, 6}, Stats: &InterfaceStats{}},
		{Name: "eth0:lab", HardwareAddr: mac, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}},
		{Name: "odd", Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/24")}},
	}, got)
}

func TestParseDump(t *testing.T) {
	none := func(uint16, []byte) error { return nil }
	done, err := parseDump(message(unix.NLMSG_DONE, unix.NLM_F_MULTI, make([]byte, 4)), none)
	require.NoError(t, err)
	require.True(t, done)

	refused := int32(-int(unix.EPERM))
	body := binary.NativeEndian.AppendUint32(nil, uint32(refused))
	_, err = parseDump(message(unix.NLMSG_ERROR, 0, body), none)
	require.ErrorIs(t, err, unix.EPERM)

	// An interrupted dump is read to its end.
	seen := 0
	count := func(uint16, []byte) error { seen++; return nil }
	packet := append(
		message(unix.RTM_NEWLINK, unix.NLM_F_DUMP_INTR, nil),
		message(unix.RTM_NEWLINK, 0, nil)...)
	done, err = parseDump(packet, count)
	require.ErrorIs(t, err, errInterrupted)
	require.False(t, done)
	require.Equal(t, 2, seen)

	_, err = parseDump(linkMessage(1, "lo", nil)[:20], none)
	require.ErrorIs(t, err, errShortMessage)
}

// TestInterfacesOfTheMachine compares with the standard library, which knows
// the same links but neither labels nor counters.
func TestInterfacesOfTheMachine(t *testing.T) {
	want, err := net.Interfaces()
	require.NoError(t, err)
	got, err := interfaces()
	require.NoError(t, err)
	for i, w := range want {
		require.Equal(t, w.Name, got[i].Name)
		require.Len(t, got[i].HardwareAddr, 6)
		if len(w.HardwareAddr) == 6 {
			require.EqualValues(t, w.HardwareAddr, got[i].HardwareAddr)
		}
	}
}

func FuzzNetlink(f *testing.F) {
	f.Add(linkMessage(2, "eth0", make([]byte, 6), 1, 2, 3))
	f.Add(addrMessage(2, 24, ip(unix.IFA_ADDRESS, "192.0.2.7"), label("eth0:lab")))
	f.Add(message(unix.NLMSG_ERROR, 0, []byte{1}))
	f.Fuzz(func(t *testing.T, packet []byte) {
		got, err := read(linkMessage(2, "eth0", nil), packet)
		if err != nil {
			return
		}
		require.NotEmpty(t, got)
		for _, i := range got {
			require.NotEmpty(t, i.Name)
			require.Contains(t, []int{0, 6}, len(i.HardwareAddr))
		}
	})
}

// BenchmarkInterfaces reads 500 links with an address each.
func BenchmarkInterfaces(b *testing.B) {
	var packets [][]byte
	for i := range 500 {
		packets = append(packets, linkMessage(byte(i), "eth"+string(rune('a'+i%26)), make([]byte, 6), make([]uint64, 24)...))
	}
	for i := range 500 {
		packets = append(packets, addrMessage(byte(i), 24, ip(unix.IFA_ADDRESS, "192.0.2.7")))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(packets...); err != nil {
			b.Fatal(err)
		}
	}
}
