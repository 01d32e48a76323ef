package channel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// device is an open character device. It is nonblocking: all waiting is done
// by Go's poller, which is edge-triggered epoll. That is what lets the agent
// sleep while the host is away: the port then polls as hung up all the time,
// but an edge comes only when the host opens or closes its end, or data comes.
type device struct {
	f      *os.File
	raw    syscall.RawConn
	virtio bool
	opened time.Time
}

// openDevice opens a device for a method. Its errors name no path.
func openDevice(method, path string) (*device, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if method == ISASerial {
		if err := makeRaw(fd); err != nil {
			return nil, errors.Join(fmt.Errorf("not a serial line: %w", err), unix.Close(fd))
		}
	}
	f := os.NewFile(uintptr(fd), path)
	if err := f.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(errors.New("not a character device that can be waited for"), f.Close())
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &device{f: f, raw: raw, virtio: method == VirtioSerial, opened: time.Now()}, nil
}

// isBusy tells whether err is the driver's way to say that the port is open
// in another program: it can be open once.
func isBusy(err error) bool { return errors.Is(err, unix.EBUSY) }

// awaitHost waits until a host is there. A host that came, wrote and left
// again before we looked has had a stay, too: what it wrote is returned. An
// error means, unless ctx is done, that the device is lost.
func (d *device) awaitHost(ctx context.Context) (first []byte, err error) {
	if !d.virtio {
		return nil, ctx.Err() // a serial line does not tell
	}
	if err := d.f.SetWriteDeadline(time.Time{}); err != nil {
		return nil, err
	}
	late := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		_ = d.f.SetWriteDeadline(past)
		close(late)
	})
	defer func() {
		if !unhook() {
			<-late
			_ = d.f.SetWriteDeadline(time.Time{})
		}
	}()
	buf := make([]byte, 512)
	// The driver reports the host's arrival as writability.
	waitErr := d.raw.Write(func(fd uintptr) bool {
		var here bool
		first, here, err = lookForHost(int(fd), buf)
		return here || err != nil
	})
	return first, errors.Join(waitErr, err)
}

// lookForHost tells whether a host is at the other end of a virtio-serial
// port, or has left something to read. The driver shows an absent host as
// hung up and readable, with 0 bytes to read.
func lookForHost(fd int, buf []byte) (data []byte, here bool, err error) {
	events, err := poll(fd, unix.POLLIN|unix.POLLOUT)
	if err != nil {
		return nil, false, err
	}
	if events&(unix.POLLHUP|unix.POLLERR) == 0 {
		return nil, true, nil
	}
	n, err := read(fd, buf)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil, true, nil // it came while we looked
	case err != nil:
		return nil, false, err
	}
	return buf[:n], n > 0, nil
}

// poll returns the events that are ready on fd now.
func poll(fd int, events int16) (int16, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		_, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return fds[0].Revents, err
		}
	}
}

// read is read(2), begun again when a signal interrupts it.
func read(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

// write is write(2), begun again when a signal interrupts it.
func write(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Write(fd, p)
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}
