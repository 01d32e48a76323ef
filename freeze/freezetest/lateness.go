package freezetest

import (
	"sync"
	"time"
)

// Lateness watches how late the machine wakes a thread that asks for nothing
// but that: what is late for it is late for the agent, too, through no fault
// of its own.
type Lateness struct {
	stop func()
	done chan struct{}
	most time.Duration // when done is closed
}

// WatchLateness begins to watch. End or Allowance ends it.
func WatchLateness() *Lateness {
	const pause = 2 * time.Millisecond
	stop := make(chan struct{})
	l := &Lateness{stop: sync.OnceFunc(func() { close(stop) }), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for {
			due := time.Now().Add(pause)
			select {
			case <-time.After(pause):
				l.most = max(l.most, time.Since(due))
			case <-stop:
				return
			}
		}
	}()
	return l
}

// Allowance ends the watch, and tells how much longer than on an idle machine
// things may take that need a thread to be woken some times, one after the
// other.
func (l *Lateness) Allowance() time.Duration {
	l.End()
	return 20 * l.most
}

// End ends the watch. It may be called more than once.
func (l *Lateness) End() {
	l.stop()
	<-l.done
}
