package channel

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pairedPort is a port whose host is at the other end of a socket pair. When
// the host is away a socket polls as hung up and reads 0 bytes, as a
// virtio-serial port does; only, its host cannot come back.
func pairedPort(t *testing.T) (*portListener, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fds[0]), "port")
	raw, err := f.SyscallConn()
	require.NoError(t, err)
	host := os.NewFile(uintptr(fds[1]), "host")
	require.NoError(t, host.SetDeadline(time.Now().Add(soon)))
	var log logged
	l := &portListener{
		cfg: Config{Method: VirtioSerial, Path: "paired", Log: log.logger()}, life: newLifetime(), turn: make(chan struct{}, 1),
		dev: &device{f: f, raw: raw, virtio: true, opened: time.Now()},
	}
	t.Cleanup(func() {
		l.Close()
		host.Close()
	})
	return l, host
}

func TestStayEndsWithTheHost(t *testing.T) {
	noLeaks(t)
	l, host := pairedPort(t)
	conn := accept(t, l)
	_, err := io.WriteString(host, "last words")
	require.NoError(t, err)
	require.NoError(t, host.Close())
	heard, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "last words", string(heard))
	_, err = io.WriteString(conn, "x")
	require.ErrorIs(t, err, ErrHostAway)
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = l.Accept(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotNil(t, l.dev, "the device stays open while the host is away")
	require.NoError(t, conn.Close())
}

func TestHostThatCameAndWent(t *testing.T) {
	l, host := pairedPort(t)
	_, err := io.WriteString(host, "guest-shutdown, and good-bye")
	require.NoError(t, err)
	require.NoError(t, host.Close())
	heard, err := io.ReadAll(accept(t, l))
	require.NoError(t, err)
	require.Equal(t, "guest-shutdown, and good-bye", string(heard))
}

// TestCloseHandsTheHostOn closes a stay with a read and a write under way:
// both return, and the next stay has the host's words to itself.
func TestCloseHandsTheHostOn(t *testing.T) {
	noLeaks(t)
	l, host := pairedPort(t)
	for round := range 200 {
		conn := accept(t, l)
		read, written := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			read <- err
		}()
		go func() {
			_, err := conn.Write(make([]byte, 4<<20))
			written <- err
		}()
		if round == 0 {
			time.Sleep(20 * time.Millisecond)
		}
		require.NoError(t, conn.Close())
		require.ErrorIs(t, <-read, net.ErrClosed)
		require.ErrorIs(t, <-written, ErrHostAway)

		next := accept(t, l)
		require.NoError(t, conn.Close())
		require.ErrorIs(t, conn.SetWriteDeadline(past), net.ErrClosed)
		_, err := io.WriteString(host, "hello")
		require.NoError(t, err)
		require.Equal(t, "hello", readString(t, next, 5))
		require.NoError(t, next.Close())
	}
}

func TestHostThatNeverReads(t *testing.T) {
	l, host := pairedPort(t)
	conn := accept(t, l)
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(30*time.Millisecond)))
	_, err := conn.Write(make([]byte, 4<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)

	require.NoError(t, conn.SetWriteDeadline(time.Time{}))
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, 4<<20))
		written <- err
	}()
	time.Sleep(20 * time.Millisecond)
	require.NoError(t, host.Close())
	require.ErrorIs(t, <-written, ErrHostAway)
}
