package freeze

import (
	"errors"

	"golang.org/x/sys/unix"
)

// thawing walks through a set of frozen targets so that each is thawed only
// when everything its writes land on is thawed: a thaw writes to the disk.
// One that is stuck holds up those above it and nobody else.
type thawing struct {
	lands [][]int
	left  []bool // frozen, or being frozen, and not thawed yet
	begun []bool
	start func(i int) // begins the thaw of target i
}

func newThawing(lands [][]int, frozen []bool, start func(i int)) *thawing {
	return &thawing{
		lands: lands, left: append([]bool(nil), frozen...),
		begun: make([]bool, len(frozen)), start: start,
	}
}

// next begins every thaw that has nothing to wait for; those for which ready
// is false are passed over (their freeze has not returned).
func (t *thawing) next(ready func(i int) bool) {
	for i := range t.left {
		if t.left[i] && !t.begun[i] && ready(i) && !t.blocked(i) {
			t.begun[i] = true
			t.start(i)
		}
	}
}

// blocked tells whether something that i lands on is still frozen.
func (t *thawing) blocked(i int) bool {
	for _, j := range t.lands[i] {
		if t.left[j] {
			return true
		}
	}
	return false
}

// finished notes how the thaw of target i ended. A refused one (SELinux, a
// lost capability) is still frozen: what lands on it has to stay so too.
func (t *thawing) finished(i int, errno unix.Errno) {
	if isThaw(errno) {
		t.left[i] = false
	}
}

// isThaw tells whether a filesystem is not frozen after a FITHAW that gave
// errno: EINVAL means that it was not frozen before either.
func isThaw(errno unix.Errno) bool { return errno == 0 || errno == unix.EINVAL }

// drop takes target i out: its freeze came to nothing.
func (t *thawing) drop(i int) { t.left[i] = false }

// outcome is the end of one FITHAW.
type outcome struct {
	target int
	errno  unix.Errno
}

// thawAll thaws the targets marked in frozen, in order, through their
// descriptors, each in a thread of its own. The channel gives each one's
// outcome and is closed when all have returned; what had to stay frozen for
// another that was refused has the outcome EBUSY.
func thawAll(fds []int, lands [][]int, frozen []bool) <-chan outcome {
	outcomes, returned := make(chan outcome, len(fds)), make(chan outcome, len(fds))
	running := 0
	t := newThawing(lands, frozen, func(i int) {
		running++
		go func() { returned <- outcome{i, errnoOf(fithaw(fds[i]))} }()
	})
	always := func(int) bool { return true }
	go func() {
		defer close(outcomes)
		for t.next(always); running > 0; t.next(always) {
			o := <-returned
			running--
			t.finished(o.target, o.errno)
			outcomes <- o
		}
		for i, left := range t.left {
			if left && !t.begun[i] {
				outcomes <- outcome{i, unix.EBUSY}
			}
		}
	}()
	return outcomes
}

// errnoOf gives the number of a system call's error; 0 is success.
func errnoOf(err error) unix.Errno {
	var errno unix.Errno
	if err != nil && !errors.As(err, &errno) {
		return unix.EIO
	}
	return errno
}
