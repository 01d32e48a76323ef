package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qemu-ga/cmd/internal/vm/control"
)

// processes are the programs started by the host's calls.
type processes struct {
	mu     sync.Mutex
	byName map[string]*process
}

type process struct {
	cmd    *exec.Cmd
	output *output
	stdout *output
	done   chan struct{}
}

// output keeps what a program writes, as long as it is not absurdly much.
type output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.data.Len() < 1<<20 {
		o.data.Write(p)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}

func launch(argv, env []string) (*process, error) {
	if len(argv) == 0 {
		return nil, errors.New("no program to run")
	}
	p := &process{output: &output{}, stdout: &output{}, done: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout = io.MultiWriter(p.output, p.stdout)
	p.cmd.Stderr = p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A daemon that goes to the background keeps the pipes open for ever.
	p.cmd.WaitDelay = 100 * time.Millisecond
	if err := children.start(p.cmd); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
		close(p.done)
	}()
	return p, nil
}

// wait waits for the end of a process and says whether it came in time.
func (p *process) wait(limit time.Duration) bool {
	select {
	case <-p.done: // also when there is no time left
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	select {
	case <-p.done:
		return true
	case <-ctx.Done():
		return false
	}
}

func (*processes) run(args control.Run) (control.Ran, error) {
	p, err := launch(args.Argv, nil)
	if err != nil {
		return control.Ran{}, err
	}
	if !p.wait(time.Duration(args.TimeoutMS) * time.Millisecond) {
		// A process that is stuck in the kernel does not die of this, and is
		// not waited for either.
		_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
		return control.Ran{Status: -1, Output: p.output.String(), Stdout: p.stdout.String(), TimedOut: true}, nil
	}
	return control.Ran{
		Status: p.cmd.ProcessState.ExitCode(), Output: p.output.String(), Stdout: p.stdout.String(),
	}, nil
}

func (ps *processes) start(args control.Start) (control.Started, error) {
	p, err := launch(args.Argv, args.Env)
	if err != nil {
		return control.Started{}, err
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.byName[args.Name] = p
	return control.Started{PID: p.cmd.Process.Pid}, nil
}

func (ps *processes) named(name string) (*process, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p, ok := ps.byName[name]
	if !ok {
		return nil, fmt.Errorf("nothing was started as %q", name)
	}
	return p, nil
}

func (ps *processes) signal(args control.Signal) (struct{}, error) {
	p, err := ps.named(args.Name)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, p.cmd.Process.Signal(syscall.Signal(args.Signal))
}

func (ps *processes) wait(args control.Wait) (control.Waited, error) {
	p, err := ps.named(args.Name)
	if err != nil {
		return control.Waited{}, err
	}
	if !p.wait(time.Duration(args.TimeoutMS) * time.Millisecond) {
		return control.Waited{Running: true, Output: p.output.String()}, nil
	}
	return control.Waited{Status: p.cmd.ProcessState.String(), Output: p.output.String()}, nil
}
