package freeze

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// self is the program of the tests, which is a gate if it is started as one.
const self = "/proc/self/exe"

// marking is a command that leaves its own line of /proc in a file.
func marking(t *testing.T) (cmd *exec.Cmd, mark string) {
	t.Helper()
	mark = filepath.Join(t.TempDir(), "mark")
	return exec.CommandContext(t.Context(), "/bin/sh", "-c", "cat /proc/$$/stat >"+mark), mark
}

// The process that is recorded is the hook's, which has not begun by then.
func TestGateRecordsFirst(t *testing.T) {
	cmd, mark := marking(t)
	var recorded process
	require.NoError(t, startGated(self, cmd, func(p process) {
		recorded = p
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID))
		require.NoError(t, err)
		own, err := os.Readlink(self)
		require.NoError(t, err)
		require.Equal(t, own, program)
		require.True(t, p.alive())
		require.NoFileExists(t, mark)
	}))
	require.NoError(t, cmd.Wait())
	text, err := os.ReadFile(mark)
	require.NoError(t, err)
	require.Equal(t, recorded, parseStat(cmd.Process.Pid, string(text)))
}

// A hook whose agent is gone before it is recorded never begins.
func TestGateWithoutAgent(t *testing.T) {
	cmd, mark := marking(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	theirs := os.NewFile(uintptr(pair[1]), "agent")
	cmd.Args = append([]string{gateName, cmd.Path}, cmd.Args...)
	cmd.Path, cmd.ExtraFiles = self, []*os.File{theirs}
	require.NoError(t, cmd.Start())
	require.NoError(t, theirs.Close())
	require.NoError(t, unix.Close(pair[0])) // as the kernel does for one that is killed
	require.EqualError(t, cmd.Wait(), "exit status 1")
	require.NoFileExists(t, mark)
}

// What keeps a program from being started is told as by exec.Cmd.
func TestGateTellsErrors(t *testing.T) {
	dir := t.TempDir()
	noInterpreter, notProgram := filepath.Join(dir, "no-interpreter"), filepath.Join(dir, "not-program")
	require.NoError(t, os.WriteFile(noInterpreter, []byte("#!/does/not/exist\n"), 0o755))
	require.NoError(t, os.WriteFile(notProgram, []byte("true\n"), 0o755))
	for name, want := range map[string]error{
		noInterpreter: unix.ENOENT, notProgram: unix.ENOEXEC, "/does/not/exist": unix.ENOENT, "no-such-hook": exec.ErrNotFound,
	} {
		for _, start := range []func(*exec.Cmd) error{
			(*exec.Cmd).Start,
			func(cmd *exec.Cmd) error { return startGated(self, cmd, func(process) {}) },
		} {
			require.ErrorIs(t, start(exec.CommandContext(t.Context(), name)), want, name)
		}
	}
}

// A hook inherits no more than without a gate.
func TestGateLeavesNoDescriptor(t *testing.T) {
	var listed []string
	for _, start := range []func(*exec.Cmd) error{
		(*exec.Cmd).Start,
		func(cmd *exec.Cmd) error { return startGated(self, cmd, func(process) {}) },
	} {
		out := &tail{}
		cmd := exec.CommandContext(t.Context(), "/bin/ls", "/proc/self/fd")
		cmd.Stdout = out
		require.NoError(t, start(cmd))
		require.NoError(t, cmd.Wait())
		listed = append(listed, out.raw())
	}
	require.Equal(t, listed[0], listed[1])
}

// A hook that says that something was denied to it is told from one that has
// failed otherwise: a security module may confine it.
func TestHookDenied(t *testing.T) {
	failed := exec.Command("/bin/false").Run()
	require.Error(t, failed)
	for text, want := range map[string]bool{
		"psql: Permission denied\n": true, "cat: /x: permission denied": true, "kill: Operation not permitted": true, "database is busy": false, "": false,
	} {
		out := &tail{text: []byte(text)}
		err := hookError(t.Context(), failed, "/hook", time.Second, out)
		require.Equal(t, want, HookDenied(fmt.Errorf("/hook freeze: %w", err)), text)
	}
	require.False(t, HookDenied(errors.New("Permission denied")))
	require.False(t, HookDenied(context.Canceled))
	require.False(t, HookDenied(nil))
}
