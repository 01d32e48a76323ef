package guest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestUsageOf(t *testing.T) {
	st := unix.Statfs_t{Blocks: 100, Bfree: 30, Bavail: 20, Frsize: 1024, Bsize: 4096}
	require.Equal(t, &Usage{Used: 70 << 10, Total: 90 << 10, Privileged: 100 << 10}, usageOf(&st))
	st.Frsize = 0
	require.Equal(t, uint64(400<<10), usageOf(&st).Privileged)
}

// disks answers statfs: paths that begin with /dead hang until they are
// revived, /slow takes a while, /none fails.
type disks struct {
	revive chan struct{}
	calls  atomic.Int32
}

func (d *disks) statfs(path string, st *unix.Statfs_t) error {
	d.calls.Add(1)
	switch path[:5] {
	case "/dead":
		<-d.revive
	case "/slow":
		time.Sleep(300 * time.Millisecond)
	case "/none":
		return errors.New("no such filesystem")
	}
	st.Blocks, st.Bfree, st.Frsize = 2, 1, 1
	return nil
}

func TestDeadFilesystemsDoNotHangTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disks{revive: make(chan struct{})}
		p := &prober{statfs: d.statfs, limit: 2 * time.Second}
		points := []string{"/good1", "/dead1", "/slow1", "/dead2", "/none1", "/good2"}
		good := &Usage{Used: 1, Total: 1, Privileged: 2}
		want := []*Usage{good, nil, good, nil, nil, good}

		start := time.Now()
		got, err := p.ask(t.Context(), points)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, 2*time.Second, time.Since(start))
		require.EqualValues(t, 6, d.calls.Load())

		// The dead ones are not asked again, so that it is quick now.
		start = time.Now()
		got, err = p.ask(t.Context(), points)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		require.EqualValues(t, 6+4, d.calls.Load())

		// Once they have answered they are asked again.
		close(d.revive)
		synctest.Wait()
		got, err = p.ask(t.Context(), points)
		require.NoError(t, err)
		require.Equal(t, []*Usage{good, good, good, good, nil, good}, got)
		require.EqualValues(t, 6+4+6, d.calls.Load())
	})
}

func TestManyDeadFilesystemsTakeNoLongerThanOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disks{revive: make(chan struct{})}
		p := &prober{statfs: d.statfs, limit: 2 * time.Second}
		var points []string
		for i := range 100 {
			points = append(points, fmt.Sprint("/dead", i))
		}
		start := time.Now()
		_, err := p.ask(t.Context(), points)
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Less(t, d.calls.Load(), int32(25), "a thread hangs in each")
		close(d.revive)
	})
}

func TestUsageEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disks{revive: make(chan struct{})}
		p := &prober{statfs: d.statfs, limit: 2 * time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.ask(ctx, []string{"/dead1"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(d.revive)
	})
}
