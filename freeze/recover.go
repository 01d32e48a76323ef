package freeze

import (
	"context"
	"fmt"
	"strings"
	"time"

	"qemu-ga/freeze/mountinfo"
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
}

// Recover thaws what an earlier process with the same state directory left
// frozen, runs the hook's "thaw" that it owes, and keeps the news for the
// host. It is called once, before the Engine's first use. An error means that
// something is frozen still, or that it cannot be known.
func (e *Engine) Recover() (Recovery, error) {
	if e.cfg.StateDir == "" {
		return Recovery{}, nil
	}
	s, found, err := readState(e.cfg.StateDir)
	if err != nil {
		return Recovery{}, err
	}
	if !found {
		e.dropState() // an earlier boot's
		return Recovery{}, nil
	}
	r := Recovery{Found: true, Foreign: s.Boot == ""}
	if s.Phase == Frozen {
		if err := e.restore(s, &r); err != nil {
			return r, err
		}
		s.Thawed, s.Why = time.Now(), whyRestart
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cfg.ForgetExpiry {
		e.dropState()
		return r, nil
	}
	if s.Deadline <= 0 {
		s.Deadline = e.cfg.Timeout
	}
	e.last = s.report()
	e.expire(s, s.Deadline)
	return r, nil
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
	if s.Hook != "" {
		if _, err := runHook(context.Background(), s.Hook, hookThaw, e.cfg.HookTimeout); err != nil {
			e.cfg.Log.Error(strings.TrimSpace(err.Error()))
		}
	}
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
	var failed []string
	targets := make([]target, 0, len(s.Targets))
	fds, left, lands := make([]int, len(s.Targets)), make([]bool, len(s.Targets)), make([][]int, len(s.Targets))
	for i, named := range s.Targets {
		lands[i] = named.Lands
		f := byDev[named.Dev]
		if f == nil {
			r.Gone = append(r.Gone, named.Point)
			continue
		}
		t, err := openTarget(f)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		targets = append(targets, t)
		fds[i], left[i] = int(t.file.Fd()), true
	}
	defer closeAll(targets)
	for o := range thawAll(fds, lands, left) {
		switch point := s.Targets[o.target].Point; {
		case o.errno == 0:
			r.Thawed = append(r.Thawed, point)
		case !isThaw(o.errno):
			failed = append(failed, fmt.Sprintf("failed to thaw %s: %s", point, words(o.errno)))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("cannot thaw what an earlier agent left frozen: %s", strings.Join(failed, "; "))
	}
	return nil
}

// ThawAll thaws every filesystem of the guest that is frozen, whoever froze
// it, and names the mount points: the way out for an administrator when a
// guest stands still. It does not touch the state directory.
func (e *Engine) ThawAll() ([]string, error) {
	r := Recovery{Foreign: true}
	err := e.thawMounted(state{}, &r)
	return r.Thawed, err
}
