package agent

import (
	"context"
	"io"
	"sync"

	"qemu-ga/agent/qapi"
)

const (
	// aheadBytes is how much a session reads beyond the request that is being
	// served, in bytes: a request that overtakes another is short.
	aheadBytes = 64 << 10
	// largeBytes is from where on a request counts as large, maxLarge how many
	// sessions may have one at a time: each can take up to 150 MiB while it is
	// read.
	largeBytes = 256 << 10
	maxLarge   = 4
)

// errTooManyLarge is the answer to a large request when others have all places
// for such. The rest of it may be anything: the session ends.
var errTooManyLarge = qapi.Errorf("cannot take a request of more than %d bytes now: %d others are being read or served", largeBytes, maxLarge)

// ahead reads a host's bytes for a session's decoder: not far beyond the
// request being served, and no large request without a place for it.
type ahead struct {
	ctx   context.Context
	from  io.Reader
	large chan struct{} // the agent's places

	mu      sync.Mutex
	pending int // requests that were found and are not served yet
	// count is how many bytes were read since nothing was pending.
	count int
	held  bool          // one of the places for large requests
	free  chan struct{} // closed when nothing is pending any more
}

func newAhead(ctx context.Context, from io.Reader, large chan struct{}) *ahead {
	return &ahead{ctx: ctx, from: from, large: large}
}

// Read implements io.Reader. Its error may be errTooManyLarge.
func (a *ahead) Read(p []byte) (int, error) {
	if err := a.wait(); err != nil {
		return 0, err
	}
	n, err := a.from.Read(p)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count += n; a.count > largeBytes && !a.held {
		select {
		case a.large <- struct{}{}:
			a.held = true
		default:
			return 0, errTooManyLarge
		}
	}
	return n, err
}

// wait waits while enough was read.
func (a *ahead) wait() error {
	a.mu.Lock()
	if a.pending == 0 || a.count < aheadBytes {
		a.mu.Unlock()
		return nil
	}
	free := make(chan struct{})
	a.free = free
	a.mu.Unlock()
	select {
	case <-free:
		return nil
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
}

// found notes that a request is to be served.
func (a *ahead) found() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending++
}

// served notes that one was.
func (a *ahead) served() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pending--; a.pending > 0 {
		return
	}
	a.count = 0
	a.release()
	if a.free != nil {
		close(a.free)
		a.free = nil
	}
}

// end gives up what the session has.
func (a *ahead) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.release()
	a.large = nil // no place for what may still be read
}

// release gives the place for a large request up. It is called with mu held.
func (a *ahead) release() {
	if a.held {
		<-a.large
		a.held = false
	}
}
