package freeze_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
)

// freezers lists the processes that were started as a freezer by parent.
func freezers(t *testing.T, parent int) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var pids []int
	for _, dir := range dirs {
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		stat, _ := os.ReadFile(filepath.Join(dir, "stat"))
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		if strings.HasPrefix(string(cmdline), "qemu-ga-freezer\x00") && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(dir))
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// frozenPair mounts two filesystems and freezes them.
func frozenPair(t *testing.T, cfg freeze.Config) (*freeze.Engine, []string) {
	t.Helper()
	dirs := []string{
		mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"}),
		mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/b"}),
	}
	e := engine(t, cfg)
	n, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	for _, dir := range dirs {
		require.False(t, freezetest.Writable(dir, blocked), dir)
	}
	return e, dirs
}

// requireExpired looks at an Engine whose freeze ended by itself: the
// filesystems are writable, the news are given once, and then it is thawed.
func requireExpired(t *testing.T, e *freeze.Engine, dirs []string, news string) {
	t.Helper()
	for _, dir := range dirs {
		require.True(t, freezetest.Writable(dir, soon), dir)
	}
	require.Eventually(t, func() bool { return e.State() == freeze.Expired }, soon, time.Millisecond)
	require.Equal(t, freeze.Expired, e.Report().State)
	n, err := e.Thaw(t.Context())
	require.ErrorContains(t, err, "fsfreeze is limited to "+news)
	require.ErrorContains(t, err, "before this request")
	require.Zero(t, n)
	require.Equal(t, freeze.Thawed, e.State())
	n, err = e.Thaw(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestDeadline(t *testing.T) {
	e, dirs := frozenPair(t, freeze.Config{Timeout: time.Second})
	requireExpired(t, e, dirs, "1 second")
	require.Equal(t, "deadline", e.Report().EndedBy)
	n, err := e.Freeze(t.Context(), freeze.Request{Timeout: time.Minute})
	require.NoError(t, err)
	require.Equal(t, 2, n, "a new freeze is a new session")
	_, err = e.Thaw(t.Context())
	require.NoError(t, err)
}

// A freezer that is stopped minds no deadline: the agent does.
func TestDeadlineWithStoppedFreezer(t *testing.T) {
	e, dirs := frozenPair(t, freeze.Config{Timeout: time.Second})
	for _, pid := range freezers(t, os.Getpid()) {
		require.NoError(t, unix.Kill(pid, unix.SIGSTOP))
	}
	requireExpired(t, e, dirs, "1 second")
}

// A freezer that is stopped does not thaw: the agent does.
func TestThawWithStoppedFreezer(t *testing.T) {
	e, dirs := frozenPair(t, freeze.Config{})
	for _, pid := range freezers(t, os.Getpid()) {
		require.NoError(t, unix.Kill(pid, unix.SIGSTOP))
	}
	n, err := e.Thaw(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	for _, dir := range dirs {
		require.True(t, freezetest.Writable(dir, soon), dir)
	}
}

func TestFreezerDies(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": unix.SIGKILL, "told to stop": unix.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			e, dirs := frozenPair(t, freeze.Config{})
			// Earlier ones need a second to end under the race detector.
			pids := freezers(t, os.Getpid())
			require.NotEmpty(t, pids)
			require.NoError(t, unix.Kill(slices.Max(pids), signal))
			requireExpired(t, e, dirs, "the life of the freezer process")
		})
	}
}

func TestExpiryForgotten(t *testing.T) {
	e, dirs := frozenPair(t, freeze.Config{Timeout: time.Second, ForgetExpiry: true})
	require.True(t, freezetest.Writable(dirs[0], soon))
	require.Eventually(t, func() bool { return e.State() == freeze.Thawed }, soon, time.Millisecond)
	_, err := e.Thaw(t.Context())
	require.NoError(t, err)
}

// The news that nobody fetches end by themselves, as some hosts freeze no
// guest that says that it is frozen.
func TestExpiryEnds(t *testing.T) {
	e, _ := frozenPair(t, freeze.Config{Timeout: time.Second})
	require.Eventually(t, func() bool { return e.State() == freeze.Expired }, soon, time.Millisecond)
	require.Eventually(t, func() bool { return e.State() == freeze.Thawed }, soon, time.Millisecond)
	_, err := e.Thaw(t.Context())
	require.NoError(t, err)
}

// agentVariable makes the test program an agent in a process of its own, so
// that it can be killed; its value is the state directory.
const agentVariable = "FREEZE_TEST_AGENT"

// beAgent freezes everything, says so, and holds it.
func beAgent(stateDir string) {
	e := freeze.New(freeze.Config{StateDir: stateDir})
	if _, err := e.Freeze(context.Background(), freeze.Request{By: "the one that died"}); err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("frozen\n")
	select {}
}

// startAgent runs beAgent and waits until it has frozen everything.
func startAgent(t *testing.T, stateDir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), agentVariable+"="+stateDir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var word [7]byte
	_, err = out.Read(word[:])
	require.NoError(t, err)
	require.Equal(t, "frozen\n", string(word[:]))
	return cmd
}

func TestAgentDies(t *testing.T) {
	for _, who := range []string{"agent", "freezer first", "both at once"} {
		t.Run(who, func(t *testing.T) {
			dirs := []string{
				mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"}),
				mounted(t, freezetest.FS{Type: "xfs", Dir: "/mnt/b"}),
			}
			state := t.TempDir()
			cmd := startAgent(t, state)
			pids := freezers(t, cmd.Process.Pid)
			require.Len(t, pids, 1)
			for _, dir := range dirs {
				require.False(t, freezetest.Writable(dir, blocked), dir)
			}
			if who != "agent" {
				// The agent must not notice before it is killed too.
				require.NoError(t, cmd.Process.Signal(unix.SIGSTOP))
				require.NoError(t, unix.Kill(pids[0], unix.SIGKILL))
			}
			require.NoError(t, cmd.Process.Kill())
			if who == "agent" {
				for _, dir := range dirs {
					require.True(t, freezetest.Writable(dir, time.Second), "%s: the freezer thaws within a second", dir)
				}
			} else {
				require.False(t, freezetest.Writable(dirs[0], blocked), "nobody is left to thaw")
			}

			next := freeze.New(freeze.Config{StateDir: state})
			r, err := next.Recover()
			require.NoError(t, err)
			require.True(t, r.Found)
			require.False(t, r.Foreign)
			if who != "agent" {
				require.ElementsMatch(t, dirs, r.Thawed)
			}
			report := next.Report()
			require.Equal(t, "the one that died", report.AskedBy)
			require.Equal(t, "restart", report.EndedBy)
			requireExpired(t, next, dirs, "the life of the agent")
		})
	}
}

// qemu-ga leaves an empty file and names nothing.
func TestRecoverForeignState(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	state := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(state, "qga.state.isfrozen"), nil, 0o600))
	require.NoError(t, freezetest.Freeze(dir))
	e := freeze.New(freeze.Config{StateDir: state})
	r, err := e.Recover()
	require.NoError(t, err)
	require.True(t, r.Foreign)
	require.Equal(t, []string{dir}, r.Thawed)
	requireExpired(t, e, []string{dir}, "the life of the agent")
	require.NoFileExists(t, filepath.Join(state, "qga.state.isfrozen"))
}

// A file of an earlier boot says nothing about this one.
func TestRecoverStaleState(t *testing.T) {
	freezetest.Need(t)
	state := t.TempDir()
	path := filepath.Join(state, "qga.state.isfrozen")
	require.NoError(t, os.WriteFile(path, []byte(`{"phase":"frozen","boot":"an earlier one","targets":[{"dev":{"Major":7,"Minor":0},"point":"/mnt/a"}]}`), 0o600))
	e := freeze.New(freeze.Config{StateDir: state})
	r, err := e.Recover()
	require.NoError(t, err)
	require.False(t, r.Found)
	require.Equal(t, freeze.Thawed, e.State())
	require.NoFileExists(t, path)
}
