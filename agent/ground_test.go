package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
)

func TestMain(m *testing.M) {
	freeze.Init()
	files := freezetest.Bring("../testdata/guests")
	maps.Copy(files, freezetest.Bring("testdata/fuzz"))
	if _, err := os.Stat(schemaFile); err == nil {
		maps.Copy(files, freezetest.Bring(schemaFile))
	}
	run := func() int { // as the program does first of all
		_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
		return m.Run()
	}
	os.Exit(freezetest.Main(run, freezetest.Config{Files: files}))
}

// soon bounds what must not take long; it is never waited for in full.
const soon = 20 * time.Second

// pipe is a channel.Conn of the test's own: the host's end is a net.Conn.
type pipe struct{ net.Conn }

func (pipe) Peer() string { return "the test" }

// client is a host at the other end of a session.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// dial starts a session with a.
func dial(t *testing.T, a *Agent) *client {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		a.serveConn(ctx, pipe{theirs})
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		_ = ours.Close()
		<-done
	})
	return &client{t: t, conn: ours, in: bufio.NewReader(ours)}
}

// send writes requests.
func (c *client) send(text string) {
	c.t.Helper()
	require.NoError(c.t, c.conn.SetWriteDeadline(time.Now().Add(soon)))
	_, err := io.WriteString(c.conn, text)
	require.NoError(c.t, err)
}

// reply is one line of the agent's.
type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *struct{ Class, Desc string }
	ID     json.RawMessage `json:"id"`
}

// next reads one reply.
func (c *client) next() reply {
	c.t.Helper()
	require.NoError(c.t, c.conn.SetReadDeadline(time.Now().Add(soon)))
	line, err := c.in.ReadBytes('\n')
	require.NoError(c.t, err)
	var r reply
	require.NoError(c.t, json.Unmarshal(line, &r), "%s", line)
	return r
}

// call sends one request and requires success.
func (c *client) call(request string) string {
	c.t.Helper()
	c.send(request)
	r := c.next()
	require.Nil(c.t, r.Error, "%s", request)
	return string(r.Return)
}

// fail sends one request and requires an error.
func (c *client) fail(request string) (class, desc string) {
	c.t.Helper()
	c.send(request)
	r := c.next()
	require.NotNil(c.t, r.Error, "%s: %s", request, r.Return)
	return r.Error.Class, r.Error.Desc
}

// newAgent makes an Agent over a real engine.
func newAgent(t *testing.T, cfg Config, freezing freeze.Config) *Agent {
	t.Helper()
	freezing.StateDir = t.TempDir()
	cfg.Freeze = freeze.New(freezing)
	cfg.Root = "/"
	t.Cleanup(func() { _ = cfg.Freeze.Close(context.Background()) })
	return New(cfg)
}

// mounted makes a filesystem for the test.
func mounted(t *testing.T, dir string) string {
	t.Helper()
	freezetest.Need(t)
	require.NoError(t, freezetest.Mount(freezetest.FS{Type: "ext4", Dir: dir}))
	t.Cleanup(func() { require.NoError(t, freezetest.Unmount(dir)) })
	return dir
}

// slowHook writes a hook whose "freeze" does not end by itself; begun tells
// when it runs.
func slowHook(t *testing.T) (program string, begun func() bool) {
	t.Helper()
	dir := t.TempDir()
	program = filepath.Join(dir, "hook")
	mark := filepath.Join(dir, "begun")
	script := "#!/bin/sh\n[ $1 = thaw ] && exit\ntouch " + mark + "\nsleep 1000\n"
	require.NoError(t, os.WriteFile(program, []byte(script), 0o755))
	return program, func() bool {
		_, err := os.Stat(mark)
		return err == nil
	}
}
