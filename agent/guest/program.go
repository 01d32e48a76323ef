package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Run runs one of the guest's programs in a session of its own and waits for
// its end, and for the end of everything else that holds its output open. A
// name without a slash is looked for in PATH. input is nil for /dev/null.
//
// The error says what the program was to do and what it printed, in the words
// of QEMU's agent: action is a verb and its object ("set user password").
func (r Root) Run(action string, input io.Reader, name string, args ...string) error {
	file, err := r.lookPath(name)
	if err != nil {
		return notRun(action, name, err)
	}
	output := &head{limit: 64 << 10}
	start := func(file string, args ...string) (*exec.Cmd, error) {
		cmd := &exec.Cmd{
			Path: file, Args: append([]string{name}, args...),
			Stdin: input, Stdout: output, Stderr: output,
			SysProcAttr: &syscall.SysProcAttr{Setsid: true},
		}
		return cmd, cmd.Start()
	}
	cmd, err := start(file, args...)
	if errors.Is(err, unix.ENOEXEC) { // a script without #!, as execvp(3) takes it
		cmd, err = start(r.Path("/bin/sh"), append([]string{file}, args...)...)
	}
	if err != nil {
		return notRun(action, name, err)
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); err == nil || !errors.As(err, &exit) {
		return err
	}
	switch status := cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case !status.Exited() && output.text == "":
		return errors.New("child process has terminated abnormally")
	case !status.Exited():
		return fmt.Errorf("child process has terminated abnormally: %s", output.text)
	case output.text == "":
		return fmt.Errorf("child process has failed to %s: exit status %d", action, status.ExitStatus())
	}
	return fmt.Errorf("child process has failed to %s: %s", action, output.text)
}

// notRun words the failure to run a program like that of the program: QEMU's
// agent has forked by then.
func notRun(action, name string, err error) error {
	return fmt.Errorf("child process has failed to %s: failed to exec '%s': %w\n", action, name, Worded(err)) //nolint:revive,staticcheck // the C agent's line end
}

// Executable tells whether the guest has a program name that the agent may
// run.
func (r Root) Executable(name string) bool {
	return unix.Access(r.Path(name), unix.X_OK) == nil
}

// lookPath finds the file of a program below the root.
func (r Root) lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return r.Path(name), nil
	}
	for dir := range strings.SplitSeq(os.Getenv("PATH"), ":") {
		if file := path.Join(dir, name); path.IsAbs(file) && r.Executable(file) {
			return r.Path(file), nil
		}
	}
	return "", unix.ENOENT
}

// Strerror words a system error as the C library does, whose messages begin
// with a capital: hosts match on "No such file or directory".
func Strerror(err error) string {
	text := err.Error()
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		text = errno.Error()
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// Worded is err in Strerror's words.
func Worded(err error) error { return worded{err} }

type worded struct{ err error }

func (w worded) Error() string { return Strerror(w.err) }
func (w worded) Unwrap() error { return w.err }

// head keeps the beginning of what is written to it.
type head struct {
	limit int
	text  string
}

func (h *head) Write(p []byte) (int, error) {
	if room := h.limit - len(h.text); room > 0 {
		h.text += string(p[:min(room, len(p))])
	}
	return len(p), nil
}
