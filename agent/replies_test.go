package agent

import (
	"context"
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

// largeFile opens a file of 64 MiB and returns its handle.
func largeFile(t *testing.T, a *Agent) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, 64<<20))
	return dial(t, a).call(fmt.Sprintf(`{"execute":"guest-file-open","arguments":{"path":%q}}`, file))
}

// readAll is the request to read as much of a file as may be.
func readAll(handle string) string {
	return fmt.Sprintf(`{"execute":"guest-file-read","arguments":{"handle":%s,"count":%d}}`, handle, maxCount)
}

// read asks for as much of a file as may be, and tells how much came.
func (c *client) read(handle string) (count int, eof bool) {
	c.t.Helper()
	c.send(readAll(handle))
	require.NoError(c.t, c.conn.SetReadDeadline(time.Now().Add(soon)))
	line, err := c.in.ReadString('\n')
	require.NoError(c.t, err)
	_, err = fmt.Sscanf(line[:min(len(line), 100)], `{"return": {"count": %d,`, &count)
	require.NoError(c.t, err)
	return count, strings.HasSuffix(line, "\"eof\": true}}\n")
}

// held is how much of the memory for large replies is in use.
func held(a *Agent) int {
	a.replies.mu.Lock()
	defer a.replies.mu.Unlock()
	return a.replies.held
}

// deaf are clients that ask for a large reply and do not read it: as many as
// take all the memory for such.
func deaf(t *testing.T, a *Agent) (clients []*client) {
	t.Helper()
	for i := range maxReplies / maxCount {
		c := dial(t, a)
		c.send(readAll(largeFile(t, a)))
		require.Eventually(t, func() bool {
			a.replies.mu.Lock()
			defer a.replies.mu.Unlock()
			return len(a.replies.holders) == i+1 && a.replies.holders[i].hang != nil
		}, soon, time.Millisecond)
		clients = append(clients, c)
	}
	return clients
}

// Whoever asks for large replies and does not read them costs the agent so
// much memory and no more. Others read in small pieces meanwhile, and lose
// nothing.
func TestLargeReplies(t *testing.T) {
	a := newAgent(t, Config{FileRead: maxCount}, freeze.Config{})
	c, file := dial(t, a), largeFile(t, a)
	count, eof := c.read(file)
	require.Equal(t, maxCount, count, "one client has all that it asks for")
	require.False(t, eof)
	require.Eventually(t, func() bool { return held(a) == 0 }, soon, time.Millisecond)

	deafs := deaf(t, a)
	require.Equal(t, maxReplies, held(a))
	for left := 16 << 20; ; { // 64 MiB less what was read
		count, eof := c.read(file)
		left -= count
		if eof {
			require.Zero(t, left)
			break
		}
		require.Equal(t, smallReply, count)
	}
	zero := c.call(`{"execute":"guest-file-open","arguments":{"path":"/dev/zero"}}`)
	count, _ = c.read(zero)
	require.Equal(t, smallReply, count, "of what has no size, too")

	pid := c.call(`{"execute":"guest-exec","arguments":{"path":"busybox","arg":["head","-c","1000000","/dev/zero"],"capture-output":true}}`)
	status := `{"execute":"guest-exec-status","arguments":` + pid + `}`
	require.Eventually(t, func() bool {
		a.children.mu.Lock()
		defer a.children.mu.Unlock()
		for _, c := range a.children.byPID {
			return c.ended
		}
		return false
	}, soon, time.Millisecond)
	_, desc := c.fail(status)
	require.Equal(t, errNoRoom.Error(), desc)
	require.Equal(t, "{}", c.call(pingRequest))

	require.NoError(t, deafs[0].conn.Close())
	require.Eventually(t, func() bool { return held(a) == maxReplies-maxCount }, soon, time.Millisecond)
	require.Contains(t, c.call(status), `"out-data"`, "it was not forgotten")
	count, _ = c.read(zero)
	require.Equal(t, maxCount, count)
}

// A client that takes too long over a large reply loses its connection when
// others want the room.
func TestLargeRepliesGiveWay(t *testing.T) {
	a := newAgent(t, Config{FileRead: maxCount}, freeze.Config{})
	c, file := dial(t, a), largeFile(t, a)
	deafs := deaf(t, a)
	a.replies.mu.Lock()
	a.replies.holders[1].since = time.Now().Add(-lingering - time.Second)
	a.replies.mu.Unlock()
	count, _ := c.read(file)
	require.Equal(t, smallReply, count)
	_, err := io.Copy(io.Discard, deafs[1].in)
	require.NoError(t, err, "the connection ends")
	require.Eventually(t, func() bool {
		count, _ := c.read(file)
		return count > smallReply
	}, soon, time.Millisecond)
	require.Eventually(t, func() bool { // what was just read is given back
		a.replies.mu.Lock()
		defer a.replies.mu.Unlock()
		return len(a.replies.holders) == 1
	}, soon, time.Millisecond, "the other is left alone")
}

// What is read for a client that has given up holds memory until its command
// ends.
func TestLargeRepliesOfTheGone(t *testing.T) {
	a := newAgent(t, Config{FileRead: maxCount}, freeze.Config{})
	end := make(chan struct{})
	a.byName["hangs"] = command("hangs", func(_ *Agent, ctx context.Context, _ noArgs) (empty, error) {
		shareOf(ctx).holds(maxCount)
		<-end
		return empty{}, nil
	}, bulky)
	c := dial(t, a)
	c.send(`{"execute":"hangs"}` + syncRequest)
	require.Equal(t, `"sync"`, string(c.next().ID))
	require.Equal(t, maxCount, held(a))
	close(end)
	require.Eventually(t, func() bool { return held(a) == 0 }, soon, time.Millisecond)
}

func TestShare(t *testing.T) {
	r := &replies{}
	_, one := r.shared(t.Context())
	_, other := r.shared(t.Context())
	require.True(t, one.holds(2*maxReplies), "alone it may be any size")
	require.True(t, other.holds(smallReply))
	require.False(t, other.holds(smallReply+1))
	require.True(t, one.holds(maxCount))
	require.True(t, other.holds(maxCount))
	require.False(t, other.holds(maxCount+1))
	require.True(t, other.holds(0))
	require.Equal(t, []*share{one}, r.holders)
	one.release()
	one.release()
	other.release()
	require.Empty(t, r.holders)
	require.Zero(t, r.held)
	require.True(t, (*share)(nil).holds(maxReplies+1), "outside of a session")
}

// A user may fill the file of keys with very short lines.
func TestLargeKeyFile(t *testing.T) {
	a, file := guestOfJo(t)
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, make([]byte, smallReply/2), 0o600))
	ctx, mine := a.replies.shared(t.Context())
	_, others := a.replies.shared(t.Context())
	require.True(t, others.holds(maxReplies))
	got, err := a.sshGet(ctx, sshUserArgs{"jo"})
	require.NoError(t, err)
	require.Len(t, got.Keys, 1)
	lines := make([]byte, smallReply/2)
	for i := range lines {
		lines[i] = "k\n"[i%2]
	}
	require.NoError(t, os.WriteFile(file, lines, 0o600))
	_, err = a.sshGet(ctx, sshUserArgs{"jo"})
	require.ErrorIs(t, err, errNoRoom)
	others.release()
	got, err = a.sshGet(ctx, sshUserArgs{"jo"})
	require.NoError(t, err)
	require.Len(t, got.Keys, len(lines)/2)
	require.Greater(t, mine.size, 4*len(lines))
}
