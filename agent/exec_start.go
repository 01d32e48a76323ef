package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
)

// defaultPath is where programs are looked for without a PATH.
const defaultPath = "/bin:/usr/bin"

// shell runs scripts that do not say what runs them.
const shell = "/bin/sh"

// launch starts the program of args with the three standard files, if allow,
// where it is not nil, covers it. It fails as the program itself would: the
// caller knows that there is no process.
func launch(allow *guest.PathList, args execArgs, files []*os.File) (*os.Process, error) {
	env := os.Environ()
	if args.Env != nil {
		env = append([]string{}, *args.Env...) // empty, and not nil
	}
	if allow != nil && args.Env != nil && len(env) > 0 {
		// LD_PRELOAD and its like make any program another.
		return nil, notStarted(args.Path, errEnvironment)
	}
	attr := &os.ProcAttr{Env: env, Files: files}
	refused := error(unix.ENOENT)
	for _, file := range candidates(args.Path, env) {
		process, err := startNamed(allow, file, args, attr)
		switch {
		case err == nil:
			return process, nil
		case errors.Is(err, unix.EACCES), errors.Is(err, guest.ErrRefused):
			refused = err // unless another directory has it
		case strings.Contains(args.Path, "/"), !missing(err):
			return nil, notStarted(args.Path, err)
		}
	}
	return nil, notStarted(args.Path, refused)
}

var errEnvironment = fmt.Errorf("%w: no environment may be given", guest.ErrRefused)

// startNamed starts one file by its name, or under a policy by its descriptor:
// then no other can be put in its place.
func startNamed(allow *guest.PathList, file string, args execArgs, attr *os.ProcAttr) (*os.Process, error) {
	if allow == nil {
		if err := unix.Access(file, unix.X_OK); err != nil {
			return nil, err
		}
		return startFile(file, args, attr)
	}
	program, err := allow.OpenProgram(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = program.Close() }()
	name := guest.Descriptor(int(program.Fd()))
	if err := unix.Access(name, unix.X_OK); err != nil {
		return nil, err
	}
	if isScript(name) {
		// Who runs it must be able to open it. A binary does without, and
		// so gets no descriptor that is not its own.
		with := *attr
		with.Files = append(append([]*os.File{}, attr.Files...), program)
		attr, name = &with, guest.Descriptor(len(attr.Files))
	}
	return startFile(name, args, attr)
}

// isScript tells whether a program is run by another.
func isScript(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false // nor could another open it
	}
	defer func() { _ = f.Close() }()
	magic := make([]byte, 4)
	_, err = io.ReadFull(f, magic)
	return err != nil || string(magic) != "\x7fELF"
}

// startFile starts one file, a script without #! by the shell. The caller has
// found out that it can be run: later there would be a process.
func startFile(file string, args execArgs, attr *os.ProcAttr) (*os.Process, error) {
	process, err := os.StartProcess(file, append([]string{args.Path}, args.Arg...), attr)
	if !errors.Is(err, unix.ENOEXEC) {
		return process, err
	}
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
	return fmt.Errorf("Failed to execute child process “%s” (%w)", path, guest.Worded(err)) //nolint:staticcheck // GLib's words
}
