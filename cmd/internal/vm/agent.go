package vm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Agent is the host's end of the agent's port: a client as libvirt is one.
type Agent struct {
	t     testing.TB
	conn  net.Conn
	lines *bufio.Reader
	syncs int
}

// AgentError is an error that the agent answered.
type AgentError struct {
	Class string
	Desc  string
}

func (e *AgentError) Error() string {
	return e.Class + ": " + e.Desc
}

// Agent connects to the agent's port. The connection ends with the test.
func (v *VM) Agent() *Agent {
	v.t.Helper()
	conn, err := net.Dial("unix", v.path("agent"))
	require.NoError(v.t, err)
	v.t.Cleanup(func() { _ = conn.Close() })
	return &Agent{t: v.t, conn: conn, lines: bufio.NewReader(conn)}
}

// Close closes the connection: for the guest, its host goes away.
func (a *Agent) Close() {
	require.NoError(a.t, a.conn.Close())
}

// Send writes a request without waiting for its reply.
func (a *Agent) Send(command string, args any) {
	a.t.Helper()
	request := map[string]any{"execute": command}
	if args != nil {
		request["arguments"] = args
	}
	line, err := json.Marshal(request)
	require.NoError(a.t, err)
	require.NoError(a.t, a.conn.SetWriteDeadline(time.Now().Add(commandLimit)))
	_, err = a.conn.Write(append(line, '\n'))
	require.NoError(a.t, err)
}

// Reply waits for the next reply.
func (a *Agent) Reply(limit time.Duration) (json.RawMessage, error) {
	a.t.Helper()
	require.NoError(a.t, a.conn.SetReadDeadline(time.Now().Add(limit)))
	line, err := a.lines.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var reply struct {
		Return json.RawMessage
		Error  *AgentError
	}
	require.NoError(a.t, json.Unmarshal(line, &reply), "%s", line)
	if reply.Error != nil {
		return nil, reply.Error
	}
	return reply.Return, nil
}

// Call runs a command that must succeed and returns its result.
func (a *Agent) Call(command string, args any) json.RawMessage {
	a.t.Helper()
	a.Send(command, args)
	result, err := a.Reply(commandLimit)
	require.NoError(a.t, err, "%s %v", command, args)
	return result
}

// Fail runs a command that must be answered by an error.
func (a *Agent) Fail(command string, args any) *AgentError {
	a.t.Helper()
	a.Send(command, args)
	result, err := a.Reply(commandLimit)
	var answered *AgentError
	require.ErrorAs(a.t, err, &answered, "%s: %s", command, result)
	return answered
}

// Sync finds the agent's ear, as a host does on a port it knows nothing of: it
// repeats guest-sync-delimited until its own answer comes.
func (a *Agent) Sync(limit time.Duration) {
	a.t.Helper()
	end := time.Now().Add(limit)
	for time.Now().Before(end) {
		a.syncs++
		request := fmt.Sprintf("\xff"+`{"execute":"guest-sync-delimited","arguments":{"id":%d}}`+"\n", a.syncs)
		require.NoError(a.t, a.conn.SetDeadline(time.Now().Add(time.Second)))
		if _, err := a.conn.Write([]byte(request)); err != nil {
			continue
		}
		want := fmt.Appendf(nil, `{"return": %d}`, a.syncs)
		for {
			line, err := a.lines.ReadBytes('\n')
			if err != nil {
				break // nobody has answered yet
			}
			_, answer, ok := bytes.Cut(line, []byte{0xff})
			if ok && bytes.Equal(bytes.TrimSpace(answer), want) {
				return
			}
		}
	}
	a.t.Fatalf("the agent does not answer guest-sync-delimited in %v", limit)
}
