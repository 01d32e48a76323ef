package agent

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"qemu-ga/agent/guest"
)

// networkInterface is a member of the answer to guest-network-get-interfaces:
// an interface, or a label that some of an interface's IPv4 addresses carry.
type networkInterface struct {
	// Name is the interface's name, or the label: "eth0", "eth0:1".
	Name string `json:"name"`
	// HardwareAddress is "52:54:00:12:34:56"; of a link without one, zeros.
	HardwareAddress string `json:"hardware-address,omitzero"`
	// IPAddresses is missing where there are none.
	IPAddresses []ipAddress `json:"ip-addresses,omitzero"`
	// Statistics are told of interfaces with an address.
	Statistics *networkStatistics `json:"statistics,omitzero"`
}

// ipAddress is an address of an interface.
type ipAddress struct {
	// IPAddress is the address, without its prefix.
	IPAddress string `json:"ip-address"`
	// IPAddressType is "ipv4" or "ipv6".
	IPAddressType string `json:"ip-address-type"`
	// Prefix is the length of the network's prefix in bits.
	Prefix int `json:"prefix"`
}

// networkStatistics counts an interface's traffic since it was made.
type networkStatistics struct {
	// RxBytes counts bytes received.
	RxBytes uint64 `json:"rx-bytes"`
	// RxPackets counts packets received.
	RxPackets uint64 `json:"rx-packets"`
	// RxErrs counts bad packets received.
	RxErrs uint64 `json:"rx-errs"`
	// RxDropped counts packets received and dropped.
	RxDropped uint64 `json:"rx-dropped"`
	// TxBytes counts bytes sent.
	TxBytes uint64 `json:"tx-bytes"`
	// TxPackets counts packets sent.
	TxPackets uint64 `json:"tx-packets"`
	// TxErrs counts packets that could not be sent.
	TxErrs uint64 `json:"tx-errs"`
	// TxDropped counts packets dropped before they were sent.
	TxDropped uint64 `json:"tx-dropped"`
}

// networkInterfaces answers guest-network-get-interfaces. Lists network
// interfaces with their addresses: devices first, those with a default route
// before others, the loopback last. [network] in qemu-ga.conf leaves some out.
func (a *Agent) networkInterfaces(context.Context, noArgs) ([]networkInterface, error) {
	interfaces, err := a.root.Interfaces(a.network)
	if err != nil {
		return nil, fmt.Errorf("getifaddrs failed: %s", guest.Strerror(err))
	}
	list := make([]networkInterface, 0, len(interfaces))
	for _, i := range interfaces {
		list = append(list, interfaceOf(i))
	}
	return list, nil
}

func interfaceOf(i guest.Interface) networkInterface {
	return networkInterface{
		Name:            i.Name,
		HardwareAddress: net.HardwareAddr(i.HardwareAddr).String(),
		IPAddresses:     ipAddresses(i.Addrs),
		Statistics:      statistics(i),
	}
}

func ipAddresses(prefixes []netip.Prefix) []ipAddress {
	var list []ipAddress
	for _, p := range prefixes {
		family := "ipv6"
		if p.Addr().Is4() {
			family = "ipv4"
		}
		list = append(list, ipAddress{IPAddress: p.Addr().String(), IPAddressType: family, Prefix: p.Bits()})
	}
	return list
}

func statistics(i guest.Interface) *networkStatistics {
	if i.Stats == nil || len(i.Addrs) == 0 {
		return nil
	}
	s := networkStatistics{
		RxBytes: i.Stats.RxBytes, RxPackets: i.Stats.RxPackets, RxErrs: i.Stats.RxErrors, RxDropped: i.Stats.RxDropped,
		TxBytes: i.Stats.TxBytes, TxPackets: i.Stats.TxPackets, TxErrs: i.Stats.TxErrors, TxDropped: i.Stats.TxDropped,
	}
	return &s
}
