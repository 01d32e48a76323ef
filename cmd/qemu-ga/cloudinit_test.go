package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qemu-ga/agent/channel"

	"github.com/stretchr/testify/require"
)

// counted is a channel that counts who asks for hosts.
type counted struct{ accepts, closes atomic.Int32 }

var errCounted = errors.New("the channel is open")

func (c *counted) Accept(context.Context) (channel.Conn, error) {
	c.accepts.Add(1)
	return nil, errCounted
}

func (c *counted) Close() error {
	c.closes.Add(1)
	return nil
}
func (c *counted) String() string { return "counted" }

// later makes a listener that waits for cloud-init in a directory, and the
// channel behind it.
func later(t *testing.T, marks ...string) (*laterListener, *counted, *strings.Builder) {
	t.Helper()
	c, log := &counted{}, &strings.Builder{}
	l := &laterListener{
		open: func(context.Context) (channel.Listener, error) { return c, nil },
		dir:  t.TempDir(), limit: time.Minute, log: slog.New(slog.NewTextHandler(log, nil)),
	}
	for _, mark := range marks {
		require.NoError(t, os.WriteFile(filepath.Join(l.dir, mark), nil, 0o600))
	}
	t.Setenv("PATH", t.TempDir()) // no cloud-init
	return l, c, log
}

func TestCloudInitIsWaitedFor(t *testing.T) {
	l, c, log := later(t, "enabled")
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error)
		go func() {
			_, err := l.Accept(context.Background())
			ended <- err
		}()
		time.Sleep(50 * time.Second)
		require.Zero(t, c.accepts.Load())
		require.NoError(t, os.WriteFile(filepath.Join(l.dir, cloudInitResult), nil, 0o600))
		require.ErrorIs(t, <-ended, errCounted)
		_, err := l.Accept(context.Background())
		require.ErrorIs(t, err, errCounted)
	})
	require.EqualValues(t, 2, c.accepts.Load())
	require.Contains(t, log.String(), "cloud-init has finished")
	require.NoError(t, l.Close())
	require.EqualValues(t, 1, c.closes.Load())
}

// A cloud-init that hangs does not leave the guest without agent.
func TestCloudInitTakesTooLong(t *testing.T) {
	l, _, log := later(t, "enabled")
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		_, err := l.Accept(context.Background())
		require.ErrorIs(t, err, errCounted)
		require.Equal(t, time.Minute, time.Since(begun))
	})
	require.Contains(t, log.String(), "cloud-init has not finished in 1m0s: the channel is opened all the same")
}

func TestCloudInitDoesNotRun(t *testing.T) {
	for name, marks := range map[string][]string{
		"disabled": {"disabled", "enabled"}, "finished": {cloudInitResult}, "not installed": nil,
	} {
		t.Run(name, func(t *testing.T) {
			l, _, _ := later(t, marks...)
			_, err := l.Accept(context.Background())
			require.ErrorIs(t, err, errCounted)
		})
	}
}

func TestCloudInitWaitEnds(t *testing.T) {
	l, c, _ := later(t, "enabled")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := l.Accept(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, l.Close())
	_, err = l.Accept(context.Background())
	require.ErrorIs(t, err, net.ErrClosed)
	require.Zero(t, c.accepts.Load())
}
