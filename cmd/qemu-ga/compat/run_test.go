package compat_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qemu-ga/freeze/freezetest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// work is the directory of a script's files.
const work = "/w"

// transcript has what each step of a script was answered.
type transcript []answer

// answer is what one step was answered, and when.
type answer struct {
	lines    []string
	from, to time.Time
}

// stage is one run of a script against one program.
type stage struct {
	t       *testing.T
	program program
	agent   *agent // nil before the first step that needs it
	dir     string
	undo    []func()
}

// play runs a script against a program. guide is the other program's
// transcript, if it has been first.
func play(t *testing.T, p program, s script, guide transcript) transcript {
	t.Helper()
	require.NoError(t, os.RemoveAll(work))
	require.NoError(t, os.MkdirAll(work, 0o755))
	require.NoError(t, unix.Sethostname([]byte("compat")))
	resetMachine(t)
	st := &stage{t: t, program: p, dir: filepath.Join("/run", p.name, s.name)}
	defer st.clear()
	var replies transcript
	for i, step := range s.steps {
		want := 0
		switch {
		case guide == nil && step.differs != nil:
			want = answers(step.differs.theirs) // it may be longer than what the socket holds
		case guide == nil:
		case step.differs != nil:
			want = answers(step.differs.ours)
		default:
			want = answers(guide[i].lines)
		}
		from := time.Now()
		lines := st.do(step, want)
		replies = append(replies, answer{lines, from, time.Now()})
	}
	return replies
}

// do does a step and returns what it is answered.
func (st *stage) do(s step, want int) []string {
	st.t.Helper()
	switch s.do {
	case "request", "raw":
		return st.running().request(s.pieces, want)
	case "await":
		return st.running().await()
	case "shut":
		return st.running().shut(s.pieces)
	case "abandon":
		return st.running().abandon(s.pieces)
	case "close":
		st.running().hangUp()
		return nil
	case "agent":
		st.start(strings.Fields(s.text))
		return nil
	case "kill":
		return []string{st.running().end(syscall.SIGKILL, limit)}
	case "second":
		return st.running().second(s.pieces, st.patience(s))
	case "term":
		return []string{st.running().end(syscall.SIGTERM, st.patience(s))}
	case "$":
		return st.shell(s.text)
	case "file":
		st.file(s)
		return nil
	default:
		return st.filesystem(s.do, strings.Fields(s.text))
	}
}

// patience is how long to wait for what may never come: not long, if it is
// expected of the real agent that it does not.
func (st *stage) patience(s step) time.Duration {
	if st.program == theirs && s.differs != nil {
		return time.Second
	}
	return limit
}

// running returns the agent, and starts it if there is none.
func (st *stage) running() *agent {
	if st.agent == nil {
		st.start(nil)
	}
	return st.agent
}

func (st *stage) start(words []string) {
	st.t.Helper()
	if st.agent != nil {
		st.stop()
	}
	a, err := startAgent(st.program, st.dir, words)
	require.NoError(st.t, err)
	st.agent = a
	require.NoError(st.t, a.connect(), "%s", &a.stderr)
	// The real agent forgets a SIGTERM that comes before its first reply.
	a.exchange(nil, 0)
}

// stop ends the agent, if it has not ended.
func (st *stage) stop() {
	st.t.Helper()
	if status := st.agent.end(syscall.SIGTERM, limit); status == statusRunning {
		st.t.Errorf("%s does not end", st.program.name)
	}
}

// shell runs a command and returns the lines it writes, and its status.
func (st *stage) shell(command string) []string {
	ctx, cancel := context.WithTimeout(st.t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.WaitDelay = time.Second
	cmd.Dir = work
	cmd.Env = []string{
		"PATH=/bin", "AGENT=" + st.program.path,
		"SOCKET=" + filepath.Join(st.dir, "socket"), "STATE=" + filepath.Join(st.dir, "state"),
	}
	var output strings.Builder
	cmd.Stdout = &output
	if err := startHarmless(cmd); err != nil {
		return []string{err.Error()}
	}
	_ = cmd.Wait()
	var lines []string
	for line := range strings.Lines(output.String()) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return append(lines, "status "+strconv.Itoa(cmd.ProcessState.ExitCode()))
}

// file makes a file for the time of the run.
func (st *stage) file(s step) {
	st.t.Helper()
	path, mode, _ := strings.Cut(s.text, " ")
	perm := uint64(0o644)
	if mode != "" {
		var err error
		perm, err = strconv.ParseUint(mode, 8, 32)
		require.NoError(st.t, err, "line %d", s.line)
	}
	require.NoError(st.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(st.t, os.WriteFile(path, []byte(s.content), 0o600))
	require.NoError(st.t, os.Chmod(path, os.FileMode(perm)))
	st.undo = append(st.undo, func() { _ = os.Remove(path) })
}

// filesystem does what is done to filesystems beside the agent.
func (st *stage) filesystem(do string, words []string) []string {
	st.t.Helper()
	switch do {
	case "mount":
		f := freezetest.FS{Type: words[0], Dir: words[1], Image: filepath.Join(st.t.TempDir(), "image")}
		if len(words) > 2 {
			f.Flags = unix.MS_RDONLY
		}
		st.undo = append(st.undo, func() { _ = freezetest.Unmount(f.Dir) })
		require.NoError(st.t, freezetest.Mount(f))
	case "freeze":
		require.NoError(st.t, freezetest.Freeze(words[0]))
	case "thaw":
		if err := freezetest.Thaw(words[0]); err != nil {
			return []string{err.Error()}
		}
		return []string{"thawed"}
	case "frozen":
		var lines []string
		for _, dir := range words {
			lines = append(lines, fmt.Sprintf("%s %v", dir, frozen(st.t, dir)))
		}
		return lines
	}
	return nil
}

// frozen asks the kernel whether the filesystem at dir is frozen: one that is
// cannot be frozen again.
func frozen(t *testing.T, dir string) bool {
	t.Helper()
	err := freezetest.Freeze(dir)
	if errors.Is(err, unix.EBUSY) {
		return true
	}
	require.NoError(t, err)
	require.NoError(t, freezetest.Thaw(dir))
	return false
}

// clear undoes the run.
func (st *stage) clear() {
	st.t.Helper()
	for _, dir := range mountPoints(st.t) {
		for freezetest.Thaw(dir) == nil {
			st.t.Errorf("%s: the script leaves %s frozen", st.program.name, dir)
		}
	}
	if st.agent != nil {
		st.stop()
		if st.t.Failed() {
			st.t.Logf("%s wrote: %s", st.program.name, &st.agent.stderr)
		}
	}
	for _, undo := range slices.Backward(st.undo) {
		undo()
	}
}
