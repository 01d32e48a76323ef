package agent

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
)

// defaultPath is where programs are looked for without a PATH.
const defaultPath = "/bin:/usr/bin"

// launch starts the program of args with the three standard files. It fails
// as the program itself would: the caller knows that there is no process.
func launch(args execArgs, files []*os.File) (*os.Process, error) {
	env := os.Environ()
	if args.Env != nil {
		env = append([]string{}, *args.Env...) // empty, and not nil
	}
	attr := &os.ProcAttr{Env: env, Files: files}
	refused := unix.ENOENT
	for _, file := range candidates(args.Path, env) {
		process, err := startFile(file, args, attr)
		switch {
		case err == nil:
			return process, nil
		case errors.Is(err, unix.EACCES):
			refused = unix.EACCES // unless another directory has it
		case strings.Contains(args.Path, "/"), !missing(err):
			return nil, notStarted(args.Path, err)
		}
	}
	return nil, notStarted(args.Path, refused)
}

// startFile starts one file, a script without #! by the shell. A file that
// cannot be run is found out before there is a process.
func startFile(file string, args execArgs, attr *os.ProcAttr) (*os.Process, error) {
	if err := unix.Access(file, unix.X_OK); err != nil {
		return nil, err
	}
	// What the agent was itself started with is not for the program.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	process, err := os.StartProcess(file, append([]string{args.Path}, args.Arg...), attr)
	if !errors.Is(err, unix.ENOEXEC) {
		return process, err
	}
	const shell = "/bin/sh"
	return os.StartProcess(shell, append([]string{shell, file}, args.Arg...), attr)
}

// candidates lists the files that a program's name may stand for. The PATH is
// that of the environment it gets, or the agent's; an empty part of it is the
// working directory.
func candidates(name string, env []string) []string {
	switch {
	case name == "":
		return nil
	case strings.Contains(name, "/"):
		return []string{name}
	}
	path, ok := variable(env, "PATH")
	if !ok {
		if path, ok = os.LookupEnv("PATH"); !ok {
			path = defaultPath
		}
	}
	var files []string
	for dir := range strings.SplitSeq(path, ":") {
		if dir != "" {
			dir += "/"
		}
		files = append(files, dir+name)
	}
	return files
}

// variable returns the value of the first assignment to name.
func variable(env []string, name string) (value string, ok bool) {
	for _, assignment := range env {
		if key, value, ok := strings.Cut(assignment, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// missing tells whether the error says that a directory of PATH does not have
// the program.
func missing(err error) bool {
	for _, e := range []error{unix.ENOENT, unix.ENOTDIR, unix.ESTALE, unix.ENODEV, unix.ETIMEDOUT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func notStarted(path string, err error) error {
	return fmt.Errorf("Failed to execute child process “%s” (%s)", path, guest.Strerror(err)) //nolint:staticcheck // GLib's words
}
