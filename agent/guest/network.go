package guest

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// Interface is a network interface, or a label that addresses of one carry.
type Interface struct {
	Name string
	// HardwareAddr holds the first six bytes of the link's address, zeros
	// where it has fewer; nil if there is no link of that name.
	HardwareAddr []byte
	// Addrs are the addresses with the length of their network's prefix, of
	// a point-to-point link the local address.
	Addrs []netip.Prefix
	// Stats is nil for a label.
	Stats *InterfaceStats
}

// InterfaceStats counts an interface's traffic as /proc/net/dev does.
type InterfaceStats struct {
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// interfaces lists the interfaces of the network namespace that the agent is
// in: all links in the kernel's order, then labels in the order in which they
// are met. It takes two questions to the kernel, however many interfaces.
func interfaces() ([]Interface, error) {
	for tries := 0; ; tries++ {
		n := network{byName: map[string]int{}, byIndex: map[int32]string{}}
		err := n.dump()
		switch {
		case err == nil:
			return n.list, nil
		case !errors.Is(err, errInterrupted):
			return nil, err
		case tries == 5: // containers come and go: as good as it gets
			return n.list, nil
		}
	}
}

// network is what the two dumps have told so far.
type network struct {
	list    []Interface
	byName  map[string]int   // index in list
	byIndex map[int32]string // the kernel's number of a link
}

// dump asks for links and addresses. errInterrupted means that all there was
// has been taken in, but something changed meanwhile.
func (n *network) dump() error {
	links := routeDump(unix.RTM_GETLINK, n.message)
	if links != nil && !errors.Is(links, errInterrupted) {
		return links
	}
	if err := routeDump(unix.RTM_GETADDR, n.message); err != nil {
		return err
	}
	return links
}

// message takes in one message of a dump.
func (n *network) message(kind uint16, body []byte) error {
	switch kind {
	case unix.RTM_NEWLINK:
		return n.link(body)
	case unix.RTM_NEWADDR:
		return n.address(body)
	}
	return nil
}

// link takes in a link:
//
//	family 1 | - 1 | type 2 | index 4 | flags 4 | change 4 | attributes
func (n *network) link(body []byte) error {
	if len(body) < unix.SizeofIfInfomsg {
		return errShortMessage
	}
	index := int32(binary.NativeEndian.Uint32(body[4:]))
	iface := Interface{HardwareAddr: make([]byte, 6), Stats: &InterfaceStats{}}
	for kind, value := range attributes(body[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			iface.Name = unix.ByteSliceToString(value)
		case unix.IFLA_ADDRESS:
			copy(iface.HardwareAddr, value)
		case unix.IFLA_STATS64:
			iface.Stats = parseStats(value)
		}
	}
	if iface.Name == "" {
		return errShortMessage
	}
	n.byIndex[index] = iface.Name
	n.byName[iface.Name] = len(n.list)
	n.list = append(n.list, iface)
	return nil
}

// address takes in an address:
//
//	family 1 | prefix length 1 | flags 1 | scope 1 | index 4 | attributes
//
// An address of a link that came up after the links were dumped is left out.
func (n *network) address(body []byte) error {
	if len(body) < unix.SizeofIfAddrmsg {
		return errShortMessage
	}
	family, bits := body[0], int(body[1])
	name := n.byIndex[int32(binary.NativeEndian.Uint32(body[4:]))]
	var addr, local []byte
	for kind, value := range attributes(body[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_ADDRESS:
			addr = value
		case unix.IFA_LOCAL: // of a point-to-point link, whose IFA_ADDRESS is the peer's
			local = value
		case unix.IFA_LABEL:
			name = unix.ByteSliceToString(value)
		}
	}
	if local != nil {
		addr = local
	}
	ip, ok := netip.AddrFromSlice(addr)
	if !ok || name == "" || (family != unix.AF_INET && family != unix.AF_INET6) {
		return nil
	}
	at, known := n.byName[name]
	if !known {
		hw := n.labelled(name)
		at = len(n.list)
		n.byName[name] = at
		n.list = append(n.list, Interface{Name: name, HardwareAddr: hw})
	}
	n.list[at].Addrs = append(n.list[at].Addrs, netip.PrefixFrom(ip, bits))
	return nil
}

// labelled returns the hardware address of the link that a label belongs to:
// the kernel takes what stands before the colon for its name.
func (n *network) labelled(label string) []byte {
	name, _, _ := strings.Cut(label, ":")
	if at, ok := n.byName[name]; ok {
		return n.list[at].HardwareAddr
	}
	return nil
}

// parseStats reads a struct rtnl_link_stats64, of which these are the places
// of the counters wanted:
//
//	0 rx_packets 1 tx_packets 2 rx_bytes 3 tx_bytes 4 rx_errors 5 tx_errors
//	6 rx_dropped 7 tx_dropped ... 15 rx_missed_errors
func parseStats(b []byte) *InterfaceStats {
	at := func(i int) uint64 {
		if len(b) < 8*(i+1) {
			return 0
		}
		return binary.NativeEndian.Uint64(b[8*i:])
	}
	return &InterfaceStats{
		RxBytes: at(2), RxPackets: at(0), RxErrors: at(4), RxDropped: at(6) + at(15),
		TxBytes: at(3), TxPackets: at(1), TxErrors: at(5), TxDropped: at(7),
	}
}
