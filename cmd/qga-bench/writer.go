package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// writersName is the name that the program is started by to be the writers:
// a process of its own, so that it shares no scheduler with anything.
const writersName = "qga-bench-writers"

// The two kinds of writers.
const (
	buffered = "buffered"
	fsyncing = "fsync"
)

// A writer writes blocks over and over at the start of its file.
const (
	blockSize  = 4096
	fileBlocks = 64
)

// writer is one thread that writes to one filesystem and times each write.
type writer struct {
	kind  string
	file  int
	pause unix.Timespec
	mark  atomic.Int64 // when the worst is counted anew
	seen  atomic.Int64 // the mark that worst is counted from
	worst atomic.Int64
	count atomic.Int64
	errno atomic.Int64
}

// runWriters is the main function of the writers' process: one on each of
// dirs. It answers each line on its input with the worst latency, in
// nanoseconds, that each writer met since the line before. The answer comes
// when each has done a write that it began after the line.
func runWriters(kind string, dirs []string) error {
	// No collector and no scheduler between the thread and its system calls.
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(len(dirs) + 4)
	writers := make([]*writer, len(dirs))
	for i, dir := range dirs {
		fd, err := unix.Open(filepath.Join(dir, "journal"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		writers[i] = &writer{kind: kind, file: fd, pause: pauseOf(kind, len(dirs))}
		go writers[i].run()
	}
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		worst := make([]int64, len(writers))
		for i, w := range writers {
			var err error
			if worst[i], err = w.take(); err != nil {
				return fmt.Errorf("a writer on %s: %w", dirs[i], err)
			}
		}
		if err := out.Encode(worst); err != nil {
			return err
		}
	}
	return nil
}

// pauseOf is how long a writer sleeps between writes: all together they leave
// the processors mostly idle, however many they are.
func pauseOf(kind string, writers int) unix.Timespec {
	pause := 25 * time.Microsecond
	if kind == fsyncing {
		pause = 250 * time.Microsecond
	}
	return unix.NsecToTimespec(int64(pause) * int64(writers))
}

func (w *writer) run() {
	runtime.LockOSThread()
	block := []byte(strings.Repeat("a transaction\n", blockSize/14+1))[:blockSize]
	for n := 0; ; n++ {
		begun := now()
		if mark := w.mark.Load(); mark != w.seen.Load() {
			w.worst.Store(0)
			w.count.Store(0)
			w.seen.Store(mark)
		}
		if errno := w.write(block, n); errno != 0 {
			w.errno.Store(int64(errno))
			return
		}
		if took := now() - begun; took > w.worst.Load() {
			w.worst.Store(took)
		}
		w.count.Add(1)
		pause := w.pause
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, pointer(&pause), 0, 0)
	}
}

// write does one write, and waits for the disk if that is its kind.
func (w *writer) write(block []byte, n int) unix.Errno {
	offset := uintptr(n%fileBlocks) * blockSize
	_, _, errno := unix.RawSyscall6(unix.SYS_PWRITE64, uintptr(w.file), pointer(&block[0]), blockSize, offset, 0, 0)
	if errno == 0 && w.kind == fsyncing {
		_, _, errno = unix.RawSyscall(unix.SYS_FDATASYNC, uintptr(w.file), 0, 0)
	}
	return errno
}

// take gives the worst latency since it was called last, and begins anew.
func (w *writer) take() (int64, error) {
	for target := w.count.Load() + 2; w.count.Load() < target; time.Sleep(100 * time.Microsecond) {
		if errno := w.errno.Load(); errno != 0 {
			return 0, unix.Errno(errno)
		}
	}
	worst := w.worst.Load()
	mark := w.mark.Add(1)
	for w.seen.Load() != mark {
		time.Sleep(100 * time.Microsecond)
	}
	return worst, nil
}
