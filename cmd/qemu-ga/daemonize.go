package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// reportEnv names the descriptor on which a daemon tells its starter
	// how the start went.
	reportEnv = "QEMU_GA_REPORT_FD"
	// started is what it tells if all went well. Anything else is an error.
	started = "started"
	// activationFD is the first descriptor of socket activation.
	activationFD = 3
)

// startDaemon runs the program again, with the same arguments, as a daemon: Go
// cannot fork. It returns when the daemon has told of its success or failure;
// so, other than with qemu-ga, the starter's exit status is right even if the
// pid file was to blame.
func startDaemon(argv []string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot start a daemon: %w", err)
	}
	defer func() {
		_ = r.Close()
		_ = w.Close()
	}()
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		files = append(files, os.NewFile(activationFD, "activation"))
	}
	report := reportEnv + "=" + strconv.Itoa(len(files))
	child, err := os.StartProcess("/proc/self/exe", argv, &os.ProcAttr{
		Env:   append(os.Environ(), report),
		Files: append(files, w),
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("cannot start a daemon: %w", withoutPath(err))
	}
	_ = w.Close()
	told, err := io.ReadAll(r)
	switch {
	case err != nil:
		return fmt.Errorf("cannot tell whether the daemon started: %w", withoutPath(err))
	case string(told) == started:
		return nil
	case len(told) > 0:
		return errors.New(string(told))
	}
	state, err := child.Wait()
	if err != nil {
		return fmt.Errorf("the daemon ended before it was ready: %w", err)
	}
	return fmt.Errorf("the daemon ended before it was ready: %v", state)
}

// daemonReport is a daemon's line to the process that started it.
type daemonReport struct {
	f *os.File
}

// isDaemon returns the report that is due if startDaemon has started this
// process, else nil. It puts the environment in order, so it comes before
// anything that reads or inherits it.
func isDaemon() *daemonReport {
	fd, err := strconv.Atoi(os.Getenv(reportEnv))
	if err != nil || fd <= 2 {
		return nil
	}
	unix.CloseOnExec(fd)
	_ = os.Unsetenv(reportEnv)
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getppid()) {
		_ = os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	return &daemonReport{os.NewFile(uintptr(fd), "report")}
}

// failed reports why the daemon cannot run. The starter prints it.
func (r *daemonReport) failed(err error) {
	_, _ = io.WriteString(r.f, strings.TrimSpace(err.Error()))
	_ = r.f.Close()
}

// ready cuts the last ties to the starter and reports success: the channel is
// open and the pid file written, by paths that were relative to the starter's
// directory and with its umask.
func (r *daemonReport) ready() error {
	unix.Umask(0o077)
	if err := os.Chdir("/"); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	_, _ = io.WriteString(r.f, started)
	return r.f.Close()
}
