package freeze_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeGuard denies by mount point and notes what it is asked to explain.
type fakeGuard struct {
	denied    map[string]freeze.Denial
	explained []freeze.Refusal
	frozen    []bool
	labels    int // roots that were open when they had to be explained
}

func (g *fakeGuard) Try(fds []int) []freeze.Denial {
	denials := make([]freeze.Denial, len(fds))
	for i, fd := range fds {
		if point, err := os.Readlink(filepath.Join("/proc/self/fd", fmt.Sprint(fd))); err == nil {
			denials[i] = g.denied[point]
		}
	}
	return denials
}

func (g *fakeGuard) Explain(refusals []freeze.Refusal, frozen bool) freeze.Explanation {
	g.explained, g.frozen = append(g.explained, refusals...), append(g.frozen, frozen)
	x := freeze.Explanation{Advice: "Do something about it."}
	for _, r := range refusals {
		var st unix.Stat_t
		if r.FD >= 0 && unix.Fstat(r.FD, &st) == nil {
			g.labels++
		}
		x.Reasons = append(x.Reasons, "because")
	}
	return x
}

var deniedThaw = freeze.Denial{Op: freeze.OpThaw, Errno: unix.EACCES}

func TestGuardRefusesBeforeAnythingIsFrozen(t *testing.T) {
	a := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	b := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/b"})
	c := mounted(t, freezetest.FS{Type: "xfs", Dir: "/mnt/c"})
	g := &fakeGuard{denied: map[string]freeze.Denial{
		b: deniedThaw, c: {Op: freeze.OpFreeze, Errno: unix.EPERM},
	}}
	e := engine(t, freeze.Config{Guard: g})
	const text = "failed to thaw /mnt/b: Permission denied (because); " +
		"failed to freeze /mnt/c: Operation not permitted (because). Do something about it."
	for _, points := range [][]string{nil, {a, b, c}} {
		n, err := e.Freeze(t.Context(), freeze.Request{Mountpoints: points})
		require.EqualError(t, err, text)
		require.Zero(t, n)
		require.Equal(t, freeze.Thawed, e.State())
	}
	require.Equal(t, []bool{false, false}, g.frozen)
	require.Equal(t, 4, g.labels, "the roots stay open to be looked at")
	require.Equal(t, unix.EINVAL, thawErrno(t, a), "nothing was ever frozen")

	// The others can be frozen by themselves.
	n, err := e.Freeze(t.Context(), freeze.Request{Mountpoints: []string{a}})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = e.Thaw(t.Context())
	require.NoError(t, err)

	check, err := e.Check()
	require.NoError(t, err)
	require.False(t, check.Ready)
	require.Equal(t, []string{
		"/mnt/b: failed to thaw /mnt/b: Permission denied (because)",
		"/mnt/c: failed to freeze /mnt/c: Operation not permitted (because)",
		"Do something about it.",
	}, check.Problems)
}

// thawErrno is what FITHAW says of a filesystem.
func thawErrno(t *testing.T, dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	return unix.IoctlSetInt(fd, 0xc0045878, 0)
}

func TestGuardAcceptsAnyMount(t *testing.T) {
	a := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	require.NoError(t, os.Mkdir(a+"/sub", 0o755))
	bind(t, a+"/sub", "/mnt/bound", 0)
	g := &fakeGuard{denied: map[string]freeze.Denial{a: deniedThaw}}
	e := engine(t, freeze.Config{Guard: g})
	requireFreeze(t, e, 1, a)
	require.Empty(t, g.explained)

	g.denied["/mnt/bound"] = deniedThaw
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "failed to thaw /mnt/a: Permission denied")
	require.Len(t, g.explained, 1)
}

const deniedVariable = "QEMU_GA_DENIED"

// TestThawRefusedByTheKernel has the kernel refuse FITHAW while filesystems
// are frozen, as SELinux does when it is switched on in a freeze, and then
// relent. The refusal is seccomp's and for good, so it is a process of its
// own that is refused.
func TestThawRefusedByTheKernel(t *testing.T) {
	freezetest.Need(t)
	if os.Getenv(deniedVariable) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), deniedVariable+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	gate, err := freezetest.NewGate()
	require.NoError(t, err)
	a := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	b := mounted(t, freezetest.FS{Type: "xfs", Dir: "/mnt/b"})
	g := &fakeGuard{}

	t.Run("while frozen", func(t *testing.T) {
		e := engine(t, freeze.Config{Guard: g})
		n, err := e.Freeze(t.Context(), freeze.Request{})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		gate.Deny(freezetest.FITHAW, unix.EACCES)
		for range 2 {
			_, err = e.Thaw(t.Context())
			require.ErrorContains(t, err, "failed to thaw /mnt/a, /mnt/b: Permission denied; ")
			require.ErrorContains(t, err, "it is frozen still and tried again every 1s (fsfreeze -u thaws by hand). "+
				"/mnt/a: because; /mnt/b: because. Do something about it.")
			require.Equal(t, freeze.Frozen, e.State())
		}
		require.Equal(t, []bool{true}, g.frozen, "it is asked once, and told that filesystems are frozen")
		require.Equal(t, 2, g.labels)
		require.False(t, freezetest.Writable(a, blocked))
		gate.Deny(freezetest.FITHAW, 0)
		require.True(t, freezetest.Writable(a, soon), "tried again by itself")
		require.True(t, freezetest.Writable(b, soon))
		require.Eventually(t, func() bool { return e.State() == freeze.Thawed }, soon, 10*time.Millisecond)
	})

	// The order of levels decides which is frozen when the kernel begins to
	// refuse; of those of one level, either, and it may be frozen late.
	t.Run("in the window", func(t *testing.T) {
		inner := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/inner", Image: b + "/image"})
		e := engine(t, freeze.Config{Guard: g, NoPresync: true})
		points := []string{inner, b}
		gate.DenySecond(unix.EACCES) // the second FIFREEZE, and every FITHAW
		_, err := e.Freeze(t.Context(), freeze.Request{Mountpoints: points})
		require.ErrorContains(t, err, "failed to freeze /mnt/b: Permission denied (because). Do something about it.; "+
			"failed to thaw /mnt/inner: Permission denied; it is frozen still and tried again every 1s")
		require.Equal(t, freeze.Frozen, e.State(), "an error, and something is frozen: the state is kept")
		require.False(t, freezetest.Writable(inner, blocked))
		require.True(t, freezetest.Writable(b, soon))
		gate.Deny(freezetest.FITHAW, 0)
		require.True(t, freezetest.Writable(inner, soon))
		require.Eventually(t, func() bool { return e.State() == freeze.Thawed }, soon, 10*time.Millisecond)
		gate.Deny(freezetest.FIFREEZE, 0)
		n, err := e.Freeze(t.Context(), freeze.Request{Mountpoints: points})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, err = e.Thaw(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, n)
	})

	t.Run("in the rehearsal", func(t *testing.T) {
		e := engine(t, freeze.Config{Guard: g})
		gate.Deny(freezetest.FITHAW, unix.EACCES)
		_, err := e.Freeze(t.Context(), freeze.Request{})
		require.ErrorContains(t, err, "failed to thaw /mnt/")
		gate.Deny(freezetest.FITHAW, 0)
		require.True(t, freezetest.Writable(a, soon))
		require.True(t, freezetest.Writable(b, soon))
		require.Eventually(t, func() bool { return e.State() == freeze.Thawed }, soon, 10*time.Millisecond)
	})

	t.Run("in the window, side by side", func(t *testing.T) {
		e := engine(t, freeze.Config{Guard: g, NoPresync: true})
		gate.DenySecond(unix.EACCES)
		_, err := e.Freeze(t.Context(), freeze.Request{})
		require.ErrorContains(t, err, "failed to freeze /mnt/")
		_, err = e.Freeze(t.Context(), freeze.Request{})
		require.ErrorContains(t, err, "cannot freeze: ")
		gate.Deny(freezetest.FITHAW, 0)
		require.True(t, freezetest.Writable(a, soon))
		require.True(t, freezetest.Writable(b, soon))
		gate.Deny(freezetest.FIFREEZE, 0)
		require.Eventually(t, func() bool {
			n, err := e.Freeze(t.Context(), freeze.Request{})
			return n == 2 && err == nil
		}, soon, 100*time.Millisecond)
		_, err = e.Thaw(t.Context())
		require.NoError(t, err)
	})
}
