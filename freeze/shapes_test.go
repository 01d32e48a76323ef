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

// requireFreeze freezes all and requires how many, and that each of dirs
// stands still; then it thaws and requires that all run again.
func requireFreeze(t *testing.T, e *freeze.Engine, count int, dirs ...string) freeze.Report {
	t.Helper()
	n, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	require.Equal(t, count, n)
	for _, dir := range dirs {
		require.False(t, freezetest.Writable(dir, blocked), dir)
	}
	report := e.Report()
	n, err = e.Thaw(t.Context())
	require.NoError(t, err)
	require.Equal(t, count, n)
	for _, dir := range dirs {
		require.True(t, freezetest.Writable(dir, soon), dir)
	}
	return report
}

// bind mounts from at to.
func bind(t *testing.T, from, to string, flags uintptr) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o755))
	require.NoError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	if flags != 0 {
		require.NoError(t, unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""))
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(to, unix.MNT_DETACH)) })
}

// One superblock is frozen once, wherever it is mounted.
func TestBindMountsAreOne(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	bind(t, dir, "/mnt/again", 0)
	bind(t, dir, "/mnt/read-only", unix.MS_RDONLY)
	require.NoError(t, os.WriteFile(dir+"/file", nil, 0o600))
	require.NoError(t, os.WriteFile("/mnt/onto", nil, 0o600))
	require.NoError(t, unix.Mount(dir+"/file", "/mnt/onto", "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount("/mnt/onto", unix.MNT_DETACH)) })
	report := requireFreeze(t, engine(t, freeze.Config{}), 1, dir, "/mnt/again")
	require.Contains(t, outcomes(report), dir)
	require.NotContains(t, outcomes(report), "/mnt/again")
}

// A filesystem of which only a file is mounted is frozen by that file.
func TestOnlyAFileIsMounted(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	require.NoError(t, os.WriteFile(dir+"/file", nil, 0o600))
	require.NoError(t, os.WriteFile("/mnt/onto", nil, 0o600))
	require.NoError(t, unix.Mount(dir+"/file", "/mnt/onto", "", unix.MS_BIND, ""))
	require.NoError(t, freezetest.Unmount(dir))
	t.Cleanup(func() { require.NoError(t, freezetest.Unmount("/mnt/onto")) })
	e := engine(t, freeze.Config{})
	n, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, freeze.OutcomeFrozen, outcomes(e.Report())["/mnt/onto"])
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile("/mnt/onto", []byte("x"), 0o600) }()
	select {
	case <-wrote:
		t.Fatal("the file took a write while its filesystem was frozen")
	case <-time.After(blocked):
	}
	_, err = e.Thaw(t.Context())
	require.NoError(t, err)
	require.NoError(t, <-wrote)
}

func TestSubvolumesAreOne(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "btrfs", Dir: "/mnt/btrfs"})
	for _, name := range []string{"home", "var"} {
		run(t, "btrfs", "subvolume", "create", filepath.Join(dir, name))
		point := "/mnt/" + name
		require.NoError(t, os.MkdirAll(point, 0o755))
		require.NoError(t, unix.Mount(source(t, dir), point, "btrfs", 0, "subvol="+name))
		t.Cleanup(func() { require.NoError(t, unix.Unmount(point, unix.MNT_DETACH)) })
	}
	requireFreeze(t, engine(t, freeze.Config{}), 1, dir, "/mnt/home", "/mnt/var")
}

func TestReadOnlyMountsCount(t *testing.T) {
	mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/ro", Flags: unix.MS_RDONLY})
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/rw"})
	requireFreeze(t, engine(t, freeze.Config{}), 2, dir)
}

// Freezing the outer filesystem first would make the inner FIFREEZE wait until
// the thaw. Neither the mount table's order nor the path that the loop driver
// remembers can be trusted; the device number can.
func TestNestedLoops(t *testing.T) {
	for _, outer := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(outer, func(t *testing.T) {
			size := int64(512 << 20)
			bottom := mounted(t, freezetest.FS{Type: outer, Dir: "/mnt/bottom", Size: size})
			middle := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/middle", Image: bottom + "/image", Size: 192 << 20})
			top := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/top", Image: middle + "/image"})
			bind(t, bottom, "/mnt/later", 0) // a mount made after the loop's
			require.NoError(t, os.Rename(bottom+"/image", bottom+"/renamed"))
			e := engine(t, freeze.Config{WindowTimeout: 5 * time.Second})
			for range 3 {
				report := requireFreeze(t, e, 3, bottom, middle, top)
				level := map[string]int{}
				for _, f := range report.Filesystems {
					level[f.Mountpoint] = f.Level
				}
				require.Less(t, level[top], level[middle])
				require.Less(t, level[middle], level[bottom])
			}
		})
	}
}

// The number that the loop driver gives for a file on btrfs is that of the
// subvolume, which need not be mounted.
func TestLoopOnSubvolume(t *testing.T) {
	bottom := mounted(t, freezetest.FS{Type: "btrfs", Dir: "/mnt/btrfs", Size: 512 << 20})
	run(t, "btrfs", "subvolume", "create", bottom+"/images")
	top := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/top", Image: bottom + "/images/image"})
	requireFreeze(t, engine(t, freeze.Config{WindowTimeout: 5 * time.Second}), 2, bottom, top)
}

// A filesystem that none of its mounts leads to cannot be frozen: the report
// says so, and the others are.
func TestHiddenMount(t *testing.T) {
	hidden := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/below/hidden"})
	require.NoError(t, unix.Mount("none", "/mnt/below", "tmpfs", 0, ""))
	t.Cleanup(func() { require.NoError(t, freezetest.Unmount("/mnt/below")) })
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	report := requireFreeze(t, engine(t, freeze.Config{}), 1, dir)
	require.Equal(t, freeze.OutcomeSkipped, outcomes(report)[hidden])
}

func TestFrozenByOthers(t *testing.T) {
	theirs := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/theirs"})
	ours := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/ours"})
	require.NoError(t, freezetest.Freeze(theirs))
	e := engine(t, freeze.Config{})
	n, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, freeze.OutcomeBusy, outcomes(e.Report())[theirs])
	n, err = e.Thaw(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.True(t, freezetest.Writable(ours, soon))
	require.False(t, freezetest.Writable(theirs, blocked), "their freeze is theirs to end")
	require.NoError(t, freezetest.Thaw(theirs))
}

// What somebody else thawed was not frozen all the time: the host is told.
func TestThawedByOthers(t *testing.T) {
	e, dirs := frozenPair(t, freeze.Config{})
	require.NoError(t, freezetest.Thaw(dirs[0]))
	_, err := e.Thaw(t.Context())
	require.ErrorContains(t, err, "another program had thawed "+dirs[0])
	require.Equal(t, freeze.Thawed, e.State())
	for _, dir := range dirs {
		require.True(t, freezetest.Writable(dir, soon), dir)
	}
}

func TestUnmountedWhileFrozen(t *testing.T) {
	dir := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	e := engine(t, freeze.Config{})
	n, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	inside, err := os.Open(dir)
	require.NoError(t, err)
	require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH))
	n, err = e.Thaw(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	fd, err := unix.Openat(int(inside.Fd()), "file", unix.O_CREAT|unix.O_WRONLY, 0o600)
	require.NoError(t, err, "it takes writes though it is mounted nowhere")
	require.NoError(t, unix.Close(fd))
	require.NoError(t, inside.Close())
}

func TestFreezeList(t *testing.T) {
	a := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	b := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/b"})
	bind(t, b, "/mnt/b-again", 0)
	e := engine(t, freeze.Config{})
	for _, points := range [][]string{{b}, {b, b}, {b + "/"}, {"/mnt/b-again"}} {
		n, err := e.Freeze(t.Context(), freeze.Request{Mountpoints: points})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.True(t, freezetest.Writable(a, soon))
		require.False(t, freezetest.Writable(b, blocked))
		require.Equal(t, freeze.OutcomeSkipped, outcomes(e.Report())[a])
		_, err = e.Thaw(t.Context())
		require.NoError(t, err)
	}
	n, err := e.Freeze(t.Context(), freeze.Request{Mountpoints: []string{}})
	require.NoError(t, err)
	require.Zero(t, n, "an empty list freezes nothing")
	n, err = e.Freeze(t.Context(), freeze.Request{Mountpoints: []string{"/tmp"}})
	require.NoError(t, err)
	require.Zero(t, n, "a tmpfs is not frozen")
	for _, point := range []string{"/mnt", "/nowhere", "", "mnt/a"} {
		_, err = e.Freeze(t.Context(), freeze.Request{Mountpoints: []string{a, point}})
		require.ErrorContains(t, err, "cannot freeze "+point+": it is not a mount point")
		require.True(t, freezetest.Writable(a, soon))
		require.Equal(t, freeze.Thawed, e.State())
	}
}

func TestExclude(t *testing.T) {
	a := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	x := mounted(t, freezetest.FS{Type: "xfs", Dir: "/mnt/x"})
	for _, pattern := range []string{"xfs", "/mnt/x", "/mnt/[x-z]*"} {
		report := requireFreeze(t, engine(t, freeze.Config{Exclude: []string{pattern}}), 1, a)
		require.Equal(t, freeze.OutcomeSkipped, outcomes(report)[x])
	}
}

// What is mounted after the agent started counts.
func TestMountedLater(t *testing.T) {
	e := engine(t, freeze.Config{})
	a := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	requireFreeze(t, e, 1, a)
	b := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/b"})
	requireFreeze(t, e, 2, a, b)
}

func TestManyFilesystems(t *testing.T) {
	var dirs []string
	for i := range 48 {
		dirs = append(dirs, mounted(t, freezetest.FS{Type: "ext4", Dir: fmt.Sprintf("/mnt/many/%d", i), Size: 8 << 20}))
	}
	requireFreeze(t, engine(t, freeze.Config{}), len(dirs), dirs[0], dirs[47])
}

func TestNothingToFreeze(t *testing.T) {
	freezetest.Need(t)
	e := engine(t, freeze.Config{Hook: "/does/not/exist"})
	n, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, freeze.Thawed, e.State())
}
