package freeze

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"qemu-ga/freeze/mountinfo"
)

// plan says what a freeze is going to do: pure data, made from the mount
// table and the block devices alone.
type plan struct {
	// targets are the filesystems to freeze.
	targets []*filesystem
	// lands[i] lists the targets that writes to target i land on.
	lands [][]int
	// levels is the order: see the function of that name.
	levels [][]int
	// skipped are the filesystems that are left alone.
	skipped []skip
}

// skip is a filesystem that is not frozen, and why.
type skip struct {
	fs     *filesystem
	reason string
}

// selection narrows a freeze down.
type selection struct {
	// points are the mount points to freeze; nil means all.
	points []string
	// exclude holds the administrator's patterns: see Config.Exclude.
	exclude []string
	// unreachable are filesystems that turned out to have no way in.
	unreachable []*filesystem
}

// makePlan decides what becomes of each filesystem. all holds every
// filesystem of the mount table, described by the topology.
func makePlan(all []*filesystem, mounts []mountinfo.Mount, sel selection) (plan, error) {
	if err := sel.check(mounts); err != nil {
		return plan{}, err
	}
	edges := landings(all, mounts)
	var p plan
	place := make(map[int]int) // index in all -> index in targets
	for i, f := range all {
		if reason := sel.leaveOut(f); reason != "" {
			if !kernelInterface[f.Type] {
				p.skipped = append(p.skipped, skip{f, reason})
			}
			continue
		}
		place[i] = len(p.targets)
		p.targets = append(p.targets, f)
	}
	p.lands = make([][]int, len(p.targets))
	root := -1
	for i := range all {
		at, ok := place[i]
		if !ok {
			continue
		}
		if slices.Contains(all[i].points(), "/") {
			root = at
		}
		// What lies between two targets may have been left out, and the
		// inner one's writes still land on the outer one.
		for j, yes := range reachable(edges, i) {
			if on, ok := place[j]; ok && yes {
				p.lands[at] = append(p.lands[at], on)
			}
		}
	}
	p.levels = levels(p.lands, root)
	return p, nil
}

// check refuses names that are no mount point: whoever asks for one believes
// that it will be frozen.
func (s selection) check(mounts []mountinfo.Mount) error {
	for _, point := range s.points {
		if !slices.ContainsFunc(mounts, func(m mountinfo.Mount) bool { return m.Point == clean(point) }) {
			return fmt.Errorf("cannot freeze %s: it is not a mount point of this guest (guest-get-fsinfo lists them)", point)
		}
	}
	return nil
}

// leaveOut says why f is not to be frozen; "" means that it is.
func (s selection) leaveOut(f *filesystem) string {
	if !f.onDisk() {
		return offDisk(f.Type)
	}
	if f.Type == "zfs" {
		return notFreezable(f.Type)
	}
	if s.points != nil && !slices.ContainsFunc(s.points, func(p string) bool { return slices.Contains(f.points(), clean(p)) }) {
		return "the request did not name it"
	}
	if slices.Contains(s.unreachable, f) {
		return errUnreachable.Error()
	}
	for _, pattern := range s.exclude {
		if matches(pattern, f) {
			return fmt.Sprintf("the configuration excludes it (%s)", pattern)
		}
	}
	return ""
}

// clean accepts "/mnt/" for "/mnt", and leaves other text as it is.
func clean(point string) string {
	if strings.HasPrefix(point, "/") {
		return path.Clean(point)
	}
	return point
}

// matches tells whether a pattern of the configuration means f: a pattern
// that begins with a slash is compared with the mount points, as path.Match
// does, and any other with the type.
func matches(pattern string, f *filesystem) bool {
	names := []string{f.Type}
	if strings.HasPrefix(pattern, "/") {
		names = f.points()
	}
	return slices.ContainsFunc(names, func(name string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}

// kernelInterface lists the types that hold no files of anybody's: windows
// into the kernel, which a report of what was not frozen need not name.
var kernelInterface = map[string]bool{
	"proc": true, "sysfs": true, "devpts": true, "cgroup": true, "cgroup2": true,
	"securityfs": true, "debugfs": true, "tracefs": true, "configfs": true, "pstore": true,
	"bpf": true, "mqueue": true, "hugetlbfs": true, "fusectl": true, "binfmt_misc": true,
	"rpc_pipefs": true, "efivarfs": true, "autofs": true, "nsfs": true, "selinuxfs": true,
	"devtmpfs": true, "rootfs": true,
}
