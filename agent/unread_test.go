package agent

import (
	"bufio"
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/channel"
	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
)

// blocked is how long a write has to wait to count as stopped.
const blocked = 200 * time.Millisecond

// onSocket serves a on a unix socket and connects to it.
func onSocket(t *testing.T, a *Agent) net.Conn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := channel.Open(t.Context(), channel.Config{Method: channel.UnixListen, Path: path})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	return conn
}

// A host that closes its socket with the answer to its freeze unread knows of
// no freeze to thaw.
func TestFreezeAnswerLeftUnread(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	a := newAgent(t, Config{}, freeze.Config{})
	conn := onSocket(t, a)
	_, err := io.WriteString(conn, freezeRequest+"\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return a.freezes.Load() == 1 }, soon, time.Millisecond)
	require.False(t, freezetest.Writable(dir, blocked))
	require.NoError(t, conn.Close())
	require.True(t, freezetest.Writable(dir, soon))
	// The filesystem takes writes a moment before the thaw is on record.
	require.Eventually(t, func() bool { return a.engine.Report().EndedBy == "undelivered" }, soon, time.Millisecond)
}

// One that has read it, and leaves a later answer unread, does.
func TestLaterAnswerLeftUnread(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	a := newAgent(t, Config{}, freeze.Config{})
	conn := onSocket(t, a)
	_, err := io.WriteString(conn, freezeRequest+"\n")
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	for range 2 { // the second answer tells that the first is left unread
		_, err = io.WriteString(conn, pingRequest+"\n")
		require.NoError(t, err)
	}
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.False(t, freezetest.Writable(dir, blocked))
	require.Equal(t, freeze.Frozen, a.engine.State())
	_, err = a.engine.Thaw(t.Context())
	require.NoError(t, err)
}
