package guest

import (
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// NetworkView says which interfaces are told of, and in what order.
type NetworkView struct {
	// KernelOrder leaves the interfaces in the kernel's order. Otherwise
	// those come first that a host most likely looks for.
	KernelOrder bool
	// PhysicalOnly leaves out what is no device of the guest's: bridges,
	// tunnels, the ends of containers' cables, and the loopback interface.
	PhysicalOnly bool
	// Exclude are patterns of names that are left out, as path.Match has
	// them: "veth*".
	Exclude []string
	// Max is how many are told of, the first in the order; 0 is all.
	Max int
}

// Interfaces lists the interfaces of the network namespace that the agent is
// in. Without KernelOrder they come in this order, and in the kernel's among
// their like, so that it is always the same:
//
//	devices with a default route, other devices,
//	others with a default route (bonds, bridges), others, the loopback
//
// Labels stand behind all links, and are left out with theirs.
func (r Root) Interfaces(view NetworkView) ([]Interface, error) {
	all, err := interfaces()
	if err != nil {
		return nil, err
	}
	return view.of(all, r.hasDevice, r.defaultRoutes()), nil
}

// of is the part of all that the view shows.
func (v NetworkView) of(all []Interface, isDevice func(name string) bool, routed map[string]bool) []Interface {
	ranks := map[string]int{}
	all = slices.DeleteFunc(all, func(i Interface) bool {
		link, _, _ := strings.Cut(i.Name, ":")
		device := isDevice(link)
		switch {
		case link == "lo":
			ranks[i.Name] = 4
		case device && routed[link]:
			ranks[i.Name] = 0
		case device:
			ranks[i.Name] = 1
		case routed[link]:
			ranks[i.Name] = 2
		default:
			ranks[i.Name] = 3
		}
		if i.Stats == nil { // a label
			ranks[i.Name] += 5
		}
		return v.PhysicalOnly && !device || slices.ContainsFunc(v.Exclude, func(pattern string) bool {
			ok, err := path.Match(pattern, link)
			return ok && err == nil
		})
	})
	if !v.KernelOrder {
		slices.SortStableFunc(all, func(a, b Interface) int { return ranks[a.Name] - ranks[b.Name] })
	}
	if v.Max > 0 && len(all) > v.Max {
		all = all[:v.Max]
	}
	return all
}

// hasDevice tells whether a link is a device, as the kernel has drivers for
// them, and nothing that was made of software.
func (r Root) hasDevice(link string) bool {
	return r.exists("/sys/class/net/" + link + "/device")
}

// toAll tells a default route.
func (r Route) toAll() bool {
	if !r.Destination.Addr().IsUnspecified() {
		return false
	}
	return r.Destination.Bits() == 0 && (!r.Destination.Addr().Is4() || r.Mask.IsUnspecified())
}

// maxRoutes bounds what is read of a table of routes to find the default
// ones, in bytes: that of a router may have a million lines.
const maxRoutes = 256 << 10

// defaultRoutes names the interfaces that have a default route.
func (r Root) defaultRoutes() map[string]bool {
	routed := map[string]bool{}
	for _, table := range routeTables {
		f, err := r.Open(table.file)
		if err != nil {
			continue
		}
		routes, _ := appendRoutes(nil, io.LimitReader(f, maxRoutes), table.parse)
		_ = f.Close()
		for _, route := range routes {
			up := route.Flags&unix.RTF_UP != 0 && route.Flags&unix.RTF_REJECT == 0
			if up && route.toAll() {
				routed[route.Interface] = true
			}
		}
	}
	return routed
}
