package freeze_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
)

// killBoth kills an agent and its freezer so that neither sees the other die.
func killBoth(t *testing.T, agent *os.Process) {
	t.Helper()
	pids := freezers(t, agent.Pid)
	require.NoError(t, agent.Signal(unix.SIGSTOP))
	_, err := unix.Wait4(agent.Pid, nil, unix.WUNTRACED, nil) // for all its threads
	require.NoError(t, err)
	require.NoError(t, unix.Kill(pids[0], unix.SIGKILL))
	require.NoError(t, agent.Kill())
}

// A filesystem that was unmounted lazily, and all of whose holders were
// killed, is thawed by the next agent through its device.
func TestRecoverUnmounted(t *testing.T) {
	for _, fsType := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fsType, func(t *testing.T) {
			dir := mounted(t, freezetest.FS{Type: fsType, Dir: "/mnt/a"})
			file, err := os.OpenFile(filepath.Join(dir, "open"), os.O_RDWR|os.O_CREATE, 0o600)
			require.NoError(t, err)
			defer func() { _ = file.Close() }()
			state := t.TempDir()
			cmd := startAgent(t, state)
			require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH))
			killBoth(t, cmd.Process)
			wrote := make(chan error, 1)
			go func() {
				_, err := file.WriteString("x")
				wrote <- err
			}()
			select {
			case <-wrote:
				t.Fatal("it is not frozen")
			case <-time.After(blocked):
			}

			next := freeze.New(freeze.Config{StateDir: state})
			r, err := next.Recover()
			require.NoError(t, err)
			require.Equal(t, []string{dir}, r.Thawed)
			require.Empty(t, r.Gone)
			select {
			case err := <-wrote:
				require.NoError(t, err)
			case <-time.After(soon):
				t.Fatal("it is frozen still")
			}
		})
	}
}

// One that was thawed and unmounted is not mounted anew.
func TestRecoverGone(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	state := t.TempDir()
	killBoth(t, startAgent(t, state).Process)
	require.NoError(t, freezetest.Thaw(dir))
	var st unix.Stat_t
	require.NoError(t, unix.Stat(dir, &st))
	device, err := os.Open(fmt.Sprintf("/dev/loop%d", unix.Minor(st.Dev)))
	require.NoError(t, err)
	defer func() { _ = device.Close() }() // it stays when its last mount goes
	require.Eventually(t, func() bool { return unix.Unmount(dir, 0) == nil }, soon, time.Millisecond)

	r, err := freeze.New(freeze.Config{StateDir: state}).Recover()
	require.NoError(t, err)
	require.Empty(t, r.Thawed)
	require.Equal(t, []string{dir}, r.Gone)
}

// A state directory on a disk that does not answer keeps nobody from freezing,
// thawing and asking.
func TestStateDirDoesNotAnswer(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	deaf := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/state"})
	state := filepath.Join(deaf, "state")
	require.NoError(t, os.Mkdir(state, 0o700))
	e := engine(t, freeze.Config{StateDir: state})
	require.NoError(t, freezetest.Freeze(deaf))
	for range 2 {
		begun := time.Now()
		n, err := e.Freeze(t.Context(), freeze.Request{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.False(t, freezetest.Writable(dir, blocked))
		require.Equal(t, freeze.Frozen, e.State())
		_, err = e.Thaw(t.Context())
		require.NoError(t, err)
		require.True(t, freezetest.Writable(dir, soon))
		require.Equal(t, freeze.Thawed, e.Report().State)
		require.Less(t, time.Since(begun), soon/2)
	}
	require.NoError(t, freezetest.Thaw(deaf))
	require.Eventually(t, func() bool {
		files, err := os.ReadDir(state)
		return err == nil && len(files) == 0
	}, soon, time.Millisecond, "what waited is done in order")
}
