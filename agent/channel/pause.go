package channel

import (
	"context"
	"time"
)

const (
	// firstPause is the wait after the first of several failures in a row.
	firstPause = 100 * time.Millisecond
	// longestPause is as long as pauses grow. qemu-ga -r waits as long.
	longestPause = 5 * time.Second
)

// pause spaces out attempts at what keeps failing. Each is twice as long as
// the one before.
type pause struct {
	next time.Duration
}

// reset forgets the failures so far.
func (p *pause) reset() { p.next = 0 }

// grow returns the pause to make now.
func (p *pause) grow() time.Duration {
	p.next = min(max(2*p.next, firstPause), longestPause)
	return p.next
}

// sleep waits for d, or until ctx is done: then it returns ctx's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
