package freeze

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is the agent's end of a freezer.
type child struct {
	cmd  *exec.Cmd
	conn *os.File
	// events is closed when the freezer is gone, or when its end of the
	// socket is.
	events chan event
	// gone is closed when the process has ended, with every thread.
	gone   chan struct{}
	stderr *tail
}

// startTime bounds how long a freezer may take until its threads are ready.
const startTime = 10 * time.Second

// spareProcs are for what a freezer does besides its targets' system calls.
const spareProcs = 4

// startChild starts a freezer that holds the targets' descriptors. program is
// the file to run; its main calls Init.
func startChild(program string, targets []target) (*child, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot start the freezer: %w", err)
	}
	_ = unix.SetNonblock(pair[0], true)
	mine, theirs := os.NewFile(uintptr(pair[0]), "freezer"), os.NewFile(uintptr(pair[1]), "agent")
	defer func() { _ = theirs.Close() }()
	c := &child{conn: mine, events: make(chan event), gone: make(chan struct{}), stderr: &tail{}}
	c.cmd = &exec.Cmd{
		Path: program,
		Args: []string{freezerName, strconv.Itoa(len(targets))},
		// It lives for minutes at most and must not pause for collection.
		// Each thread has a processor of Go's: none waits for another's.
		Env:        []string{"GOGC=off", "GOTRACEBACK=single", "GOMAXPROCS=" + strconv.Itoa(len(targets)+spareProcs)},
		Dir:        "/",
		Stderr:     c.stderr,
		ExtraFiles: []*os.File{theirs},
		// A signal to the agent's process group is not meant for it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	for _, t := range targets {
		c.cmd.ExtraFiles = append(c.cmd.ExtraFiles, t.file)
	}
	if err := c.cmd.Start(); err != nil {
		_ = mine.Close()
		return nil, fmt.Errorf("cannot start the freezer: %w", err)
	}
	go c.listen()
	select {
	case e, ok := <-c.events:
		if ok && e.Is == isReady {
			return c, nil
		}
	case <-time.After(startTime):
	}
	c.kill()
	return nil, fmt.Errorf("cannot start the freezer: it ended or did not get ready within %v: %s", startTime, c.stderr)
}

// listen passes the freezer's events on and reaps it.
func (c *child) listen() {
	for dec := json.NewDecoder(c.conn); ; {
		var e event
		if dec.Decode(&e) != nil {
			break
		}
		c.events <- e
	}
	close(c.events)
	_ = c.cmd.Wait()
	close(c.gone)
}

// send gives an order. A freezer that is gone shows by its events ending.
func (c *child) send(o order) {
	text, err := json.Marshal(o)
	if err != nil {
		return
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(startTime))
	_, _ = c.conn.Write(append(text, '\n'))
}

// close lets the freezer go: at the end of its orders it thaws what it holds
// and exits. Whatever it still says is thrown away.
func (c *child) close() {
	if raw, err := c.conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
	}
	go c.drain()
}

// end kills a freezer that does not answer. Its events end when it is gone,
// which a thread in the kernel can put off.
func (c *child) end() { _ = c.cmd.Process.Kill() }

// kill ends a freezer that holds nothing.
func (c *child) kill() {
	c.end()
	_ = c.conn.Close()
	go c.drain()
}

func (c *child) drain() {
	for range c.events { // until it is closed
	}
	_ = c.conn.Close()
}

// tail keeps the end of what a program wrote.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailSize is enough for a panic's first lines.
const tailSize = 4096

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

// String gives the text without the blanks around it.
func (t *tail) String() string { return strings.TrimSpace(t.raw()) }

// raw gives the text as it was written.
func (t *tail) raw() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
