package agent

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/freeze"
)

// half is the first half of a large request, which ends with a string.
var half = `{"execute":"guest-ping","id":"` + strings.Repeat("a", largeBytes)

// A host that goes on sending while its request is being served is not read
// far, and is served all the same in the end.
func TestReadAheadIsBounded(t *testing.T) {
	mounted(t, "/mnt/a")
	dir := t.TempDir()
	program := filepath.Join(dir, "hook")
	script := fmt.Sprintf("#!/bin/sh\n[ $1 = thaw ] && exit\ntouch %s/begun\nuntil [ -e %s/go ]; do sleep 0.02; done\n", dir, dir)
	require.NoError(t, os.WriteFile(program, []byte(script), 0o755))
	c := dial(t, newAgent(t, Config{}, freeze.Config{Hook: program}))
	c.send(freezeRequest)
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir + "/begun")
		return err == nil
	}, soon, time.Millisecond)

	rest := half + `"}`
	taken := 0
	for { // until nothing more is taken
		require.NoError(t, c.conn.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		n, err := io.WriteString(c.conn, rest)
		taken += n
		rest = rest[n:]
		if n == 0 {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			break
		}
	}
	t.Logf("%d of %d bytes are read ahead", taken, taken+len(rest))
	require.Less(t, taken, aheadBytes+32<<10)

	require.NoError(t, os.WriteFile(dir+"/go", nil, 0o600))
	require.Equal(t, "1", string(c.next().Return))
	c.send(rest)
	require.Equal(t, "{}", string(c.next().Return))
	require.Equal(t, "1", c.call(thawRequest))
}

// Requests that cost much memory have few places. Who finds none is told and
// loses the connection; everybody else goes on.
func TestLargeRequests(t *testing.T) {
	a := newAgent(t, Config{}, freeze.Config{})
	var holders []*client
	for range maxLarge {
		c := dial(t, a)
		c.send(half)
		holders = append(holders, c)
	}
	require.Eventually(t, func() bool { return len(a.large) == maxLarge }, soon, time.Millisecond)

	one := dial(t, a)
	go func() { _, _ = io.WriteString(one.conn, half) }()
	r := one.next()
	require.NotNil(t, r.Error)
	require.Equal(t, "cannot take a request of more than 262144 bytes now: 4 others are being read or served", r.Error.Desc)
	_, err := one.in.ReadByte()
	require.ErrorIs(t, err, io.EOF)

	require.Equal(t, "{}", dial(t, a).call(pingRequest))
	require.Equal(t, "{}", holders[0].call(`"}`))
	require.Eventually(t, func() bool { return len(a.large) == maxLarge-1 }, soon, time.Millisecond)
	require.Equal(t, "{}", dial(t, a).call(half+`"}`))

	// A client that goes away in the middle leaves nothing behind.
	for _, c := range holders[1:] {
		require.NoError(t, c.conn.Close())
	}
	require.Eventually(t, func() bool { return len(a.large) == 0 }, soon, time.Millisecond)
}
