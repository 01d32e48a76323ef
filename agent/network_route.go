package agent

import (
	"context"
	"fmt"
	"strconv"

	"qemu-ga/agent/guest"
)

// networkRoute is a member of the answer to guest-network-get-route. Which of
// the optional members are there depends on the version.
type networkRoute struct {
	// Iface is the interface that packets leave by.
	Iface string `json:"iface"`
	// Destination is the network's address.
	Destination string `json:"destination"`
	// Metric is the route's cost: among equals the least is taken.
	Metric int64 `json:"metric"`
	// Gateway is the next router (IPv4); 0.0.0.0 if there is none.
	Gateway *string `json:"gateway,omitzero"`
	// Mask is the network's mask (IPv4).
	Mask *string `json:"mask,omitzero"`
	// IRTT is TCP's first guess of the round trip time (IPv4).
	IRTT *int64 `json:"irtt,omitzero"`
	// Flags are the kernel's RTF_ flags.
	Flags *uint64 `json:"flags,omitzero"`
	// Refcnt is how many refer to the route.
	Refcnt *int64 `json:"refcnt,omitzero"`
	// Use is how often it was looked up.
	Use *int64 `json:"use,omitzero"`
	// Window is TCP's window (IPv4).
	Window *int64 `json:"window,omitzero"`
	// MTU is the largest packet (IPv4), less 40; 0 if the interface's counts.
	MTU *int64 `json:"mtu,omitzero"`
	// DesPrefixLen is the length of the destination's prefix (IPv6).
	DesPrefixLen *string `json:"desprefixlen,omitzero"`
	// Source is the network that packets come from (IPv6).
	Source *string `json:"source,omitzero"`
	// SrcPrefixLen is the length of the source's prefix (IPv6).
	SrcPrefixLen *string `json:"srcprefixlen,omitzero"`
	// NextHop is the next router (IPv6); :: if there is none.
	NextHop *string `json:"nexthop,omitzero"`
	// Version is 4 or 6.
	Version int `json:"version"`
}

// networkRoutes answers guest-network-get-route. Lists the routes, those of IPv4
// first. Members are missing that the version of a route does not have.
func (a *Agent) networkRoutes(context.Context, noArgs) ([]networkRoute, error) {
	routes, err := a.root.Routes()
	if err != nil {
		return nil, fmt.Errorf("cannot read the routing tables: %s", guest.Strerror(err))
	}
	list := make([]networkRoute, 0, len(routes))
	for i := range routes {
		list = append(list, routeOf(&routes[i]))
	}
	return list, nil
}

func routeOf(r *guest.Route) networkRoute {
	gateway := r.Gateway.String()
	route := networkRoute{
		Iface: r.Interface, Destination: r.Destination.Addr().String(), Metric: r.Metric,
		Flags: &r.Flags, Refcnt: &r.Refs, Use: &r.Uses,
	}
	if r.Destination.Addr().Is4() {
		mask := r.Mask.String()
		route.Version, route.Gateway, route.Mask = 4, &gateway, &mask
		route.IRTT, route.Window, route.MTU = &r.InitialRTT, &r.Window, &r.MTU
		return route
	}
	source, to, from := r.Source.Addr().String(), strconv.Itoa(r.Destination.Bits()), strconv.Itoa(r.Source.Bits())
	route.Version, route.NextHop, route.Source = 6, &gateway, &source
	route.DesPrefixLen, route.SrcPrefixLen = &to, &from
	return route
}
