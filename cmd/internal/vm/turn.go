package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// turn is a test's place among those that have guests.
type turn struct {
	mu     sync.Mutex
	place  *os.File
	guests int
}

// turns are those of this process: a *turn by the name of each test.
var turns sync.Map

// takeTurn waits until fewer tests have guests than there are processors, of
// all processes that run this module's tests, and keeps the place until t ends.
// Without KVM a guest needs a processor of the host's: more of them at once are
// not done sooner, and each takes so long that time limits pass. The guests of
// a test and of its subtests share one place.
func takeTurn(t testing.TB) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	value, _ := turns.LoadOrStore(name, &turn{})
	mine := value.(*turn)
	mine.mu.Lock()
	defer mine.mu.Unlock()
	if mine.guests == 0 {
		for mine.place = freePlace(t); mine.place == nil; mine.place = freePlace(t) {
			time.Sleep(100 * time.Millisecond)
		}
	}
	mine.guests++
	t.Cleanup(mine.leave)
}

// leave gives the place up with the test's last guest.
func (t *turn) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.guests--; t.guests == 0 {
		_ = t.place.Close()
	}
}

// freePlace takes one of the places, each of which is a file with a lock; nil
// if there is none.
func freePlace(t testing.TB) *os.File {
	t.Helper()
	dir := filepath.Join(root(), ".cache", "places")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for i := range runtime.NumCPU() {
		place, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(i)), os.O_CREATE|os.O_RDWR, 0o644)
		require.NoError(t, err)
		err = unix.Flock(int(place.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return place
		}
		_ = place.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			require.NoError(t, err)
		}
	}
	return nil
}
