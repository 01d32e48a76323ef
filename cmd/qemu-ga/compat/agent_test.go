package compat_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limit bounds each wait; none is for that long unless something is wrong.
const limit = 10 * time.Second

// statusRunning is the exit status of an agent that should have ended.
const statusRunning = "does not end"

// program is one of the two that are compared.
type program struct {
	name, path string
}

// agent is a program that serves a socket.
type agent struct {
	socket, state string
	stderr        bytes.Buffer
	process       *os.Process
	ended         chan struct{} // closed when it has ended, with status
	status        string
	conn          *net.UnixConn
	replies       *bufio.Reader
	syncs         int
	pid           string // of the program started last
}

// harmful are the capabilities by which a program could do the machine harm:
// those to reboot it, to set its clock, to load modules and to write to ports.
var harmful = []uintptr{unix.CAP_SYS_BOOT, unix.CAP_SYS_TIME, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO}

// startHarmless starts a program that has no harmful capability.
func startHarmless(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		// The bounding set is the thread's, which ends with the goroutine.
		runtime.LockOSThread()
		for _, c := range harmful {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				started <- fmt.Errorf("cannot drop capability %d: %w", c, err)
				return
			}
		}
		started <- cmd.Start()
	}()
	return <-started
}

// startAgent starts p in the directory dir, whose state is kept.
func startAgent(p program, dir string, words []string) (*agent, error) {
	a := &agent{socket: filepath.Join(dir, "socket"), state: filepath.Join(dir, "state"), ended: make(chan struct{})}
	if err := os.MkdirAll(a.state, 0o755); err != nil {
		return nil, err
	}
	env := []string{"PATH=/bin"}
	for len(words) > 0 && strings.Contains(words[0], "=") && words[0][0] != '-' {
		env, words = append(env, words[0]), words[1:]
	}
	cmd := exec.Command(p.path, append([]string{"-m", "unix-listen", "-p", a.socket, "-t", a.state}, words...)...)
	cmd.Env, cmd.Dir = env, "/"
	cmd.Stdout, cmd.Stderr = &a.stderr, &a.stderr
	if err := startHarmless(cmd); err != nil {
		return nil, err
	}
	a.process = cmd.Process
	go func() {
		_ = cmd.Wait()
		a.status = cmd.ProcessState.String()
		close(a.ended)
	}()
	return a, nil
}

// connect makes sure that there is a connection. It fails when the agent ends.
func (a *agent) connect() error {
	for end := time.Now().Add(limit); a.conn == nil; {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: a.socket, Net: "unix"})
		if err == nil {
			a.conn, a.replies = conn, bufio.NewReader(conn)
			break
		}
		select {
		case <-a.ended:
			return errors.New("the agent has ended: " + a.status)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(end) {
			return err
		}
	}
	return a.conn.SetDeadline(time.Now().Add(limit))
}

// hangUp closes the connection.
func (a *agent) hangUp() {
	if a.conn != nil {
		_ = a.conn.Close()
		a.conn = nil
	}
}

// send writes pieces, each when the agent has read the one before.
func (a *agent) send(pieces []string) error {
	for _, piece := range pieces {
		if _, err := a.conn.Write([]byte(piece)); err != nil {
			return err
		}
		if err := a.wait(unix.SIOCOUTQ, func(unread int) bool { return unread == 0 }); err != nil {
			return err
		}
	}
	return nil
}

// wait waits until the size of a queue of the socket is as it should be.
func (a *agent) wait(queue uint, good func(size int) bool) error {
	raw, err := a.conn.SyscallConn()
	if err != nil {
		return err
	}
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Microsecond) {
		var size int
		var ioctl error
		if err := raw.Control(func(fd uintptr) { size, ioctl = unix.IoctlGetInt(int(fd), queue) }); err != nil {
			return err
		}
		if ioctl != nil || good(size) {
			return ioctl
		}
		if time.Now().After(end) {
			return errors.New("the agent does not read, or not answer")
		}
	}
}

// end makes the agent end and returns its exit status. The real agent may
// deadlock when a signal comes while it is at work, so it has to rest first.
func (a *agent) end(sig syscall.Signal, patience time.Duration) string {
	defer a.hangUp()
	for end := time.Now().Add(limit); !a.rests() && time.Now().Before(end); {
		time.Sleep(50 * time.Microsecond)
	}
	_ = a.process.Signal(sig)
	select {
	case <-a.ended:
		return a.status
	case <-time.After(patience):
		_ = a.process.Kill()
		<-a.ended
		return statusRunning
	}
}

// rests tells whether the agent waits for something, or has ended.
func (a *agent) rests() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.process.Pid))
	if err != nil {
		return true
	}
	// 12 (name) S ...
	_, fields, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(fields, "S")
}
