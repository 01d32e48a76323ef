package freeze_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
)

// hungDisk makes a filesystem whose disk can hang, with something to sync.
func hungDisk(t *testing.T, dir string) *freezetest.Disk {
	t.Helper()
	freezetest.Need(t)
	disk, err := freezetest.MountOnDisk(freezetest.FS{Type: "ext4", Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, disk.Resume())
		require.True(t, freezetest.Writable(dir, soon))
		require.NoError(t, freezetest.Unmount(dir))
		require.NoError(t, disk.Close())
	})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dirty"), make([]byte, 1<<20), 0o600))
	return disk
}

// A host that tries again and again does not fill the memory with freezers
// that wait for a hung disk.
func TestHungSyncsAreBounded(t *testing.T) {
	disk := hungDisk(t, "/mnt/hung")
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	e := engine(t, freeze.Config{StallTimeout: 100 * time.Millisecond})
	require.NoError(t, disk.Hang())
	for range 4 {
		_, err := e.Freeze(t.Context(), freeze.Request{})
		require.ErrorContains(t, err, "cannot freeze /mnt/hung")
		require.ErrorContains(t, err, "nothing was frozen")
		require.True(t, freezetest.Writable(dir, soon))
	}
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "the syncs of 4 earlier freezes have not come back")
	require.NoError(t, disk.Resume())
	require.Eventually(t, func() bool { n, err := e.Freeze(t.Context(), freeze.Request{}); return err == nil && n == 2 },
		soon, time.Millisecond)
	_, err = e.Thaw(t.Context())
	require.NoError(t, err)
}

// A freezer that is stopped while it waits for a disk thaws nothing when that
// comes back: the agent does.
func TestStuckWithStoppedFreezer(t *testing.T) {
	disk := hungDisk(t, "/mnt/hung")
	e := engine(t, freeze.Config{WindowTimeout: 300 * time.Millisecond, NoPresync: true})
	require.NoError(t, disk.Hang())
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "cannot freeze /mnt/hung within 300ms")
	require.NoError(t, unix.Kill(slices.Max(freezers(t, os.Getpid())), unix.SIGSTOP))
	require.NoError(t, disk.Resume())
	require.True(t, freezetest.Writable("/mnt/hung", soon))
	require.Eventually(t, func() bool { return outcomes(e.Report())["/mnt/hung"] == freeze.OutcomeThawed }, soon, time.Millisecond)
}

// One that is stopped in the window is ended soon.
func TestFreezerStoppedInWindow(t *testing.T) {
	disk := hungDisk(t, "/mnt/hung")
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	e := engine(t, hangLast(t, disk, freeze.Config{NoPresync: true}))
	done := make(chan error, 1)
	go func() { _, err := e.Freeze(t.Context(), freeze.Request{}); done <- err }()
	require.Eventually(t, func() bool { return !freezetest.Writable(dir, 50*time.Millisecond) }, soon, time.Millisecond)
	require.NoError(t, unix.Kill(slices.Max(freezers(t, os.Getpid())), unix.SIGSTOP))
	require.True(t, freezetest.Writable(dir, 10*time.Second))
	require.NoError(t, disk.Resume())
	require.ErrorContains(t, <-done, "cannot freeze: the freezer has been stopped; it was ended, and everything thawed")
}

// What is stuck stays written down, and no more, until it has come back.
func TestStuckIsRemembered(t *testing.T) {
	disk := hungDisk(t, "/mnt/hung")
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	state := t.TempDir()
	e := engine(t, freeze.Config{StateDir: state, WindowTimeout: 300 * time.Millisecond, NoPresync: true})
	require.NoError(t, disk.Hang())
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "cannot freeze /mnt/hung within 300ms")
	require.True(t, freezetest.Writable(dir, soon))
	require.Equal(t, freeze.OutcomeStuck, outcomes(e.Report())["/mnt/hung"])
	require.Equal(t, freeze.Thawed, e.State())
	file := filepath.Join(state, "qga.state.isfrozen")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "/mnt/hung")
	require.NotContains(t, string(text), dir)
	require.NoError(t, disk.Resume())
	require.Eventually(t, func() bool { _, err := os.Stat(file); return err != nil }, soon, time.Millisecond)
	require.Eventually(t, func() bool { return outcomes(e.Report())["/mnt/hung"] == freeze.OutcomeThawed }, soon, time.Millisecond,
		"the report keeps up")
}

// What somebody else had frozen is none of the next agent's business.
func TestRecoverLeavesOthers(t *testing.T) {
	theirs := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/b"})
	require.NoError(t, freezetest.Freeze(theirs))
	state := t.TempDir()
	killBoth(t, startAgent(t, state).Process)

	next := freeze.New(freeze.Config{StateDir: state})
	r, err := next.Recover()
	require.NoError(t, err)
	require.Equal(t, []string{dir}, r.Thawed)
	require.True(t, freezetest.Writable(dir, soon))
	require.False(t, freezetest.Writable(theirs, blocked))
	require.NoError(t, freezetest.Thaw(theirs))
	require.True(t, freezetest.Writable(theirs, soon))
}

// As long as an earlier agent's freeze cannot be undone, the guest counts as
// frozen and no other freeze begins.
func TestRecoverLater(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	state := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(state, "qga.state.isfrozen"), nil, 0o600))
	require.NoError(t, freezetest.Freeze(dir))
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	require.NoError(t, err)
	defer func() { _ = unix.Close(root) }()
	require.NoError(t, unix.Mount("cover", dir, "tmpfs", 0, ""))

	e := freeze.New(freeze.Config{StateDir: state})
	_, err = e.Recover()
	require.ErrorContains(t, err, "cannot thaw what an earlier agent left frozen")
	require.Equal(t, freeze.Frozen, e.State())
	_, err = e.Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "cannot thaw what an earlier agent left frozen")
	_, err = e.Thaw(t.Context())
	require.ErrorContains(t, err, "cannot thaw what an earlier agent left frozen")

	require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH))
	_, err = e.Thaw(t.Context())
	require.ErrorContains(t, err, "fsfreeze is limited to")
	require.Equal(t, freeze.Thawed, e.State())
	require.True(t, freezetest.Writable(dir, soon))
}

// An agent that died while its hooks prepared the applications has frozen
// nothing, and owes those it had started the word to go on.
func TestRecoverInHook(t *testing.T) {
	freezetest.Need(t)
	dir, calls := scripts(t, map[string]string{"10-a": "", "20-b": "", "30-c": ""})
	state := t.TempDir()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	text := `{"phase":"freezing","boot":"` + string(boot[:36]) + `","hook-dirs":true,"hooks":["` + dir + `/10-a","` + dir + `/20-b"]}`
	file := filepath.Join(state, "qga.state.isfrozen")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	e := freeze.New(freeze.Config{StateDir: state})
	_, err = e.Recover()
	require.NoError(t, err)
	requireCalls(t, calls, "20-b:freeze-failed", "20-b:thaw", "10-a:freeze-failed", "10-a:thaw")
	require.Equal(t, freeze.Thawed, e.State())
	require.NoFileExists(t, file)
}

// hangLast has the disk of /mnt/hung hang after the last sync, with something
// to be written to it.
func hangLast(t *testing.T, disk *freezetest.Disk, cfg freeze.Config) freeze.Config {
	t.Helper()
	var once sync.Once
	cfg.Quiet = func(on bool) {
		if on {
			once.Do(func() {
				require.NoError(t, os.WriteFile("/mnt/hung/last", []byte("dirty"), 0o600))
				require.NoError(t, disk.Hang())
			})
		}
	}
	return cfg
}

// A disk that hangs between the sync and FIFREEZE keeps no healthy filesystem
// frozen for longer than a second.
func TestHangsInWindow(t *testing.T) {
	for name, noPresync := range map[string]bool{"in the rehearsal": false, "in the window": true} {
		t.Run(name, func(t *testing.T) { hangsInWindow(t, noPresync) })
	}
}

func hangsInWindow(t *testing.T, noPresync bool) {
	t.Helper()
	disk := hungDisk(t, "/mnt/hung")
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	e := engine(t, hangLast(t, disk, freeze.Config{StallTimeout: 2 * time.Second, NoPresync: noPresync}))
	stall, allowance := longestWrite(t, dir), freezetest.WatchLateness(t)
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "cannot freeze /mnt/hung: its disk completes nothing; look at the disk; everything else was thawed")
	require.Equal(t, freeze.Thawed, e.State())
	require.Less(t, stall(), 1100*time.Millisecond+allowance())
	require.Equal(t, freeze.OutcomeStuck, outcomes(e.Report())["/mnt/hung"])
}

// One that only pauses is frozen at the second attempt.
func TestPausesInWindow(t *testing.T) {
	disk := hungDisk(t, "/mnt/hung")
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	e := engine(t, hangLast(t, disk, freeze.Config{}))
	stall, allowance := longestWrite(t, dir), freezetest.WatchLateness(t)
	done := make(chan error, 1)
	go func() {
		n, err := e.Freeze(t.Context(), freeze.Request{})
		if err == nil && n != 2 {
			err = errors.New("not everything is frozen")
		}
		done <- err
	}()
	require.Eventually(t, func() bool { return outcomes(e.Report())["/mnt/hung"] == freeze.OutcomeStuck }, soon, time.Millisecond)
	require.True(t, freezetest.Writable(dir, soon), "it is not frozen while the disk pauses")
	require.NoError(t, disk.Resume())
	require.NoError(t, <-done)
	require.False(t, freezetest.Writable(dir, blocked))
	require.Equal(t, freeze.Frozen, e.State())
	n, err := e.Thaw(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Less(t, stall(), 1500*time.Millisecond+allowance())
}

// longestWrite writes all the time; its result tells how long a write took at
// most, and ends it.
func longestWrite(t *testing.T, dir string) func() time.Duration {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "writer")) //nolint:forbidigo // a test's own
	require.NoError(t, err)
	stop, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		defer func() { _ = file.Close() }()
		var longest time.Duration
		for {
			begun := time.Now()
			_, _ = file.WriteAt([]byte("x"), 0)
			longest = max(longest, time.Since(begun))
			select {
			case <-stop:
				worst <- longest
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() time.Duration { close(stop); return <-worst }
}
