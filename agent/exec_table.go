package agent

import (
	"cmp"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"qemu-ga/agent/guest"
)

const (
	// maxRunningChildren bounds the processes that run at once, maxEnded
	// those that have ended and whose client has not asked yet: of more the
	// oldest is forgotten.
	maxRunningChildren = 128
	maxEnded           = 512
	// maxInput bounds what waits to be read by processes, in bytes.
	maxInput = 128 << 20
)

// child is a process that guest-exec started.
type child struct {
	out, err *output // nil if not captured
	order    uint64  // of their starts

	// These are guarded by the table's lock until the child has ended.
	ended, forgotten bool
	status           syscall.WaitStatus
}

// childTable holds the processes until their end has been told. They belong
// to the agent and not to a connection, and outlive both.
type childTable struct {
	limit int             // bytes kept of a process's outputs
	allow *guest.PathList // the programs that may run; nil is any
	held  atomic.Int64    // bytes of output that are kept
	input atomic.Int64    // bytes of input that wait to be read

	mu      sync.Mutex
	byPID   map[int64]*child
	running int
	started uint64
}

// newChildTable makes a table that keeps up to limit bytes of a process's
// outputs, 0 is maxPayload, and runs the programs that allow covers, nil is any.
func newChildTable(limit int, allow *guest.PathList) *childTable {
	return &childTable{limit: cmp.Or(limit, maxPayload), allow: allow, byPID: map[int64]*child{}}
}

// start starts a process and returns its number.
func (t *childTable) start(args execArgs) (int, error) {
	if err := t.admit(args); err != nil {
		return 0, err
	}
	c := &child{}
	process, w, err := t.launch(c, args)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.running--
		return 0, err
	}
	pid := int64(process.Pid)
	if old := t.byPID[pid]; old != nil { // of a client that never asked
		t.forget(pid, old)
	}
	t.started++
	c.order = t.started
	t.byPID[pid] = c
	go t.await(c, process, w)
	return process.Pid, nil
}

// admit counts a process in, if it may start.
func (t *childTable) admit(args execArgs) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running >= maxRunningChildren {
		return fmt.Errorf("cannot start another process: %d are still running", t.running)
	}
	if waiting := t.input.Load(); args.InputData != nil && waiting+int64(len(*args.InputData)) > maxInput {
		return fmt.Errorf("cannot start another process: %d bytes of input still wait to be read", waiting)
	}
	t.running++
	t.makeRoom()
	return nil
}

// launch starts a process with all its files. It is done without the lock:
// the program may lie on a filesystem that does not answer.
func (t *childTable) launch(c *child, args execArgs) (*os.Process, *wiring, error) {
	w, err := t.connect(c, args)
	if err != nil {
		return nil, nil, err
	}
	process, err := launch(t.allow, args, w.theirs[:])
	w.closeTheirs()
	if err != nil {
		w.closeOurs()
		return nil, nil, err
	}
	if args.InputData != nil {
		t.input.Add(int64(len(*args.InputData)))
		go t.feed(w.input, *args.InputData)
	}
	return process, w, nil
}

// feed writes a process's input. It is no error if nobody reads it.
func (t *childTable) feed(w *os.File, data []byte) {
	_, _ = w.Write(data)
	_ = w.Close()
	t.input.Add(-int64(len(data)))
}

// await waits for the end of the process and of its captured output.
func (t *childTable) await(c *child, process *os.Process, w *wiring) {
	var drains sync.WaitGroup
	for _, d := range w.drains {
		drains.Go(func() {
			d.into.drain(d.from)
			_ = d.from.Close()
		})
	}
	state, err := process.Wait()
	drains.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		c.status = state.Sys().(syscall.WaitStatus)
	}
	c.ended = true
	t.running--
	if c.forgotten {
		c.out.forget()
		c.err.forget()
	}
}

// collect returns the process with a number, if there is one, and whether it
// has ended. Then it is the caller's, and the table has forgotten it. It stays
// as it is if there is no room for its output.
func (t *childTable) collect(pid int64, room *share) (c *child, ended bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c = t.byPID[pid]
	switch {
	case c == nil || !c.ended:
		return c, false, nil
	case !room.holds(c.out.len() + c.err.len()):
		return nil, false, errNoRoom
	}
	delete(t.byPID, pid)
	return c, true, nil
}

// makeRoom forgets the oldest processes that have ended, if too many are held
// or too much of their output.
func (t *childTable) makeRoom() {
	for {
		ended, oldest := 0, int64(-1)
		for pid, c := range t.byPID {
			if !c.ended {
				continue
			}
			ended++
			if oldest < 0 || c.order < t.byPID[oldest].order {
				oldest = pid
			}
		}
		if ended == 0 || ended < maxEnded && t.held.Load() < maxHeld {
			return
		}
		t.forget(oldest, t.byPID[oldest])
	}
}

// forget drops a process of which nobody will be told.
func (t *childTable) forget(pid int64, c *child) {
	delete(t.byPID, pid)
	c.forgotten = true
	if c.ended {
		c.out.forget()
		c.err.forget()
	}
}

// pass takes the table's lock and gives it back.
func (t *childTable) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
}
