package freeze

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// mailbox takes answers from any thread to the one that polls its descriptor.
type mailbox struct {
	fd int // an eventfd, readable while there is something in it

	mu    sync.Mutex
	full  []answer
	spare []answer // the other half: nothing is allocated in the window
}

func newMailbox(size int) (*mailbox, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot make the freezer's eventfd: %w", err)
	}
	return &mailbox{fd: fd, full: make([]answer, 0, size), spare: make([]answer, 0, size)}, nil
}

func (m *mailbox) post(a answer) {
	m.mu.Lock()
	m.full = append(m.full, a)
	m.mu.Unlock()
	wake(m.fd)
}

// take empties the mailbox. What it gives is good until the next call.
func (m *mailbox) take() []answer {
	var count [8]byte
	_, _ = unix.Read(m.fd, count[:]) // it is empty as a rule
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.full
	m.full, m.spare = m.spare[:0], taken
	return taken
}

// wake adds one to an eventfd. It fails at 2^64.
func wake(fd int) {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(fd, one[:])
}

// agentConn is the freezer's end of the socket pair: a line for each order.
type agentConn struct {
	fd    int
	ended bool // the agent is gone
	buf   []byte
}

// take reads what the agent has sent, without waiting.
func (c *agentConn) take() []order {
	for !c.ended {
		var piece [4096]byte
		n, _, err := unix.Recvfrom(c.fd, piece[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		c.ended = err != nil || n <= 0
		c.buf = append(c.buf, piece[:max(0, n)]...)
	}
	var all []order
	for {
		line, rest, found := bytes.Cut(c.buf, []byte{'\n'})
		if !found {
			return all
		}
		c.buf = rest
		var next order
		if json.Unmarshal(line, &next) == nil {
			all = append(all, next)
		}
	}
}

// answer writes to the agent. One that has stopped must not stop the freezer.
func (c *agentConn) answer(text []byte) {
	for end := time.Now().Add(patience); len(text) > 0; {
		n, err := unix.SendmsgN(c.fd, text, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			text = text[n:]
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && time.Now().Before(end):
			left := unix.NsecToTimespec(int64(time.Until(end)))
			_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}, &left, nil)
		default:
			return
		}
	}
}
