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
	place  *os.File
	guests int
}

// turns are those of this process, by the name of the test.
var (
	turnsMu sync.Mutex
	turns   = map[string]*turn{}
)

// takeTurn waits until fewer tests have guests than there are processors, of
// all processes that run this module's tests, and keeps the place until t ends.
// Without KVM a guest needs a processor of the host's: more of them at once are
// not done sooner, and each takes so long that time limits pass. The guests of
// a test and of its subtests share one place.
func takeTurn(t testing.TB) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	for !joinTurn(name) {
		place := freePlace(t)
		if place == nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		turnsMu.Lock()
		if turns[name] == nil {
			turns[name] = &turn{place: place}
		} else {
			_ = place.Close() // another subtest's was first
		}
		turnsMu.Unlock()
	}
	t.Cleanup(func() { leaveTurn(name) })
}

// joinTurn adds a guest to a test that has a place, and reports whether it has.
func joinTurn(name string) bool {
	turnsMu.Lock()
	defer turnsMu.Unlock()
	if turns[name] == nil {
		return false
	}
	turns[name].guests++
	return true
}

// leaveTurn gives the place up with the test's last guest.
func leaveTurn(name string) {
	turnsMu.Lock()
	defer turnsMu.Unlock()
	mine := turns[name]
	mine.guests--
	if mine.guests == 0 {
		delete(turns, name)
		_ = mine.place.Close()
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
