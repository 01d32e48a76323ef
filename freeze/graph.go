package freeze

import (
	"slices"
	"strings"

	"qemu-ga/freeze/mountinfo"
)

// landings is the graph of the guest's filesystems: landings[i] lists the
// filesystems that writes to filesystem i land on, because it sits on a loop
// device whose file is there. Freezing such a one first makes the FIFREEZE of
// filesystem i wait until the thaw, so the order is a property of this graph
// and not of the mount table.
func landings(all []*filesystem, mounts []mountinfo.Mount) [][]int {
	edges := make([][]int, len(all))
	for i, f := range all {
		for _, file := range f.Backing {
			for _, j := range holders(file, all, mounts) {
				if j != i && !slices.Contains(edges[i], j) {
					edges[i] = append(edges[i], j)
				}
			}
		}
		slices.Sort(edges[i])
	}
	return acyclic(edges)
}

// holders finds the filesystem that holds a loop device's file. Its device
// number decides. A number that no filesystem shows is a btrfs subvolume's
// that is not mounted by itself, or unknown: then the path says which, and
// where it says another type, every btrfs counts, as an edge too many costs
// nothing and one too few a deadlock.
func holders(file backing, all []*filesystem, mounts []mountinfo.Mount) []int {
	if file.Dev != (mountinfo.Dev{}) {
		for i, f := range all {
			if f.Dev == file.Dev || slices.Contains(f.Numbers, file.Dev) {
				return []int{i}
			}
		}
		if file.Dev.Major != 0 || slices.ContainsFunc(mounts, func(m mountinfo.Mount) bool { return m.Dev == file.Dev }) {
			return nil // on no filesystem that is frozen here
		}
	}
	dev, ok := mountOf(file.Path, mounts)
	byPath := slices.IndexFunc(all, func(f *filesystem) bool { return ok && f.Dev == dev })
	if file.Dev == (mountinfo.Dev{}) {
		if byPath < 0 {
			return nil
		}
		return []int{byPath}
	}
	if byPath >= 0 && all[byPath].Type == "btrfs" {
		return []int{byPath}
	}
	var candidates []int
	for i, f := range all {
		if f.Type == "btrfs" {
			candidates = append(candidates, i)
		}
	}
	return candidates
}

// mountOf gives the superblock that path is on by its name alone: that of the
// longest mount point above it, the one mounted last where several are equal.
func mountOf(path string, mounts []mountinfo.Mount) (dev mountinfo.Dev, ok bool) {
	longest := -1
	for _, m := range mounts {
		prefix := strings.TrimSuffix(m.Point, "/")
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) >= longest {
			longest, dev, ok = len(prefix), m.Dev, true
		}
	}
	return dev, ok
}

// acyclic drops the edges that close a cycle. The kernel allows none; only a
// guess of holders can make one.
func acyclic(edges [][]int) [][]int {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(edges))
	var visit func(i int)
	visit = func(i int) {
		state[i] = open
		edges[i] = slices.DeleteFunc(edges[i], func(j int) bool {
			if state[j] == unseen {
				visit(j)
			}
			return state[j] == open
		})
		state[i] = done
	}
	for i := range edges {
		if state[i] == unseen {
			visit(i)
		}
	}
	return edges
}

// levels sorts the filesystems into the order of freezing: those of one level
// are frozen in parallel, each level after the one before, and every
// filesystem before those that its writes land on. The root filesystem comes
// after all that do not have to follow it, since it holds what the rest of
// the guest runs on.
func levels(edges [][]int, root int) [][]int {
	after := make([][]int, len(edges))
	for i, js := range edges {
		after[i] = slices.Clone(js)
	}
	if root >= 0 {
		below := reachable(edges, root)
		for i := range after {
			if i != root && !below[i] && !slices.Contains(after[i], root) {
				after[i] = append(after[i], root)
			}
		}
	}
	depth := make([]int, len(edges))
	for range edges { // the longest path has fewer edges than there are nodes
		for i, js := range after {
			for _, j := range js {
				depth[j] = max(depth[j], depth[i]+1)
			}
		}
	}
	if len(edges) == 0 {
		return nil
	}
	order := make([][]int, slices.Max(depth)+1)
	for i, d := range depth {
		order[d] = append(order[d], i)
	}
	return order
}

// reachable marks what the writes of filesystem i can land on.
func reachable(edges [][]int, i int) []bool {
	seen := make([]bool, len(edges))
	var visit func(i int)
	visit = func(i int) {
		for _, j := range edges[i] {
			if !seen[j] {
				seen[j] = true
				visit(j)
			}
		}
	}
	visit(i)
	return seen
}
