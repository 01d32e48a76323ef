package agent

import (
	"context"
	"fmt"
	"strconv"

	"qemu-ga/agent/qapi"
)

// execArgs are the arguments of guest-exec.
type execArgs struct {
	// Path is the program; without a slash it is looked for in PATH, that of
	// Env if there is one.
	Path string `json:"path"`
	// Arg are the program's arguments, without its name.
	Arg []string `json:"arg,omitzero"`
	// Env is the program's whole environment; if missing, the agent's.
	Env *[]string `json:"env,omitzero"`
	// InputData is what the program reads from standard input; if missing,
	// that is /dev/null.
	InputData *qapi.Base64 `json:"input-data,omitzero"`
	// CaptureOutput says which output guest-exec-status is to return; if
	// missing, none.
	CaptureOutput captureOutput `json:"capture-output,omitzero"`
}

// captureOutput is a mode, or true for "separated" and false for "none".
type captureOutput struct {
	flag bool
	mode captureMode
}

// captureMode is which output is captured.
type captureMode string

const (
	captureNone      captureMode = "none"
	captureStdout    captureMode = "stdout"
	captureStderr    captureMode = "stderr"
	captureSeparated captureMode = "separated"
	captureMerged    captureMode = "merged"
)

// Members implements qapi.Enum.
func (captureMode) Members() []string {
	return []string{
		string(captureNone), string(captureStdout), string(captureStderr),
		string(captureSeparated), string(captureMerged),
	}
}

// QAPIType implements qapi.Alternate.
func (*captureOutput) QAPIType() string { return "GuestExecCaptureOutput" }

// Branch implements qapi.Alternate.
func (c *captureOutput) Branch(k qapi.Kind) any {
	switch k {
	case qapi.Bool:
		return &c.flag
	case qapi.String:
		return &c.mode
	}
	return nil
}

// value returns the mode that was asked for, in whatever way.
func (c captureOutput) value() captureMode {
	switch {
	case c.mode != "":
		return c.mode
	case c.flag:
		return captureSeparated
	}
	return captureNone
}

// execStarted is the answer to guest-exec.
type execStarted struct {
	// PID is the number of the process, for guest-exec-status.
	PID int64 `json:"pid"`
}

// execStatusArgs are the arguments of guest-exec-status.
type execStatusArgs struct {
	// PID is what guest-exec returned.
	PID int64 `json:"pid"`
}

// execStatus is the answer to guest-exec-status.
type execStatus struct {
	// Exited tells whether the process has ended, and whatever holds its
	// captured output open.
	Exited bool `json:"exited"`
	// ExitCode is its exit status, if it has exited.
	ExitCode *int `json:"exitcode,omitzero"`
	// Signal is what killed it, if something has.
	Signal *int `json:"signal,omitzero"`
	// OutData is what it wrote to standard output, if it was captured and is
	// not empty.
	OutData qapi.Base64 `json:"out-data,omitempty"`
	// ErrData is the same of standard error.
	ErrData qapi.Base64 `json:"err-data,omitempty"`
	// OutTruncated comes with OutData and tells whether more was written.
	OutTruncated *bool `json:"out-truncated,omitzero"`
	// ErrTruncated comes with ErrData.
	ErrTruncated *bool `json:"err-truncated,omitzero"`
}

// exec answers guest-exec. Starts a program and returns at once;
// guest-exec-status tells of its end. A policy may allow few programs or none
// ([exec] allow in qemu-ga.conf).
func (a *Agent) exec(ctx context.Context, args execArgs) (execStarted, error) {
	a.audit(ctx, `guest-exec called: "`+clipped(commandLine(args), maxAudited)+`"`)
	pid, err := a.children.start(args)
	if err != nil {
		return execStarted{}, err
	}
	a.outcome(ctx, "pid %d", pid)
	return execStarted{PID: int64(pid)}, nil
}

// commandLine joins as much of a program's arguments as the log repeats.
func commandLine(args execArgs) string {
	line := args.Path
	for _, arg := range args.Arg {
		if len(line) > maxAudited {
			break
		}
		line += " " + arg[:min(len(arg), maxAudited)]
	}
	return line
}

// execStatus answers guest-exec-status. Tells whether a process that guest-exec
// started has ended, and what it printed. One that has ended is told once, and
// then forgotten.
func (a *Agent) execStatus(ctx context.Context, args execStatusArgs) (execStatus, error) {
	a.audit(ctx, "guest-exec-status called, pid: "+strconv.FormatInt(args.PID, 10))
	c, ended, err := a.children.collect(args.PID, shareOf(ctx))
	switch {
	case err != nil:
		return execStatus{}, err
	case c == nil:
		return execStatus{}, fmt.Errorf("PID %d does not exist", args.PID)
	case !ended:
		a.outcome(ctx, "running")
		return execStatus{}, nil
	}
	status := execStatus{Exited: true}
	switch code, signal := c.status.ExitStatus(), int(c.status.Signal()); {
	case c.status.Exited():
		status.ExitCode = &code
		a.outcome(ctx, "exit code %d", code)
	case c.status.Signaled():
		status.Signal = &signal
		a.outcome(ctx, "signal %d", signal)
	}
	status.OutData, status.OutTruncated = c.out.result()
	status.ErrData, status.ErrTruncated = c.err.result()
	c.out.forget()
	c.err.forget()
	return status, nil
}
