package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// maxLogLines bounds the lines that wait to be written. What comes on
	// top of them is counted and dropped.
	maxLogLines = 1000
	// maxLogLine bounds one line, in bytes.
	maxLogLine = 4096
	// closeTimeout bounds the writing of the last lines at the end: the
	// disk of the log may hang.
	closeTimeout = time.Second
)

// logFile is where the agent's log goes. Writing to it never blocks: lines
// wait in memory for a goroutine of its own, which is all that a log disk
// that hangs, or is frozen, can stop.
type logFile struct {
	w       io.WriteCloser
	journal bool // lines begin with a priority, for the journal or the system's log

	mu      sync.Mutex
	more    sync.Cond // lines has grown, or held or closed has changed
	lines   []string
	dropped int
	held    bool
	closed  bool
	done    chan struct{} // closed when the goroutine has ended
}

// openLog opens the log file at path for appending. For "" it is standard
// error, or the system's log for a daemon, which has no standard error.
func openLog(path string, daemon bool, getenv func(string) string) (*logFile, error) {
	if path == "" && daemon {
		return newLogFile(&systemLog{path: systemLogSocket}, true), nil
	}
	if path == "" {
		return newLogFile(os.Stderr, journalStream(os.Stderr, getenv("JOURNAL_STREAM"))), nil
	}
	// Not for everybody: it has the command lines of what hosts run.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unable to open specified log file: %s: %w: give another with --logfile", path, withoutPath(err))
	}
	return newLogFile(f, false), nil
}

func newLogFile(w io.WriteCloser, journal bool) *logFile {
	l := &logFile{w: w, journal: journal, done: make(chan struct{})}
	l.more.L = &l.mu
	go l.drain()
	return l
}

// journalStream tells whether f is connected to the journal: systemd says in
// JOURNAL_STREAM which device and inode that connection has.
func journalStream(f *os.File, stream string) bool {
	st, err := f.Stat()
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && stream == strconv.FormatUint(sys.Dev, 10)+":"+strconv.FormatUint(sys.Ino, 10)
}

// Hold keeps all lines in memory until Release: while filesystems are frozen
// nothing may be written, not even to the journal, which has files, too.
func (l *logFile) Hold() { l.hold(true) }

// Release writes what has gathered since Hold, and lines to come.
func (l *logFile) Release() { l.hold(false) }

func (l *logFile) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	l.more.Signal()
}

// Close writes the lines that wait, held or not, for a second at most.
func (l *logFile) Close() {
	l.mu.Lock()
	l.closed = true
	l.more.Signal()
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(closeTimeout):
	}
}

// add queues a line, which it makes one if it is not.
func (l *logFile) add(line string) {
	line = oneLine(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case len(l.lines) >= maxLogLines:
		l.dropped++
	default:
		l.lines = append(l.lines, line)
		l.more.Signal()
	}
}

// drain writes lines until Close.
func (l *logFile) drain() {
	defer close(l.done)
	for {
		text := l.take()
		if text == "" {
			break
		}
		_, _ = io.WriteString(l.w, text) // there is nobody to tell
	}
	if l.w != os.Stderr {
		_ = l.w.Close()
	}
}

// take waits for lines and returns them; "" when the log is closed.
func (l *logFile) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && (l.held || len(l.lines) == 0) {
		l.more.Wait()
	}
	var b strings.Builder
	for _, line := range l.lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	if l.dropped > 0 {
		b.WriteString(l.format(time.Now(), levelWarning, fmt.Sprintf("%d lines of the log were dropped", l.dropped)))
		b.WriteByte('\n')
	}
	l.lines, l.dropped = nil, 0
	return b.String()
}

// oneLine shortens a line, and shows what could be taken for the end of it or
// drive a terminal: the host chooses parts of what is logged.
func oneLine(s string) string {
	if len(s) > maxLogLine {
		s = strings.ToValidUTF8(s[:maxLogLine], "") + "…"
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			quoted := strconv.Quote(s)
			return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
		}
	}
	return s
}
