package agent

import (
	"context"
	"sync"
)

// fileLocks lets one command at a time change a file, so that none undoes what
// another does. Each file has a lock of its own: a home whose server is dead
// must not keep the keys of other users from being changed.
type fileLocks struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the file is free
}

// lock waits until nobody else changes the file, or until ctx is done; done
// ends the change.
func (l *fileLocks) lock(ctx context.Context, file string) (done func(), err error) {
	for {
		l.mu.Lock()
		other, busy := l.busy[file]
		if !busy {
			break
		}
		l.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer l.mu.Unlock()
	if l.busy == nil {
		l.busy = map[string]chan struct{}{}
	}
	free := make(chan struct{})
	l.busy[file] = free
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.busy, file)
		close(free)
	}, nil
}
