package freeze

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// orders gives a child whose freezer is the test, and what it is told to sync.
func orders(t *testing.T) (*child, <-chan int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	agent, freezer := os.NewFile(uintptr(pair[0]), "agent"), os.NewFile(uintptr(pair[1]), "freezer")
	t.Cleanup(func() { _ = agent.Close() })
	told := make(chan int, 16)
	go func() {
		defer func() { _ = freezer.Close() }()
		for dec := json.NewDecoder(freezer); ; {
			var o order
			if dec.Decode(&o) != nil {
				return
			}
			told <- o.Target
		}
	}()
	return &child{conn: agent, events: make(chan event)}, told
}

// next requires that a target is begun.
func next(t *testing.T, told <-chan int, want int) {
	t.Helper()
	select {
	case got := <-told:
		require.Equal(t, want, got)
	case <-time.After(4 * gentle):
		t.Fatal("nothing more is synced")
	}
}

// Two groups at a time, the members of each one by one; after a while all.
func TestSyncPass(t *testing.T) {
	targets := make([]target, 6)
	for i := range targets {
		targets[i] = target{filesystem: &filesystem{}}
	}
	c, told := orders(t)
	done := make(chan error, 1)
	go func() {
		done <- syncPass(t.Context(), c, targets, [][]int{{0, 1}, {2}, {3}, {4, 5}}, 2, t.TempDir(), time.Hour)
	}()
	synced := func(i int) { c.events <- event{Is: isSynced, Target: i} }
	next(t, told, 0)
	next(t, told, 2)
	synced(0)
	next(t, told, 1)
	synced(2)
	next(t, told, 3)
	begun := time.Now()
	next(t, told, 4) // though nothing has ended
	require.Greater(t, time.Since(begun), gentle/2)
	synced(4)
	next(t, told, 5)
	for _, i := range []int{1, 3, 5} {
		synced(i)
	}
	require.NoError(t, <-done)
	require.Empty(t, told)
}
