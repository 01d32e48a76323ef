package freeze

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Just before the window every filesystem is frozen and thawed by itself. A
// FIFREEZE waits for three RCU grace periods, with writers stopped during two;
// one that follows another within a grace period's time finds the kernel still
// prepared and waits for none (kernel/rcu/sync.c), and finds an empty journal.
// So writers wait twice, but each time for less than half as long, and with
// many filesystems for their own alone instead of for all.
//
// btrfs is not rehearsed: its FITHAW reads the superblock back, and a process
// that is killed in it leaves the filesystem read-only until it is mounted
// anew (Linux 6.18: "super block got modified unexpectedly", for EINTR). So
// there is one FITHAW of it and no more. XFS is, unless there are many: what
// makes its FIFREEZE wait for 50 ms (mayHasten) happens with two of them more
// often than with one, and the more often, the more threads of the kernel wait
// for a processor.
func mayRehearse(targets []target) func(fsType string) bool {
	xfs := 0
	for _, t := range targets {
		if t.Type == "xfs" {
			xfs++
		}
	}
	return func(fsType string) bool {
		return fsType != "btrfs" && (fsType != "xfs" || xfs <= fewXFS*runtime.NumCPU())
	}
}

const (
	// fewXFS is how many XFS there may be for each processor: with 4 for two
	// processors a stall of 50 ms is as rare as without the rehearsal, with 16 it
	// is met in every other freeze (November 2026).
	fewXFS = 4

	// rehearsalWorth is the longest sync, of a filesystem that had just been
	// synced, after which the grace periods are the greater part of a FIFREEZE:
	// a slower disk would have its writers wait for it twice.
	rehearsalWorth = 10 * time.Millisecond
	// rehearsalTurns is in how many turns all are rehearsed: of a millisecond
	// each, so that the last is over before the kernel forgets the first, which
	// takes a grace period of 10 ms or more. Fewer at once stall writers less.
	rehearsalTurns = 8
)

// rehearsal is what of it is left.
type rehearsal struct {
	queue []int // targets to follow
	begun time.Time
}

// rehearse freezes a filesystem and thaws it. What has become dirty since the
// pre-sync is written out before: it would be while writers wait.
func rehearse(fd int) error {
	_ = unix.Syncfs(fd) // FIFREEZE meets its errors again
	if err := fifreeze(fd); err != nil {
		return nil // the freeze will meet it again
	}
	if err := fithaw(fd); err != unix.EINVAL { //nolint:errorlint // a system call's own
		return err
	}
	return nil // somebody else has thawed it
}

// rehearse begins the rehearsal of every target that it is worth it for.
func (f *freezer) rehearse() {
	f.rehearsal.begun = time.Now()
	for _, level := range f.order.Levels {
		for _, i := range level {
			if took := f.synced[i]; took > 0 && took <= rehearsalWorth && i < len(f.order.Rehearse) && f.order.Rehearse[i] {
				f.rehearsal.queue = append(f.rehearsal.queue, i)
			}
		}
	}
	if !f.rcu.quick() {
		f.rehearsal.queue = nil
	}
	for range (len(f.rehearsal.queue) + rehearsalTurns - 1) / rehearsalTurns {
		f.rehearseNext()
	}
	f.rehearsed()
}

func (f *freezer) rehearseNext() {
	if len(f.rehearsal.queue) == 0 {
		return
	}
	i := f.rehearsal.queue[0]
	f.rehearsal.queue = f.rehearsal.queue[1:]
	f.results[i].Pending = true
	f.waiting++
	f.workers[i].do(rehearsing)
}

// rehearsed goes on after one rehearsal, or none.
func (f *freezer) rehearsed() {
	if f.waiting == 0 {
		f.frozenAt = time.Now()
		f.beginLevel()
	}
}

// rehearsedOne takes note of one rehearsal's end. A filesystem that it could
// not thaw is frozen, and there must be no other.
func (f *freezer) rehearsedOne(i int, errno unix.Errno) {
	r := &f.results[i]
	r.Pending, r.Frozen, r.Thaw = false, errno != 0, errno
	if f.phase == thawed { // given up meanwhile
		if errno == 0 {
			f.thaw.drop(i)
		}
		f.thawOn()
		return
	}
	f.waiting--
	if errno != 0 {
		f.giveUp(whyError)
		return
	}
	f.rehearseNext()
	f.rehearsed()
}
