package freezetest

import (
	"sync"
	"testing"
	"time"
)

// WatchLateness watches, until the test ends or asks, how late the machine
// wakes a thread that asks for nothing but that: what is late for it is late
// for the agent, too, through no fault of its own. The result ends the watch,
// and tells how much longer than on an idle machine things may take that need
// a thread to be woken some times, one after the other.
func WatchLateness(t testing.TB) (allowance func() time.Duration) {
	const pause = 2 * time.Millisecond
	var most time.Duration // until done is closed, the goroutine's
	stop, done := make(chan struct{}), make(chan struct{})
	end := sync.OnceFunc(func() { close(stop); <-done })
	t.Cleanup(end)
	go func() {
		defer close(done)
		for {
			due := time.Now().Add(pause)
			select {
			case <-time.After(pause):
				most = max(most, time.Since(due))
			case <-stop:
				return
			}
		}
	}()
	return func() time.Duration { end(); return 20 * most }
}
