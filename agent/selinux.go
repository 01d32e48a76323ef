package agent

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
	"qemu-ga/freeze"
	"qemu-ga/selinux"
)

// system is SELinux as a guest shows it.
func system(root guest.Root) *selinux.System {
	return selinux.New(selinux.Config{Proc: root.Path("/proc"), Sys: root.Path("/sys")})
}

// guard has a freeze ask SELinux. freeze and selinux do not know each other:
// this is where they meet.
type guard struct {
	system *selinux.System
}

// NewGuard makes the Guard of an Engine that freezes the guest at root.
func NewGuard(root guest.Root) freeze.Guard { return guard{system(root)} }

// Try implements freeze.Guard.
func (g guard) Try(fds []int) []freeze.Denial {
	denials := make([]freeze.Denial, len(fds))
	for i, d := range g.system.Try(fds) {
		denials[i] = freeze.Denial{Op: freeze.Op(d.Op), Errno: d.Errno}
	}
	return denials
}

// Explain implements freeze.Guard.
func (g guard) Explain(refusals []freeze.Refusal, frozen bool) freeze.Explanation {
	var facts selinux.Facts
	if frozen {
		facts = g.system.Glance()
	} else {
		facts = g.system.Probe()
	}
	roots := make([]selinux.Root, len(refusals))
	for i, r := range refusals {
		d := selinux.Denial{Op: selinux.Op(r.Op), Errno: r.Errno}
		roots[i] = g.system.Examine(facts, r.Mount, r.FD, d)
	}
	found := selinux.Diagnose(facts, roots)
	x := freeze.Explanation{Advice: selinux.AdviceText(found.Advice)}
	for _, v := range found.Mounts {
		x.Reasons = append(x.Reasons, v.Reason)
	}
	return x
}

// SELinuxStatus is the answer to x-selinux-status: what was found, and what it
// comes to.
type SELinuxStatus struct {
	// Facts are what the kernel said.
	Facts selinux.Facts `json:"facts"`
	selinux.Diagnosis
}

// selinuxStatus answers x-selinux-status. Tells what SELinux is and does to the
// agent, whether each filesystem may be frozen and thawed, and what to do about
// it if not. Freezes nothing.
func (a *Agent) selinuxStatus(context.Context, noArgs) (SELinuxStatus, error) {
	s := system(a.root)
	return diagnose(s, s.Probe(), a.engine)
}

// InspectSELinux is x-selinux-status for an administrator: it is about the
// agent that runs or would be started, and not about the process that asks.
func InspectSELinux(root guest.Root, e *freeze.Engine) (SELinuxStatus, error) {
	s := system(root)
	return diagnose(s, s.ForAgent(), e)
}

func diagnose(s *selinux.System, facts selinux.Facts, e *freeze.Engine) (SELinuxStatus, error) {
	filesystems, err := e.Targets()
	if err != nil {
		return SELinuxStatus{}, err
	}
	return SELinuxStatus{facts, selinux.Diagnose(facts, s.Roots(facts, filesystems))}, nil
}

// advise adds to an error of c what SELinux has to do with it.
func (a *Agent) advise(c *Command, err error) error {
	switch {
	case c == nil, a.standstill():
		return err
	case freeze.HookDenied(err):
		return withAdvice(a.root, selinux.NeedHook, err)
	default:
		return Advise(a.root, c.Needs, err)
	}
}

// Advise adds to an error what SELinux has to do with it.
func Advise(root guest.Root, need selinux.Need, err error) error {
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
		return err
	}
	return withAdvice(root, need, err)
}

func withAdvice(root guest.Root, need selinux.Need, err error) error {
	if text := need.Explain(system(root).Glance()); text != "" {
		return advised{err, text}
	}
	return err
}

// advised is an error with advice behind its words.
type advised struct {
	error
	advice string
}

func (e advised) Error() string { return strings.TrimRight(e.error.Error(), "\n") + ". " + e.advice }
func (e advised) Unwrap() error { return e.error }
