package freeze

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// freezeHooks runs the hooks with "freeze", one after the other, up to the
// first that fails. From the start of the first a restarted agent knows what
// is owed to them.
func (s *session) freezeHooks(ctx context.Context) error {
	for _, problem := range s.hooks.unread {
		s.e.cfg.Log.Warn(problem)
	}
	for _, program := range s.hooks.programs {
		s.owed.programs, s.owed.own = append(s.owed.programs, program), s.hooks.own
		s.mark(Freezing)
		record := func(p process) {
			s.state.HookProcess = p
			s.e.keeper.save(s.state)
			s.e.keeper.wait()
		}
		if err := s.runHook(ctx, s.owed, program, hookFreeze, record); err != nil {
			return err
		}
	}
	return nil
}

// endHooks tells every hook that was started that the freeze is over, or has
// failed.
func (s *session) endHooks(failed bool) error {
	owed := s.owed
	s.owed = hookSet{}
	return owed.end(failed, func(program, argument string) error {
		return s.runHook(context.Background(), owed, program, argument, nil)
	})
}

// end runs the hooks' last calls, those of the last hook first: "thaw", and
// before it, for scripts that may know it, "freeze-failed". What a script
// makes of a word that it does not know is no error.
func (h hookSet) end(failed bool, run func(program, argument string) error) error {
	var first error
	for _, program := range slices.Backward(h.programs) {
		if failed && h.own {
			_ = run(program, hookFailed)
		}
		if err := run(program, hookThaw); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// runHook runs one hook once, for the report and the log.
func (s *session) runHook(ctx context.Context, of hookSet, program, argument string, record func(process)) error {
	s.e.announce(ctx, of, program, argument)
	run, err := s.e.runHook(ctx, program, argument, s.deadline, record)
	s.update(func() { s.runs = append(s.runs, run) })
	return s.e.judge(of, run, err)
}

// announce logs that a hook is about to be run, in qemu-ga's words.
func (e *Engine) announce(ctx context.Context, of hookSet, program, argument string) {
	text := fmt.Sprintf("executing fsfreeze hook with arg '%s'", argument)
	if of.own {
		text += ": " + program
	}
	e.cfg.Log.Log(ctx, LevelAudit, text)
}

// judge names the hook in its error, if there are several, and logs that.
func (e *Engine) judge(of hookSet, run HookRun, err error) error {
	switch {
	case err == nil:
		return nil
	case of.own && !errors.Is(err, errStopped):
		err = fmt.Errorf("%s %s: %w", run.Program, run.Argument, err)
	}
	level := slog.LevelError
	if run.Argument == hookFailed {
		level = slog.LevelDebug
	}
	e.cfg.Log.Log(context.Background(), level, strings.TrimSpace(err.Error()))
	return err
}

// tellOutput logs what the hooks wrote. It is called when nothing is frozen:
// the log may be on a disk.
func (s *session) tellOutput() {
	for _, run := range s.runs {
		for line := range strings.Lines(run.Output) {
			s.e.cfg.Log.Log(context.Background(), LevelAudit,
				fmt.Sprintf("%s %s: %s", run.Program, run.Argument, strings.TrimRight(line, "\n")))
		}
	}
}
