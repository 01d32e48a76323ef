package guest

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
)

// Route is a line of the kernel's IPv4 or IPv6 routing table.
type Route struct {
	// Interface is the interface that it leads to.
	Interface string
	// Destination is the network, whose version is the route's.
	Destination netip.Prefix
	// Source is the network that IPv6 packets come from, mostly ::/0.
	Source netip.Prefix
	// Gateway is the next router, unspecified if there is none.
	Gateway netip.Addr
	// Mask is the mask of an IPv4 network.
	Mask                    netip.Addr
	Metric, Refs, Uses      int64
	MTU, Window, InitialRTT int64 // of IPv4
	Flags                   uint64
}

// routeTables are the kernel's, IPv4 first.
var routeTables = []struct {
	file  string
	parse func(line string) (Route, bool)
}{
	{"/proc/net/route", parseRoute4},
	{"/proc/net/ipv6_route", parseRoute6},
}

// Routes returns the routing tables, IPv4 before IPv6. A kernel without one of
// the protocols has no table of it, and that is no error.
func (r Root) Routes() ([]Route, error) {
	var all []Route
	for _, table := range routeTables {
		f, err := r.Open(table.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all, err = appendRoutes(all, f, table.parse)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// appendRoutes passes over lines that parse does not know, the header of the
// IPv4 table among them.
func appendRoutes(all []Route, rd io.Reader, parse func(string) (Route, bool)) ([]Route, error) {
	lines := bufio.NewScanner(rd)
	for lines.Scan() {
		if route, ok := parse(lines.Text()); ok {
			all = append(all, route)
		}
	}
	return all, lines.Err()
}

// parseRoute4 reads a line of /proc/net/route, whose addresses are the
// machine's own numbers:
//
//	Iface Destination Gateway  Flags RefCnt Use Metric Mask     MTU Window IRTT
//	eth0  00000000    010200C0 0003  0      0   0      00000000 0   0      0
func parseRoute4(line string) (Route, bool) {
	f := strings.Fields(line)
	if len(f) < 11 {
		return Route{}, false
	}
	destination, ok1 := nativeAddr4(f[1])
	gateway, ok2 := nativeAddr4(f[2])
	mask, ok3 := nativeAddr4(f[7])
	flags, ok4 := routeNumbers(16, f[3])
	d, ok5 := routeNumbers(10, f[4], f[5], f[6], f[8], f[9], f[10])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return Route{}, false
	}
	return Route{
		Interface: f[0], Destination: netip.PrefixFrom(destination, 0), Gateway: gateway, Mask: mask,
		Flags: uint64(flags[0]), Refs: d[0], Uses: d[1], Metric: d[2], MTU: d[3], Window: d[4], InitialRTT: d[5],
	}, true
}

// parseRoute6 reads a line of /proc/net/ipv6_route: destination, source, next
// hop, metric, references, uses, flags, interface:
//
//	fe80…0 40 00…0 00 00…0 00000100 00000002 00000000 00000001     eth0
func parseRoute6(line string) (Route, bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return Route{}, false
	}
	destination, ok1 := prefix6(f[0], f[1])
	source, ok2 := prefix6(f[2], f[3])
	gateway, ok3 := hexAddr(f[4], 16)
	n, ok4 := routeNumbers(16, f[5], f[6], f[7], f[8])
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return Route{}, false
	}
	return Route{
		Interface: f[9], Destination: destination, Source: source, Gateway: gateway,
		Metric: n[0], Refs: n[1], Uses: n[2], Flags: uint64(n[3]),
	}, true
}

func hexAddr(s string, size int) (netip.Addr, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != size {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(b)
}

func prefix6(addr, bits string) (netip.Prefix, bool) {
	a, ok := hexAddr(addr, 16)
	n, err := strconv.ParseUint(bits, 16, 8)
	if !ok || err != nil || n > 128 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, int(n)), true
}

// nativeAddr4 reads an address that is printed as the number that its bytes
// are to the machine.
func nativeAddr4(s string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return netip.Addr{}, false
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b), true
}

// routeNumbers reads numbers, which may have a sign if they are decimal.
func routeNumbers(base int, fields ...string) (list []int64, ok bool) {
	for _, f := range fields {
		n, err := strconv.ParseInt(f, base, 64)
		if err != nil || base == 16 && n < 0 {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}
