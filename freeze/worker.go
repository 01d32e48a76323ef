package freeze

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// worker is a thread that makes the system calls on one target, so that one
// that hangs hangs alone. It waits in the kernel and not in Go's scheduler:
// woken there, it needs no other thread's help to get to its FIFREEZE, and
// the threads of a level do not queue for the few processors that Go gives a
// program.
type worker struct {
	fd   int
	tid  int
	wake int // an eventfd that counts the operations in work
	work chan operation
}

// operation is a system call that a target's thread makes.
type operation struct {
	kind string // doSync, doRehearse, doFreeze or doThaw
	call func(fd int) error
}

var (
	syncing    = operation{doSync, unix.Syncfs}
	rehearsing = operation{doRehearse, rehearse}
	freezingOp = operation{doFreeze, fifreeze}
	thawingOp  = operation{doThaw, fithaw}
)

// answer is a system call's return.
type answer struct {
	target int
	kind   string
	errno  unix.Errno
	took   time.Duration
}

// startWorkers starts the threads for count targets, whose descriptors are
// numbered from first on, and waits until all of them run.
func startWorkers(first, count int, answers *mailbox) ([]*worker, error) {
	workers := make([]*worker, count)
	started := make(chan bool)
	for i := range workers {
		wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_SEMAPHORE)
		if err != nil {
			return nil, fmt.Errorf("cannot make a thread's eventfd: %w", err)
		}
		workers[i] = &worker{fd: first + i, wake: wake, work: make(chan operation, 2)}
		go workers[i].run(i, started, answers)
	}
	for range workers {
		<-started
	}
	return workers, nil
}

func (w *worker) run(i int, started chan<- bool, answers *mailbox) {
	runtime.LockOSThread()
	w.tid = unix.Gettid()
	started <- true
	var count [8]byte
	for {
		if _, err := unix.Read(w.wake, count[:]); err != nil {
			continue // a signal
		}
		op := <-w.work
		begun := time.Now()
		errno := errnoOf(op.call(w.fd))
		answers.post(answer{i, op.kind, errno, time.Since(begun)})
	}
}

// do has the thread make a system call.
func (w *worker) do(op operation) {
	w.work <- op
	wake(w.wake)
}

// calm takes the haste away from all threads: their end must not come before
// the writers that have just been let go.
func (f *freezer) calm() {
	for _, w := range f.workers {
		schedule(w.tid, unix.SCHED_NORMAL, 0)
	}
	schedule(unix.Gettid(), unix.SCHED_NORMAL, 0)
}

// mayHasten tells whether the FIFREEZE of a filesystem of that type may run
// before ordinary threads. That of XFS has a thread of the kernel (xfsaild)
// empty its log, several times, and if it gives the next word before that
// thread has gone to sleep, the word is lost until the sleep's 50 ms are over
// (Linux 6.18, xfs_ail_push_all_sync). An ordinary thread is less often so
// early: in most runs 64 idle XFS stalled their writers for 20 to 25 ms, instead
// of 46 to 51 (November 2026).
func mayHasten(fsType string) bool { return fsType != "xfs" }

// hasten lets a thread run before ordinary programs from here on: a busy
// guest would make its own writers wait for the one thread that ends their
// wait. It is for the window and not for the sync before it, which may have
// much to do and no hurry. It needs a privilege that a freezer has wherever
// freezing works.
func hasten(tid int, priority uint32) { schedule(tid, unix.SCHED_FIFO, priority) }

func schedule(tid int, policy, priority uint32) {
	_ = unix.SchedSetAttr(tid, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
}
