package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// maxFiles bounds the files that are open at once: a client that loses
	// its handles must not use up the agent's descriptors.
	maxFiles = 256
	// firstHandle is the first handle of a guest's life.
	firstHandle = 1000
)

// errState is the answer where a handle's number cannot be kept.
var errState = errors.New("failed to commit persistent state to disk")

// fileTable holds the open files by their handles. Handles count up over the
// agent's whole life and go on after a restart, so that no client ever meets
// another file behind a handle it had. The files belong to the agent, not to
// a connection.
type fileTable struct {
	// state is the file that keeps the next handle; empty is none.
	state string

	mu   sync.Mutex
	next int64 // 0 until state has been read
	open map[int64]*stream
}

// newFileTable makes a table that keeps its counter in a state directory,
// under the name that qemu-ga has for it.
func newFileTable(stateDir string) *fileTable {
	t := &fileTable{open: map[int64]*stream{}}
	if stateDir != "" {
		t.state = filepath.Join(stateDir, "qga.state")
	}
	return t
}

// add gives s a handle.
func (t *fileTable) add(s *stream) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) >= maxFiles {
		return 0, fmt.Errorf("failed to open file: %d files are open already, close some", maxFiles)
	}
	if t.next == 0 {
		t.next = t.load()
	}
	handle := t.next
	t.next++
	if t.next > math.MaxInt32 { // qemu-ga's file has 32 bits for it
		t.next = firstHandle
	}
	if t.open[handle] != nil {
		return 0, fmt.Errorf("failed to open file: handle %d is still in use", handle)
	}
	if err := t.save(); err != nil {
		return 0, errState
	}
	t.open[handle] = s
	return handle, nil
}

// take returns the file of a handle for the caller's own use. It waits while
// another command uses the file; release ends the use.
func (t *fileTable) take(ctx context.Context, handle int64) (*stream, error) {
	t.mu.Lock()
	s := t.open[handle]
	t.mu.Unlock()
	if s == nil {
		return nil, noHandle(handle)
	}
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[handle] != s { // closed while we waited
		s.release()
		return nil, noHandle(handle)
	}
	return s, nil
}

// has tells whether there is such a handle.
func (t *fileTable) has(handle int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[handle] != nil
}

// remove forgets a handle that the caller has taken.
func (t *fileTable) remove(handle int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[handle].release()
	delete(t.open, handle)
}

func noHandle(handle int64) error {
	return fmt.Errorf("handle '%d' has not been found", handle)
}

// load reads the next handle. A file that is missing or spoilt, or a number
// that is none, begins the count anew.
func (t *fileTable) load() int64 {
	data, err := os.ReadFile(t.state)
	if err != nil {
		return firstHandle
	}
	return parseCounter(data)
}

// parseCounter reads qemu-ga's state file:
//
//	[global]
//	fd_counter=1000
func parseCounter(data []byte) int64 {
	for line := range bytes.Lines(data) {
		value, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("fd_counter="))
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(string(value), 10, 32)
		if err == nil && n >= firstHandle {
			return n
		}
	}
	return firstHandle
}

// save writes the next handle, so that the file is whole at any time.
func (t *fileTable) save() error {
	if t.state == "" {
		return nil
	}
	temporary := t.state + ".new"
	// A link in its place is not followed.
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC | unix.O_NOFOLLOW
	f, err := os.OpenFile(temporary, flags, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "[global]\nfd_counter=%d\n", t.next)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(temporary, t.state)
	}
	if err != nil {
		_ = os.Remove(temporary)
	}
	return err
}
