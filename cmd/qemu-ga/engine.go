package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"qemu-ga/agent"
	"qemu-ga/freeze"
)

// hookDirs are where hook scripts are found, where -F names no program that
// runs them itself: an administrator's in the directory of QEMU and in
// Fedora's, one for this boot, and what packages bring. SELinux policies know
// Fedora's by name: with the boolean virt_qemu_ga_run_unconfined, what lies
// there may do all that root may.
var hookDirs = []string{
	"/etc/qemu/fsfreeze-hook.d", "/etc/qemu-ga/fsfreeze-hook.d",
	"/run/qemu-ga/fsfreeze-hook.d", "/usr/libexec/qemu-ga/fsfreeze-hook.d",
}

// freezeConfig is what the options say about freezing. log may be nil.
func freezeConfig(o options, log *logFile, logger *slog.Logger) freeze.Config {
	cfg := freeze.Config{
		StateDir: o.stateDir,
		Timeout:  o.freeze.timeout, WindowTimeout: o.freeze.window,
		StallTimeout: o.freeze.stall, HookTimeout: o.freeze.hook,
		NoPresync: !o.freeze.presync, NoExpedite: !o.freeze.expedite, ForgetExpiry: !o.freeze.reportExpiry,
		Exclude: o.freeze.exclude, Hook: o.hook, HookDirs: hookDirs, Log: logger,
		Guard: agent.NewGuard("/"),
	}
	if log != nil {
		cfg.Quiet = func(quiet bool) {
			if quiet {
				log.Hold()
			} else {
				log.Release()
			}
		}
	}
	return cfg
}

// foretell has the log say at the start when a freeze would be refused now: by
// SELinux, or for want of a capability.
func foretell(engine *freeze.Engine, logger *slog.Logger) {
	if engine.State() != freeze.Thawed {
		return // what is frozen could keep a look at it waiting
	}
	if found, err := engine.Check(); err == nil && found.Refused != "" {
		logger.Warn("a freeze would be refused now: " + found.Refused)
	}
}

// restore thaws what an earlier agent left frozen. When that is refused it is
// tried again until it succeeds: nothing else brings such a guest back.
func restore(ctx context.Context, engine *freeze.Engine, logger *slog.Logger) (done bool) {
	r, err := engine.Recover()
	describe(logger, r)
	if err == nil {
		return len(r.Stuck) == 0
	}
	logger.Error(err.Error())
	go func() {
		tick := time.NewTicker(recoverPeriod)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if r, err := engine.Recover(); err == nil {
				describe(logger, r)
				return
			}
		}
	}()
	return false
}

// describe logs what a recovery found.
func describe(logger *slog.Logger, r freeze.Recovery) {
	switch {
	case !r.Found:
	case len(r.Stuck) > 0:
		logger.Error("an earlier agent ended while filesystems were frozen; they thaw when their disks answer: " + strings.Join(r.Stuck, ", "))
	case len(r.Thawed) > 0:
		logger.Warn("an earlier agent ended while filesystems were frozen; thawed: " + strings.Join(r.Thawed, ", "))
	default:
		logger.Warn("an earlier agent ended while filesystems were frozen; none is frozen now")
	}
	if len(r.Gone) > 0 {
		logger.Warn("frozen by an earlier agent and not mounted any more: " + strings.Join(r.Gone, ", "))
	}
}

// thaw is `qemu-ga thaw`: the way out for an administrator, and for the unit
// when the agent has died.
func thaw(o options, w io.Writer) error {
	engine := freeze.New(freezeConfig(o, nil, nil))
	r, err := engine.Recover()
	thawed := r.Thawed
	if o.all {
		all, aerr := engine.ThawAll()
		thawed = append(thawed, all...)
		if err == nil {
			err = aerr
		}
	}
	if err != nil {
		return err
	}
	if len(r.Stuck) > 0 {
		return fmt.Errorf("cannot thaw %s: its disk does not answer; it is thawed when it does", strings.Join(r.Stuck, ", "))
	}
	text := "nothing was frozen\n"
	if len(thawed) > 0 {
		text = "thawed " + strings.Join(thawed, ", ") + "\n"
	}
	_, err = fmt.Fprint(w, text)
	return err
}
