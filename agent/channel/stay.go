package channel

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// stay is the Conn of one host on a device. When it has ended the device may
// belong to the next stay, so an ended stay touches it no more: an answer to
// the host that left must not reach the host that came.
type stay struct {
	dev  *device
	peer string
	// ended is closed when the stay is over and none of its reads and
	// writes is under way.
	ended chan struct{}
	// lost says that the device itself has failed.
	lost atomic.Bool

	reading sync.Mutex // held by Read; taken before writing
	first   []byte     // what was read before the stay began
	writing sync.Mutex // held by Write

	mu   sync.Mutex // guards the write deadline against the stay's end
	over atomic.Bool
}

func newStay(dev *device, peer string, first []byte) *stay {
	return &stay{dev: dev, peer: peer, first: first, ended: make(chan struct{})}
}

// Peer implements Conn.
func (s *stay) Peer() string { return s.peer }

// Read implements Conn.
func (s *stay) Read(p []byte) (n int, err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if len(s.first) > 0 {
		n = copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	if len(p) == 0 {
		return 0, nil
	}
	waitErr := s.dev.raw.Read(func(fd uintptr) bool {
		if s.over.Load() {
			err = net.ErrClosed
			return true
		}
		n, err = read(int(fd), p)
		return !errors.Is(err, unix.EAGAIN)
	})
	switch {
	case waitErr != nil: // Close, of the stay or of the device
		return 0, net.ErrClosed
	case err == nil && n > 0, errors.Is(err, net.ErrClosed):
		return n, err
	case err != nil || !s.dev.virtio:
		// Unplugged (ENODEV), or a serial line that hung up (0 or EIO).
		s.lost.Store(true)
	}
	if s.finish() {
		s.settle()
	}
	return 0, io.EOF
}

// Write implements Conn.
func (s *stay) Write(p []byte) (written int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for written < len(p) && err == nil {
		var n int
		waitErr := s.dev.raw.Write(func(fd uintptr) bool {
			if s.over.Load() {
				err = ErrHostAway
				return true
			}
			n, err = write(int(fd), p[written:])
			if !errors.Is(err, unix.EAGAIN) {
				return true
			}
			// A port whose host is away says "try again", too.
			if events, pollErr := poll(int(fd), unix.POLLOUT); pollErr == nil && events&unix.POLLHUP == 0 {
				return false
			}
			err = ErrHostAway
			return true
		})
		switch {
		case errors.Is(waitErr, os.ErrDeadlineExceeded) && !s.over.Load():
			err = os.ErrDeadlineExceeded
		case waitErr != nil, err != nil:
			err = ErrHostAway
		}
		written += n
	}
	return written, err
}

// SetWriteDeadline implements Conn.
func (s *stay) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over.Load() {
		return net.ErrClosed
	}
	return s.dev.f.SetWriteDeadline(t)
}

// Close implements Conn.
func (s *stay) Close() error {
	if !s.finish() {
		return nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.settle()
	return nil
}

// finish marks the stay as over and wakes its reads and writes. It returns
// whether this call was the one that did; settle must then follow.
func (s *stay) finish() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over.Swap(true) {
		return false
	}
	_ = s.dev.f.SetDeadline(past)
	return true
}

// settle waits for a write under way, with reading held, and hands the device
// on. The deadline may be lifted only now: the poller ignores a deadline that
// is gone by the time the waiting goroutine runs.
func (s *stay) settle() {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.dev.f.SetDeadline(time.Time{})
	close(s.ended)
}
