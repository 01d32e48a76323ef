package freeze

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// Recovery says what a freeze of an earlier process left to be done.
type Recovery struct {
	// Found tells that the state directory held word of a freeze.
	Found bool
	// Foreign tells that the word was qemu-ga's, which names no filesystem:
	// all that the guest has were thawed.
	Foreign bool
	// Thawed and Gone name filesystems by mount point: those that were still
	// frozen, and those that are not mounted any more. What had been frozen
	// and was thawed by the freezer is in neither.
	Thawed, Gone []string
	// Stuck are those whose disk does not answer: they are thawed when it
	// does, even if this process has ended by then.
	Stuck []string
}

// Recover thaws what an earlier process with the same state directory left
// frozen, runs the hooks' "thaw" that it owes, and keeps the news for the
// host. It is called once, before the Engine's first use. An error means that
// something is frozen still, or that it cannot be known: no freeze begins
// before another call, or a Thaw, has had success.
func (e *Engine) Recover() (Recovery, error) {
	if e.cfg.StateDir == "" {
		return Recovery{}, nil
	}
	e.recovering.Lock()
	defer e.recovering.Unlock()
	s, found, err := readSoon(e.cfg.StateDir)
	r := Recovery{Found: found, Foreign: found && s.Boot == ""}
	if found && err == nil {
		err = e.restore(s, &r)
	}
	defer e.keeper.wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.left = err
	switch {
	case err != nil:
	case found && (s.Phase == Frozen || s.Phase == Expired) && !e.cfg.ForgetExpiry:
		if s.Phase == Frozen {
			s.Thawed, s.Why = time.Now(), whyRestart
		}
		if s.Deadline <= 0 {
			s.Deadline = e.cfg.Timeout
		}
		e.last = s.report()
		e.expire(s, s.Deadline)
	default:
		e.keepState() // which drops an earlier boot's
	}
	return r, err
}

// readSoon is readState for a directory whose disk may not answer.
func readSoon(dir string) (s state, found bool, err error) {
	type word struct {
		state
		found bool
	}
	w, err := within(thawPatience, func() (word, error) {
		s, found, err := readState(dir)
		return word{s, found}, err
	})
	if errors.Is(err, errNoAnswer) {
		err = fmt.Errorf("cannot tell whether filesystems are frozen: %w; look at the disk below %s", err, dir)
	}
	return w.state, w.found, err
}

// recoverRest tries again what Recover has failed at.
func (e *Engine) recoverRest() error {
	e.mu.Lock()
	left := e.left
	e.mu.Unlock()
	if left == nil {
		return nil
	}
	_, err := e.Recover()
	return err
}

// restore does what the process that wrote s cannot do any more.
func (e *Engine) restore(s state, r *Recovery) error {
	if s.RCU {
		rcu := newExpedited()
		rcu.settle()
		rcu.close()
	}
	if err := e.thawMounted(s, r); err != nil {
		return err
	}
	s.HookProcess.kill() // or it would prepare what is told to go on
	owed := hookSet{programs: s.Hooks, own: s.HookDirs}
	_ = owed.end(s.Phase == Freezing, func(program, argument string) error { // its error is logged
		e.announce(context.Background(), owed, program, argument)
		run, err := e.runHook(context.Background(), program, argument, s.Deadline, nil)
		return e.judge(owed, run, err)
	})
	return nil
}

// thawMounted thaws the filesystems that s names, found in the mount table by
// their device numbers; all that are on disks, if s is not ours.
func (e *Engine) thawMounted(s state, r *Recovery) error {
	mounts, all, err := e.survey()
	if err != nil {
		return err
	}
	if r.Foreign {
		p, err := makePlan(all, mounts, selection{})
		if err != nil {
			return err
		}
		for i, f := range p.targets {
			s.Targets = append(s.Targets, stateTarget{Dev: f.Dev, Point: f.name(), Lands: p.lands[i]})
		}
	}
	byDev := make(map[mountinfo.Dev]*filesystem)
	for _, f := range all {
		byDev[f.Dev] = f
	}
	rest := remains{
		of: s, fds: make([]int, len(s.Targets)), left: make([]bool, len(s.Targets)),
		errnos: make([]unix.Errno, len(s.Targets)), lands: make([][]int, len(s.Targets)),
	}
	var failed []error
	opened := make([]target, len(s.Targets))
	for i, named := range s.Targets {
		rest.lands[i] = named.Lands
		if named.Point == "" {
			continue // somebody else had frozen it before
		}
		t, err := e.find(named, byDev[named.Dev])
		if errors.Is(err, errGone) {
			r.Gone = append(r.Gone, named.Point)
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		opened[i], rest.targets = t, append(rest.targets, t)
		rest.fds[i], rest.left[i] = int(t.file.Fd()), true
	}
	rest.thaw()
	for i, named := range s.Targets {
		switch {
		case rest.fds[i] == 0 || rest.left[i] || rest.errnos[i] == unix.EINVAL:
		case rest.errnos[i] == 0:
			r.Thawed = append(r.Thawed, named.Point)
		default:
			failed = append(failed, opened[i].refuse(OpThaw, rest.errnos[i]))
		}
	}
	err = e.refuseAll("cannot thaw what an earlier agent left frozen: ", failed, true)
	if stuck := rest.stuck(); len(stuck) > 0 {
		r.Stuck = points(stuck)
		e.markStuck(stuck)
		go func() {
			rest.linger()
			e.unstick(stuck)
		}()
	} else {
		closeAll(rest.targets)
	}
	return err
}

// find opens a filesystem that an earlier process froze: f, where it is
// mounted, or what the kernel keeps of it where that is nil.
func (e *Engine) find(named stateTarget, f *filesystem) (target, error) {
	if f != nil {
		return openTarget(f)
	}
	topo := topology{sys: e.cfg.Sys, dev: e.cfg.Dev}
	t, err := within(thawPatience, func() (target, error) { return topo.reattach(named) })
	if errors.Is(err, errNoAnswer) {
		err = fmt.Errorf("cannot thaw %s, which is not mounted any more: %w; look at its disk", named.Point, err)
	}
	return t, err
}

// remains are the filesystems that an earlier process may have left frozen.
type remains struct {
	of      state
	targets []target
	fds     []int
	lands   [][]int
	left    []bool // not known to be thawed
	errnos  []unix.Errno
	late    <-chan outcome
}

// thaw thaws what can be thawed soon. As long as a thread of the earlier
// freezer is in the kernel, "not frozen" means nothing: it may be about to
// freeze what its agent has given up.
func (r *remains) thaw() {
	settled := r.of.Freezer.wait(patience)
	r.late = thawAll(r.fds, r.lands, slices.Clone(r.left))
	for limit := time.After(thawPatience); ; {
		select {
		case o, ok := <-r.late:
			if !ok {
				r.late = nil
				return
			}
			r.errnos[o.target] = o.errno
			r.left[o.target] = o.errno == unix.EINVAL && !settled
		case <-limit:
			return
		}
	}
}

// stuck lists those that are left.
func (r *remains) stuck() []stateTarget {
	var stuck []stateTarget
	for i, left := range r.left {
		if left {
			t := r.of.Targets[i]
			t.Freezer, t.Lands = r.of.Freezer, nil
			stuck = append(stuck, t)
		}
	}
	return stuck
}

// linger waits until they can be thawed, and does it.
func (r *remains) linger() {
	if r.late != nil {
		for range r.late { // until it is closed
		}
	}
	for !r.of.Freezer.wait(patience) { // as long as it takes
		if r.of.Freezer.stopped() {
			r.of.Freezer.kill() // or it would thaw nothing, ever
		}
	}
	for slices.Contains(r.left, true) {
		for o := range thawAll(r.fds, r.lands, slices.Clone(r.left)) {
			r.left[o.target] = !isThaw(o.errno)
		}
		if slices.Contains(r.left, true) {
			time.Sleep(retryPeriod) // the kernel's access control refuses it
		}
	}
	closeAll(r.targets)
}

// ThawAll thaws every filesystem of the guest that is frozen, whoever froze
// it, and names the mount points: the way out for an administrator when a
// guest stands still. It does not touch the state directory.
func (e *Engine) ThawAll() ([]string, error) {
	r := Recovery{Foreign: true}
	err := e.thawMounted(state{}, &r)
	return r.Thawed, err
}
