package freeze

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The words that a hook is called with.
const (
	hookFreeze = "freeze"
	hookThaw   = "thaw"
	hookFailed = "freeze-failed"
)

// hookVariable tells a hook for how many seconds the filesystems may stay
// frozen: what it holds for the freeze must be let go by then, whoever dies.
const hookVariable = "FSFREEZE_TIMEOUT"

// HookRun is one run of a hook.
type HookRun struct {
	// Program is the file that was run, Argument its only argument.
	Program  string `json:"program"`
	Argument string `json:"argument"`
	// Nanoseconds is how long it ran.
	Nanoseconds int64 `json:"nanoseconds"`
	// Error says why the run counts as failed; absent means success.
	Error string `json:"error,omitempty"`
	// Output is the end of what it wrote to its standard output and error,
	// at most 4 KiB.
	Output string `json:"output,omitempty"`
}

// runHook runs program with one argument, in a session of its own so that all
// that it starts can be killed with it at the limit. What it leaves running
// in the background is left alone, and not waited for: only a moment for the
// rest of its output. It is told the freeze's deadline; record, if not nil,
// is told its process, and the hook begins when that has returned. The error
// has qemu-ga's words.
func (e *Engine) runHook(ctx context.Context, program, argument string, deadline time.Duration, record func(process)) (HookRun, error) {
	limit := e.cfg.HookTimeout
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out := &tail{}
	call := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", hookVariable, int(math.Ceil(deadline.Seconds()))))
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
		cmd.WaitDelay = time.Second
		file, start := cmd.Path, cmd.Start
		if record != nil {
			start = func() error { return startGated(e.cfg.Program, cmd, record) }
		}
		if err := start(); err != nil {
			return file, err
		}
		return file, cmd.Wait()
	}
	begun := time.Now()
	file, err := call(program, argument)
	if errors.Is(err, unix.ENOEXEC) { // a script without #!, as execvp(3) takes it
		_, err = call("/bin/sh", file, argument)
	}
	err = hookError(ctx, err, program, limit, out)
	run := HookRun{Program: program, Argument: argument, Nanoseconds: int64(time.Since(begun)), Output: out.String()}
	if err != nil {
		run.Error = err.Error()
	}
	return run, err
}

// hookError puts a run's end into the words that qemu-ga has for it.
func hookError(ctx context.Context, err error, program string, limit time.Duration, out *tail) error {
	const action = "execute fsfreeze hook"
	var exit *exec.ExitError
	var errno syscall.Errno
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well, and left somebody with its output
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("child process has failed to %s: %s did not end within %v and was killed", action, program, limit)
	case ctx.Err() != nil:
		return errStopped
	case errors.As(err, &exit) && exit.Exited() && out.raw() != "":
		return hookWords{fmt.Sprintf("child process has failed to %s: %s", action, out.raw())}
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Errorf("child process has failed to %s: exit status %d", action, exit.ExitCode())
	case errors.As(err, &exit) && out.raw() != "":
		return hookWords{"child process has terminated abnormally: " + out.raw()}
	case errors.As(err, &exit):
		return errors.New("child process has terminated abnormally")
	case errors.Is(err, exec.ErrNotFound):
		return hookError(ctx, unix.ENOENT, program, limit, out)
	case errors.As(err, &errno):
		return fmt.Errorf("child process has failed to %s: failed to exec '%s': %w\n", action, program, spelled{errno}) //nolint:revive,staticcheck // the C agent's line end
	default:
		return fmt.Errorf("child process has failed to %s: failed to exec '%s': %w\n", action, program, err) //nolint:revive,staticcheck // the C agent's line end
	}
}

// hookWords is the error of a hook that has said why it failed.
type hookWords struct{ text string }

func (e hookWords) Error() string { return e.text }

// HookDenied tells whether err is a hook's that failed and, as it says, was
// denied something: then it may be the domain that it runs in.
func HookDenied(err error) bool {
	said, ok := errors.AsType[hookWords](err)
	text := strings.ToLower(said.text)
	return ok && (strings.Contains(text, unix.EACCES.Error()) || strings.Contains(text, unix.EPERM.Error()))
}
