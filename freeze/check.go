package freeze

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"qemu-ga/freeze/mountinfo"
)

// Check is what a freeze would do now.
type Check struct {
	// Ready tells that a freeze of everything would begin and leave nothing
	// out that is on a disk of the guest and could hold an application's
	// data: a snapshot would be consistent.
	Ready bool `json:"ready"`
	// Refused is the error that a freeze of everything would answer, as far as
	// the kernel's access control is the reason; absent is none.
	Refused string `json:"refused,omitempty"`
	// Filesystems has every filesystem that holds files.
	Filesystems []FilesystemReport `json:"filesystems"`
	// Hooks are the programs that would be run, in this order.
	Hooks []string `json:"hooks,omitempty"`
	// Problems says in words what stands in the way of Ready.
	Problems []string `json:"problems,omitempty"`
}

// Check finds out what a freeze would do now: everything that it does before
// the pre-sync, and nothing further. It opens the root of every filesystem
// and changes nothing.
func (e *Engine) Check() (Check, error) {
	c := Check{Filesystems: []FilesystemReport{}}
	p, err := e.planAll()
	if err != nil {
		return c, err
	}
	level := p.level()
	admitted, errs, advice := e.admit(p.targets)
	defer releaseAll(errs)
	var refused []error
	for i, f := range p.targets {
		if errs[i] != nil && !errors.Is(errs[i], errUnreachable) {
			refused = append(refused, errs[i])
		}
		_ = admitted[i].file.Close() // nil is no file
		r, problem := f.foresee(errs[i])
		r.Level = level[i]
		c.Filesystems = append(c.Filesystems, r)
		if problem {
			c.Problems = append(c.Problems, r.Mountpoint+": "+r.Reason)
		}
	}
	for _, s := range p.skipped {
		c.Filesystems = append(c.Filesystems, s.describe())
	}
	hooks, err := e.cfg.findHooks()
	c.Hooks = hooks.programs
	c.Problems = append(c.Problems, hooks.unread...)
	for _, program := range hooks.programs {
		if err == nil {
			_, err = exec.LookPath(program)
		}
	}
	if err != nil {
		c.Problems = append(c.Problems, fmt.Sprintf("a hook cannot be run, so every freeze fails: %v", err))
	}
	if advice != "" {
		c.Problems = append(c.Problems, advice)
	}
	if err := refuseWith("", refused, advice); err != nil {
		c.Refused = err.Error()
	}
	c.Ready = len(c.Problems) == 0
	return c, nil
}

// Targets lists the filesystems that a freeze of everything would freeze, each
// by all of its mounts. It touches none of them.
func (e *Engine) Targets() ([][]mountinfo.Mount, error) {
	p, err := e.planAll()
	if err != nil {
		return nil, err
	}
	var targets [][]mountinfo.Mount
	for _, f := range p.targets {
		targets = append(targets, f.Mounts)
	}
	return targets, nil
}

// planAll plans a freeze of everything, as the mounts are now.
func (e *Engine) planAll() (plan, error) {
	mounts, all, err := e.survey()
	if err != nil {
		return plan{}, err
	}
	return makePlan(all, mounts, selection{exclude: e.cfg.Exclude})
}

// foresee tells what would become of f, and whether that is a problem. err is
// why it cannot be frozen.
func (f *filesystem) foresee(err error) (r FilesystemReport, problem bool) {
	r = f.describe()
	switch {
	case errors.Is(err, errUnreachable):
		r.Outcome, r.Reason, problem = OutcomeSkipped, err.Error(), true
	case err != nil:
		r.Outcome, r.Reason, problem = OutcomeBlocked, err.Error(), true
	case noFreezeOperation[f.Type]:
		r.Outcome, r.Reason, problem = OutcomeUnsupported, notFreezable(f.Type), !f.quiet()
	default:
		r.Outcome = OutcomeWouldFreeze
	}
	return r, problem
}

// quiet tells whether a filesystem that cannot be frozen does no harm to a
// snapshot: nobody can write to it, or it holds the firmware's boot files,
// which only an upgrade of the boot loader writes.
func (f *filesystem) quiet() bool {
	return !slices.ContainsFunc(f.Mounts, func(m mountinfo.Mount) bool {
		firmware := m.FSType == "vfat" && (strings.HasPrefix(m.Point, "/boot") || strings.HasPrefix(m.Point, "/efi"))
		return !firmware && !m.HasOption("ro")
	})
}
