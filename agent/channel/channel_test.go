package channel

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soon is how long what happens at once may take on a busy machine.
const soon = 10 * time.Second

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// noLeaks fails the test if it leaves goroutines behind.
func noLeaks(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(soon); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			require.True(t, time.Now().Before(end), "goroutines are left behind")
		}
	})
}

type accepted struct {
	c   Conn
	err error
}

// acceptAside runs Accept in the background.
func acceptAside(ctx context.Context, l Listener) <-chan accepted {
	ch := make(chan accepted, 1)
	go func() {
		c, err := l.Accept(ctx)
		ch <- accepted{c, err}
	}()
	return ch
}

// accept fails the test if no host comes soon.
func accept(t *testing.T, l Listener) Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	c, err := l.Accept(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func requirePending(t *testing.T, ch <-chan accepted) {
	t.Helper()
	select {
	case a := <-ch:
		require.Fail(t, "Accept did not wait", "%v", a)
	case <-time.After(50 * time.Millisecond):
	}
}

func requireAccepted(t *testing.T, ch <-chan accepted) Conn {
	t.Helper()
	select {
	case a := <-ch:
		require.NoError(t, a.err)
		t.Cleanup(func() { a.c.Close() })
		return a.c
	case <-time.After(soon):
		require.Fail(t, "Accept waits")
		return nil
	}
}

func requireAcceptError(t *testing.T, ch <-chan accepted, want error) {
	t.Helper()
	select {
	case a := <-ch:
		require.ErrorIs(t, a.err, want)
	case <-time.After(soon):
		require.Fail(t, "Accept waits")
	}
}

// open opens a channel that the test's end closes.
func open(t *testing.T, cfg Config) Listener {
	t.Helper()
	l, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func readString(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	buf := make([]byte, n)
	_, err := io.ReadFull(r, buf)
	require.NoError(t, err)
	return string(buf)
}

func TestOpenBadConfig(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{Method: "carrier-pigeon", Path: "/x"}, "unsupported channel method/type: carrier-pigeon: use virtio-serial"},
		{Config{Method: UnixListen}, "no path for the channel unix-listen: give one with --path"},
		{Config{Method: VsockListen, Path: "foo", Retry: true}, "error parsing address 'foo'"},
		{
			Config{Method: VirtioSerial, Path: "/nowhere/port"},
			"error opening channel '/nowhere/port': no such file or directory: give the virtual machine a virtio-serial port of that name, or wait for one with --retry-path",
		},
		{Config{Method: ISASerial, Path: "/nowhere/ttyS9"}, "check --path, or wait for the device"},
		{Config{Method: ISASerial, Path: os.DevNull}, "not a serial line"},
		{Config{Method: VirtioSerial, Path: os.DevNull}, "not a character device that can be waited for"},
	} {
		_, err := Open(t.Context(), tt.cfg)
		require.ErrorContains(t, err, tt.want)
		require.NotContains(t, err.Error(), "\n")
	}
}

// TestAcceptEnds has the two ends that Accept can have on every transport.
func TestAcceptEnds(t *testing.T) {
	for name, cfg := range map[string]Config{
		"unix":            {Method: UnixListen, Path: filepath.Join(t.TempDir(), "s")},
		"unix to come":    {Method: UnixListen, Path: filepath.Join(t.TempDir(), "no", "s"), Retry: true},
		"port to come":    {Method: VirtioSerial, Path: filepath.Join(t.TempDir(), "no", "port"), Retry: true},
		"device will not": {Method: ISASerial, Path: os.DevNull, Retry: true},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			l, err := Open(t.Context(), cfg)
			require.NoError(t, err)
			require.Equal(t, cfg.Method+" "+cfg.Path, l.String())

			ctx, cancel := context.WithCancel(t.Context())
			ch := acceptAside(ctx, l)
			requirePending(t, ch)
			cancel()
			requireAcceptError(t, ch, context.Canceled)

			ch = acceptAside(t.Context(), l)
			requirePending(t, ch)
			require.NoError(t, l.Close())
			requireAcceptError(t, ch, net.ErrClosed)
			_, err = l.Accept(t.Context())
			require.ErrorIs(t, err, net.ErrClosed)
			require.ErrorIs(t, l.Close(), net.ErrClosed)
		})
	}
}
