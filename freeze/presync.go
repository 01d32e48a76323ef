package freeze

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"
)

// The pre-sync writes out what is dirty while applications run on, so that
// FIFREEZE finds little left. It is repeated while it pays: most of what
// remains after the first pass was written during it.
const (
	maxPasses   = 3
	shortPass   = 20 * time.Millisecond // a pass under this leaves nothing worth another
	stallPeriod = 500 * time.Millisecond

	// blindPatience is how many times longer a sync may take whose disk counts
	// no writes, so that nobody can tell whether it works.
	blindPatience = 4

	// gentle is how long the first pass goes easy on the writers. A host waits
	// a minute at most, so what is left then is written by all disks at once.
	gentle = 5 * time.Second
)

// errStopped is why a freeze ends that its caller no longer wants.
var errStopped = fmt.Errorf("cannot freeze: the request was given up")

// preSync syncs all targets through the freezer. It takes the time it takes
// as long as their disks complete writes; a disk that completes none for
// limit is hung, and the freeze must not begin. Errors of syncfs are left to
// FIFREEZE, which meets them again.
func preSync(ctx context.Context, c *child, targets []target, sys string, limit time.Duration) (passes int, err error) {
	// Writing out takes processors and memory bandwidth, too: what all disks
	// write at once makes the writers of each wait for all, and those of a disk
	// that is written alone for one.
	groups, width := byDisk(targets), max(1, runtime.NumCPU()/2)
	for passes < maxPasses {
		begun := time.Now()
		if err := syncPass(ctx, c, targets, groups, width, sys, limit); err != nil {
			return passes, err
		}
		passes++
		if time.Since(begun) < shortPass {
			break
		}
		groups, width = eachAlone(len(targets)), len(targets)
	}
	return passes, nil
}

// byDisk puts the targets that share a disk into one group: synced one after
// another, they do not stall everybody who writes to that disk, as all at
// once would.
func byDisk(targets []target) [][]int {
	var groups [][]int
	for i, t := range targets {
		mine := []int{i}
		groups = slices.DeleteFunc(groups, func(group []int) bool {
			shared := slices.ContainsFunc(group, func(j int) bool {
				return slices.ContainsFunc(t.Disks, func(d device) bool { return slices.Contains(targets[j].Disks, d) })
			})
			if shared {
				mine = append(group, mine...)
			}
			return shared
		})
		groups = append(groups, mine)
	}
	return groups
}

func eachAlone(count int) [][]int {
	groups := make([][]int, count)
	for i := range groups {
		groups[i] = []int{i}
	}
	return groups
}

// syncPass syncs every target once: width groups at a time, all of them after
// a while, the members of each one by one.
func syncPass(ctx context.Context, c *child, targets []target, groups [][]int, width int, sys string, limit time.Duration) error {
	watch := newStallWatch(sys, limit)
	queue := make(map[int][]int) // target being synced -> those to follow
	begin := func(group []int) {
		queue[group[0]] = group[1:]
		watch.begin(group[0], targets[group[0]])
		c.send(order{Do: doSync, Target: group[0]})
	}
	fill := func(width int) {
		for len(groups) > 0 && len(queue) < width {
			next := groups[0]
			groups = groups[1:]
			begin(next)
		}
	}
	fill(width)
	hurry := time.After(gentle)
	tick := time.NewTicker(stallPeriod)
	defer tick.Stop()
	for len(queue) > 0 {
		select {
		case e, ok := <-c.events:
			if !ok {
				return fmt.Errorf("cannot freeze: the freezer ended while it synced: %s", c.stderr)
			}
			next, syncing := queue[e.Target]
			if e.Is != isSynced || !syncing {
				continue
			}
			watch.end(e.Target)
			delete(queue, e.Target)
			if len(next) > 0 {
				begin(next)
			}
			fill(width)
		case <-hurry:
			width = len(targets)
			fill(width)
		case <-tick.C:
			if err := watch.check(); err != nil {
				return err
			}
		case <-ctx.Done():
			return errStopped
		}
	}
	return nil
}

// stallWatch notices a disk that has stopped completing writes.
type stallWatch struct {
	sys   string
	limit time.Duration
	syncs map[int]*watched
}

// watched is one target that is being synced.
type watched struct {
	target
	completed uint64        // writes and flushes its devices had completed
	idle      time.Duration // since that number last changed
}

func newStallWatch(sys string, limit time.Duration) *stallWatch {
	return &stallWatch{sys: sys, limit: limit, syncs: make(map[int]*watched)}
}

func (s *stallWatch) begin(i int, t target) {
	n, _ := completed(s.sys, t.Devices)
	s.syncs[i] = &watched{target: t, completed: n}
}

func (s *stallWatch) end(i int) { delete(s.syncs, i) }

// check, called once a period, tells of the first target in the plan's order
// whose devices have completed no write for as long as the limit. The devices
// that the filesystem sits on count, not the disks below: others may keep those
// busy. Periods are added up, as a clock may go on while the guest is paused.
func (s *stallWatch) check() (err error) {
	for _, i := range slices.Sorted(maps.Keys(s.syncs)) {
		w := s.syncs[i]
		n, known := completed(s.sys, w.Devices)
		if n != w.completed {
			w.completed, w.idle = n, 0
			continue
		}
		w.idle += stallPeriod
		limit := s.limit
		if !known {
			limit *= blindPatience
		}
		if w.idle >= limit && err == nil {
			err = fmt.Errorf("cannot freeze %s: its disk (%s) has completed no write for %v, so it is hung; nothing was frozen",
				w.point, w.Source, limit)
		}
	}
	return err
}
