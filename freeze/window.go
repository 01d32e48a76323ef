package freeze

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// standstillError tells that a freeze was given up because it waited for disks
// that completed nothing, and that they have gone on since.
type standstillError struct {
	points []string
	took   time.Duration // until the last of them went on
}

// Error implements error.
func (e *standstillError) Error() string {
	return fmt.Sprintf("cannot freeze %s: its disk completes nothing; look at the disk", strings.Join(e.points, ", "))
}

// await waits until the freezer has frozen everything or given up. A freezer
// that does neither in time is ended, and what it froze thawed.
func (s *session) await(ctx context.Context) error {
	longest := min(s.e.cfg.WindowTimeout, s.deadline) + thawPatience + patience
	limit := time.After(longest)
	stop := ctx.Done()
	failed := errStopped
	pulse := newPulse(s.child)
	defer pulse.stop()
	for {
		select {
		case e, ok := <-s.child.events:
			pulse.heard()
			switch {
			case !ok:
				return s.bereaved()
			case e.Is == isFrozen && stop != nil:
				s.known = true
				s.update(func() {
					s.results, s.times.Rehearsal, s.times.Window = e.Results, int64(e.Rehearsal), int64(e.Window)
					s.frozenAt = time.Now().Add(-e.Window)
				})
				s.disown()
				return nil
			case e.Is == isFailed:
				failed = s.failure(e)
			case e.Is == isThawed:
				s.absorb(e)
				if slow, ok := errors.AsType[*standstillError](failed); ok && stop != nil {
					return s.outlast(ctx, slow)
				}
				return failed
			}
		case <-pulse.tick.C:
			if !pulse.beat() {
				s.lose()
				return errors.New("cannot freeze: the freezer has been stopped; it was ended, and everything thawed")
			}
		case <-stop:
			stop = nil
			s.child.send(order{Do: doThaw})
			longest = thawPatience + patience
			limit = time.After(longest)
		case <-limit:
			s.lose()
			return fmt.Errorf("cannot freeze: the freezer has not answered for %v; it was ended, and everything thawed", longest)
		}
	}
}

// bereaved thaws in the place of a freezer that has ended.
func (s *session) bereaved() error {
	stderr := s.child.stderr
	s.lose()
	return fmt.Errorf("cannot freeze: the freezer ended, and everything was thawed: %s", stderr)
}

// outlast waits for the disk that stood still, with nothing else frozen: until
// its ioctl has returned, it counts as hung, or the window's time is over.
func (s *session) outlast(ctx context.Context, slow *standstillError) error {
	cfg := &s.e.cfg
	watch := newStallWatch(cfg.Sys, cfg.StallTimeout)
	for i, r := range s.results {
		if r.Pending {
			watch.begin(i, s.targets[i])
		}
	}
	tick := time.NewTicker(stallPeriod)
	defer tick.Stop()
	limit := time.After(time.Until(s.frozenAt.Add(cfg.WindowTimeout)))
	for s.stuck() {
		select {
		case e, ok := <-s.child.events:
			if !ok {
				return s.bereaved()
			}
			if e.Is == isThawed {
				s.absorb(e)
			}
		case <-tick.C:
			if watch.check() != nil {
				return errors.New(slow.Error() + "; everything else was thawed")
			}
		case <-limit:
			return fmt.Errorf("cannot freeze %s within %v: look at its disk; everything else was thawed",
				strings.Join(slow.points, ", "), cfg.WindowTimeout)
		case <-ctx.Done():
			return errStopped
		}
	}
	slow.took = time.Since(s.frozenAt)
	return slow
}

// failure says why the freezer gave up, in qemu-ga's words where it has any.
func (s *session) failure(e event) error {
	var slow []string
	for i, r := range e.Results {
		if r.Freeze != 0 && r.Freeze != unix.EOPNOTSUPP && r.Freeze != unix.EBUSY {
			return s.e.told(s.targets[i].refuse(OpFreeze, r.Freeze), true)
		}
		if r.Thaw != 0 { // in the rehearsal
			return s.e.told(s.targets[i].refuse(OpThaw, r.Thaw), true)
		}
		if r.Pending && !r.Frozen {
			slow = append(slow, s.targets[i].point)
		}
	}
	switch e.Why {
	case whyWindow:
		return fmt.Errorf("cannot freeze %s within %v: look at its disk; everything else was thawed",
			strings.Join(slow, ", "), s.e.cfg.WindowTimeout)
	case whyStill:
		return &standstillError{points: slow}
	case whySignal:
		return errors.New("cannot freeze: the freezer was told to stop")
	case whyDeadline:
		return fmt.Errorf("cannot freeze: the deadline of %v passed before everything was frozen", s.deadline)
	default:
		return errStopped
	}
}

// absorb takes over what the freezer says it thawed.
func (s *session) absorb(e event) {
	s.known = true
	s.update(func() {
		if len(e.Results) == len(s.results) {
			s.results = e.Results
		}
		s.times.Thaw, s.thawedAt = int64(e.Thaw), time.Unix(0, e.At)
	})
}

// lose ends a freezer that died or does not answer, and thaws in its place:
// the agent holds the same descriptors.
func (s *session) lose() {
	s.lost = true
	s.child.end()
	limit := time.After(patience)
	for events := s.child.events; ; {
		select {
		case e, ok := <-events:
			if !ok {
				events = nil
			}
			if e.Is == isThawed {
				s.absorb(e)
			}
			continue
		case <-s.child.gone:
		case <-limit:
			s.ghost = true
		}
		break
	}
	if s.state.RCU {
		s.rcu.settle()
	}
	s.thawSelf()
}

// thawSelf thaws what is or may be frozen through the agent's own
// descriptors. Thaws that do not return soon are left to linger.
func (s *session) thawSelf() {
	begun := time.Now()
	left := make([]bool, len(s.targets))
	for i, r := range s.results {
		// A freezer that died in the window has not said what it froze.
		left[i] = !r.Thawed && (r.Frozen || r.Pending || !s.known)
	}
	if !slices.Contains(left, true) {
		return
	}
	outcomes := thawAll(descriptors(s.targets), s.plan.lands, left)
	limit := time.After(thawPatience)
	for {
		select {
		case o, ok := <-outcomes:
			if !ok {
				s.update(func() { s.times.Thaw, s.thawedAt = int64(time.Since(begun)), time.Now() })
				return
			}
			left[o.target] = false
			s.update(func() { s.results[o.target].note(o.errno, s.ghost) })
		case <-limit:
			s.late = outcomes
			s.update(func() {
				for i := range left {
					s.results[i].Pending = s.results[i].Pending || left[i]
				}
				s.thawedAt = time.Now()
			})
			return
		}
	}
}

// note takes down the end of a FITHAW. While a ghost of the freezer may still
// be freezing the target, "not frozen" does not mean that it stays so.
func (r *result) note(errno unix.Errno, ghost bool) {
	if ghost && errno == unix.EINVAL && !r.Frozen {
		r.Pending = true
		return
	}
	r.Pending, r.Thaw, r.Thawed = false, errno, isThaw(errno)
	if errno == 0 {
		r.Frozen = true // whoever froze it had no time to say so
	}
}

// stuck tells whether an ioctl has not returned.
func (s *session) stuck() bool {
	return slices.ContainsFunc(s.results, func(r result) bool { return r.Pending })
}

// release ends what had to stop for the freeze, and lets the freezer and the
// descriptors go, at once or when the last ioctl has come back.
func (s *session) release() {
	if s.quiet {
		s.quiet = false
		s.e.cfg.Quiet(false)
		s.resume()
	}
	var stuck []stateTarget
	for i, r := range s.results {
		if r.Pending {
			t := s.targets[i]
			stuck = append(stuck, stateTarget{Dev: t.Dev, Point: t.point, Type: t.Type, Source: t.Source, Freezer: s.state.Freezer})
		}
	}
	if len(stuck) > 0 {
		s.e.cfg.Log.Error(fmt.Sprintf("%s is stuck in the kernel: it is thawed when its disk answers", strings.Join(points(stuck), ", ")))
		s.e.markStuck(stuck)
		go s.linger(stuck)
		return
	}
	if s.child != nil {
		s.child.close()
	}
	s.rcu.close()
	closeAll(s.targets)
}

// heed listens to the freezer until it is gone. One that has been stopped thaws
// nothing: it is ended.
func (s *session) heed() {
	pulse := newPulse(s.child)
	defer pulse.stop()
	for {
		select {
		case e, ok := <-s.child.events:
			if !ok {
				return
			}
			pulse.heard()
			if e.Is == isThawed {
				s.absorb(e)
			}
		case <-pulse.tick.C:
			if !pulse.beat() {
				s.child.end()
			}
		}
	}
}

// linger waits for ioctls that are stuck in the kernel, and thaws what they
// leave frozen. A freezer that lives does so itself; one that was killed
// cannot.
func (s *session) linger(stuck []stateTarget) {
	if s.child != nil {
		s.heed()
	}
	<-s.gone
	if s.late != nil {
		for o := range s.late {
			s.update(func() { s.results[o.target].note(o.errno, s.ghost) })
		}
	}
	for {
		for o := range thawAll(descriptors(s.targets), s.plan.lands, s.unsettled()) {
			s.update(func() { s.results[o.target].note(o.errno, false) })
		}
		if !s.stranded() {
			break
		}
		s.logRefused()
		time.Sleep(retryPeriod)
	}
	s.rcu.close()
	closeAll(s.targets)
	s.e.unstick(stuck)
	s.e.amend(s)
}
