package freeze_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
	"qemu-ga/freeze/mountinfo"
)

// run runs a tool of the ground.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s: %s", name, out)
}

// source tells which device is mounted at dir.
func source(t *testing.T, dir string) string {
	t.Helper()
	mounts, err := mountinfo.Read("/proc/self/mountinfo")
	require.NoError(t, err)
	for _, m := range mounts {
		if m.Point == dir {
			return m.Source
		}
	}
	t.Fatalf("%s is not mounted", dir)
	return ""
}

// hook writes a hook program that notes its argument and then runs body.
func hook(t *testing.T, body string) (program, calls string) {
	t.Helper()
	dir := t.TempDir()
	program, calls = filepath.Join(dir, "hook"), filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho $1 >>" + calls + "\n" + body + "\n"
	require.NoError(t, os.WriteFile(program, []byte(script), 0o755))
	return program, calls
}

func requireCalls(t *testing.T, calls string, want ...string) {
	t.Helper()
	text, err := os.ReadFile(calls)
	require.NoError(t, err)
	require.Equal(t, want, strings.Fields(string(text)))
}

func TestHookPairs(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	program, calls := hook(t, "echo said $1")
	e := engine(t, freeze.Config{Hook: program})
	requireFreeze(t, e, 1, dir)
	requireCalls(t, calls, "freeze", "thaw")
	hooks := e.Report().Hooks
	require.Len(t, hooks, 2)
	require.Equal(t, "said freeze", hooks[0].Output)
	require.Equal(t, "thaw", hooks[1].Argument)
	_, err := e.Thaw(t.Context())
	require.NoError(t, err)
	requireCalls(t, calls, "freeze", "thaw") // nothing is frozen: no hook
}

// What a hook leaves dirty is written out before the window, too, and the
// report and the log say how much that was and how long everything took.
func TestHookWrites(t *testing.T) {
	const size = 32 << 20
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a", Size: 4 * size})
	program, _ := hook(t, "[ $1 = thaw ] || head -c "+strconv.Itoa(size)+" /dev/urandom >"+dir+"/dump")
	var log bytes.Buffer
	e := engine(t, freeze.Config{Hook: program, Log: slog.New(slog.NewTextHandler(&log, nil))})
	report := requireFreeze(t, e, 1, dir)
	require.GreaterOrEqual(t, report.Times.PresyncBytes, uint64(size))
	require.Less(t, report.Times.PresyncBytes, uint64(2*size))
	require.GreaterOrEqual(t, report.Times.Passes, 2, "once before the hook, once after it")
	require.Equal(t, dir, report.Slowest)
	require.Regexp(t, `1 filesystem was frozen for [0-9.]+.?s: pre-sync [0-9.]+.?s, 3[0-9]\.[0-9] MiB in [2-6] passes; `+
		`window [0-9.]+.?s, longest /mnt/a [0-9.]+.?s; thaw [0-9.]+.?s"`, log.String())
}

func TestHookFails(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	for body, want := range map[string]string{
		"[ $1 = thaw ] || { echo no; exit 3; }": "child process has failed to execute fsfreeze hook: no\n",
		"[ $1 = thaw ] || exit 3":               "child process has failed to execute fsfreeze hook: exit status 3",
		"[ $1 = thaw ] || kill -9 $$":           "child process has terminated abnormally",
	} {
		program, calls := hook(t, body)
		e := engine(t, freeze.Config{Hook: program})
		_, err := e.Freeze(t.Context(), freeze.Request{})
		require.EqualError(t, err, want)
		require.True(t, freezetest.Writable(dir, soon))
		require.Equal(t, freeze.Thawed, e.State())
		requireCalls(t, calls, "freeze", "thaw") // whatever it had paused goes on
	}
}

func TestHookMissing(t *testing.T) {
	mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	e := engine(t, freeze.Config{Hook: "/does/not/exist"})
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.EqualError(t, err, "child process has failed to execute fsfreeze hook: failed to exec '/does/not/exist': No such file or directory\n")
}

// A hook that hangs, and the child that holds its output open, are killed at
// the limit.
func TestHookHangs(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	program, calls := hook(t, "[ $1 = thaw ] || { sleep 1000 & sleep 1000; }")
	e := engine(t, freeze.Config{Hook: program, HookTimeout: time.Second})
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "did not end within 1s and was killed")
	require.True(t, freezetest.Writable(dir, soon))
	requireCalls(t, calls, "freeze", "thaw")
}

// A daemon that a hook leaves behind, with the hook's output still open, is
// not waited for.
func TestHookLeavesDaemon(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	program, calls := hook(t, "[ $1 = thaw ] || sleep 1000 &")
	requireFreeze(t, engine(t, freeze.Config{Hook: program}), 1, dir)
	requireCalls(t, calls, "freeze", "thaw")
}

func TestHookPrintsMegabytes(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	program, _ := hook(t, "dd if=/dev/zero bs=1048576 count=20 2>/dev/null; echo the end")
	e := engine(t, freeze.Config{Hook: program})
	report := requireFreeze(t, e, 1, dir)
	require.LessOrEqual(t, len(report.Hooks[0].Output), 4096)
	require.True(t, strings.HasSuffix(report.Hooks[0].Output, "the end"))
}

// The thaw's hook fails: the host is told, and all is thawed.
func TestThawHookFails(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	program, _ := hook(t, "[ $1 = freeze ]")
	e := engine(t, freeze.Config{Hook: program})
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	_, err = e.Thaw(t.Context())
	require.EqualError(t, err, "child process has failed to execute fsfreeze hook: exit status 1")
	require.True(t, freezetest.Writable(dir, soon))
	require.Equal(t, freeze.Thawed, e.State())
}

// A thaw that comes while the freeze is still at its hook ends both.
func TestThawOvertakesFreeze(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	program, calls := hook(t, "[ $1 = thaw ] || sleep 1000")
	e := engine(t, freeze.Config{Hook: program})
	froze := make(chan error, 1)
	go func() {
		_, err := e.Freeze(context.Background(), freeze.Request{})
		froze <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(calls); return err == nil }, soon, time.Millisecond)
	require.Equal(t, freeze.Freezing, e.State())
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "a freeze is running")
	n, err := e.Thaw(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.ErrorContains(t, <-froze, "the request was given up")
	require.True(t, freezetest.Writable(dir, soon))
	requireCalls(t, calls, "freeze", "thaw")
}

// TestHookIsFoundAsByExecvp gives hooks that only execvp(3) finds or runs.
func TestHookIsFoundAsByExecvp(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	program, calls := hook(t, "")
	script, err := os.ReadFile(program)
	require.NoError(t, err)
	_, plain, _ := strings.Cut(string(script), "\n")
	require.NoError(t, os.WriteFile(program, []byte(plain), 0o755))
	t.Setenv("PATH", os.Getenv("PATH")+":"+filepath.Dir(program))
	for _, name := range []string{program, filepath.Base(program)} {
		e := engine(t, freeze.Config{Hook: name})
		n, err := e.Freeze(t.Context(), freeze.Request{Mountpoints: []string{dir}})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = e.Thaw(t.Context())
		require.NoError(t, err)
		requireCalls(t, calls, "freeze", "thaw")
		require.NoError(t, os.Remove(calls))
	}
	e := engine(t, freeze.Config{Hook: "no-such-hook"})
	_, err = e.Freeze(t.Context(), freeze.Request{})
	require.EqualError(t, err, "child process has failed to execute fsfreeze hook: failed to exec 'no-such-hook': No such file or directory\n")
}
