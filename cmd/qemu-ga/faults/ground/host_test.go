package ground_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// soon bounds what must not take long; it is never waited for in full.
const soon = 20 * time.Second

// host is one client of an agent, as a hypervisor is one.
type host struct {
	t     *testing.T
	agent *agent
	conn  *net.UnixConn
	lines *bufio.Reader
}

// dial connects to an agent as soon as it listens.
func dial(a *agent) *host {
	a.t.Helper()
	h := tryDial(a, soon)
	require.NotNil(a.t, h, "the agent does not listen")
	return h
}

// tryDial is dial for an agent that may never listen: it gives nil then.
func tryDial(a *agent, limit time.Duration) *host {
	a.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", a.socket)
		if err == nil {
			a.t.Cleanup(func() { _ = conn.Close() })
			return &host{t: a.t, agent: a, conn: conn.(*net.UnixConn), lines: bufio.NewReader(conn)}
		}
	}
	return nil
}

// close makes the host vanish.
func (h *host) close() { require.NoError(h.t, h.conn.Close()) }

// send writes requests in one go: each a command, or a whole request. That
// the agent is gone shows by the missing reply.
func (h *host) send(requests ...string) {
	h.t.Helper()
	var text []byte
	for _, r := range requests {
		if r[0] != '{' {
			r = `{"execute":"` + r + `"}`
		}
		text = append(append(text, r...), '\n')
	}
	require.NoError(h.t, h.conn.SetWriteDeadline(time.Now().Add(soon)))
	_, _ = h.conn.Write(text)
}

// reply waits for one reply and gives what it says: the value, or the error's
// text; that none came is an answer, too. limit is how long the C agent is
// listened to.
func (h *host) reply(limit time.Duration) string {
	h.t.Helper()
	limit = h.agent.patience(limit)
	require.NoError(h.t, h.conn.SetReadDeadline(time.Now().Add(limit)))
	line, err := h.lines.ReadBytes('\n')
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in " + limit.String()
	case err != nil:
		return "the connection ended"
	}
	var answer struct {
		Return json.RawMessage
		Error  *struct{ Desc string }
	}
	require.NoError(h.t, json.Unmarshal(line, &answer), "%s", line)
	if answer.Error != nil {
		return "error: " + answer.Error.Desc
	}
	if text, err := strconv.Unquote(string(answer.Return)); err == nil {
		return text
	}
	return string(answer.Return)
}

// unread is how many bytes of replies are there and were not read.
func (h *host) unread() int {
	h.t.Helper()
	raw, err := h.conn.SyscallConn()
	require.NoError(h.t, err)
	count := 0
	require.NoError(h.t, raw.Control(func(fd uintptr) { count, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }))
	require.NoError(h.t, err)
	return count
}

// ask sends a request and waits for its reply.
func (h *host) ask(request string) string {
	h.t.Helper()
	return h.askFor(request, soon)
}

func (h *host) askFor(request string, limit time.Duration) string {
	h.t.Helper()
	h.send(request)
	return h.reply(limit)
}

// The requests by short names.
const (
	doPing    = "guest-ping"
	doStatus  = "guest-fsfreeze-status"
	doFreeze  = "guest-fsfreeze-freeze"
	doThaw    = "guest-fsfreeze-thaw"
	doSync    = `{"execute":"guest-sync","arguments":{"id":7}}`
	pingReply = "{}"
)
