package freeze

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"
)

// keeper keeps the state file, in a goroutine of its own: where its disk hangs
// or is frozen, that waits and nobody else. What is asked of it is done in
// order; of several states that wait, only the last is written.
type keeper struct {
	dir string // "" keeps nothing
	log *slog.Logger

	mu   sync.Mutex
	next func()        // what is to be done after what is under way; nil is nothing
	done chan struct{} // closed when nothing is left to be done; nil is now
	late bool          // somebody has waited in vain for it

	file *os.File // the state of the last write, for amend; the goroutine's
}

// errLate is why a state file is not there in time.
var errLate = errors.New("cannot write the state file: the disk below the state directory does not answer; a restarted agent will not know what this one did")

// do has the keeper do something next, instead of what waits.
func (k *keeper) do(what func()) {
	if k.dir == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = what
	if k.done == nil {
		k.done = make(chan struct{})
		go k.run()
	}
}

func (k *keeper) run() {
	for {
		k.mu.Lock()
		what := k.next
		k.next = nil
		if what == nil {
			close(k.done)
			k.done, k.late = nil, false
			k.mu.Unlock()
			return
		}
		k.mu.Unlock()
		what()
	}
}

// save writes the state. Without it a freeze is less safe, and still a freeze.
func (k *keeper) save(s state) {
	k.do(func() {
		k.close()
		var err error
		if k.file, err = s.write(k.dir); err != nil {
			k.log.Warn(err.Error())
		}
	})
}

// amend takes targets out of the state that was saved last.
func (k *keeper) amend(s state) {
	k.do(func() {
		if k.file != nil {
			s.amend(k.file)
		}
	})
}

// remove forgets the state.
func (k *keeper) remove() {
	k.do(func() {
		k.close()
		if err := removeState(k.dir); err != nil {
			k.log.Warn(err.Error())
		}
	})
}

func (k *keeper) close() {
	_ = k.file.Close() // nil is no file
	k.file = nil
}

// wait waits until everything is done, for a while: not a second time for a
// disk that does not answer.
func (k *keeper) wait() {
	k.mu.Lock()
	done, late := k.done, k.late
	k.mu.Unlock()
	if done == nil || late {
		return
	}
	select {
	case <-done:
	case <-time.After(patience):
		k.mu.Lock()
		k.late = k.done == done
		k.mu.Unlock()
		k.log.Warn(errLate.Error())
	}
}

// errNoAnswer is the end of a wait for a disk.
var errNoAnswer = errors.New("the disk does not answer")

// within calls f, which may wait for a disk, and gives up after limit.
func within[T any](limit time.Duration, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(limit):
		var none T
		return none, errNoAnswer
	}
}
