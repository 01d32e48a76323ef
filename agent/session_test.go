package agent

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
)

const (
	freezeRequest = `{"execute": "guest-fsfreeze-freeze", "id": "freeze"}`
	thawRequest   = `{"execute": "guest-fsfreeze-thaw", "id": "thaw"}`
	syncRequest   = `{"execute": "guest-sync", "arguments": {"id": 7}, "id": "sync"}`
	statusRequest = `{"execute": "guest-fsfreeze-status"}`
	pingRequest   = `{"execute": "guest-ping"}`
)

func TestRepliesKeepOrder(t *testing.T) {
	c := dial(t, newAgent(t, Config{}, freeze.Config{}))
	const rounds = 50
	go func() {
		for i := range rounds {
			_, _ = fmt.Fprintf(c.conn, `{"execute":"guest-get-host-name","id":%d}{"execute":"guest-sync","arguments":{"id":%d}}!{"execute":"nope"}`, i, i)
		}
	}()
	for i := range rounds {
		require.Equal(t, fmt.Sprint(i), string(c.next().ID))
		require.Equal(t, fmt.Sprint(i), string(c.next().Return))
		require.Equal(t, "GenericError", c.next().Error.Class)
		require.Equal(t, "CommandNotFound", c.next().Error.Class)
	}
}

func TestDelimiter(t *testing.T) {
	c := dial(t, newAgent(t, Config{}, freeze.Config{}))
	c.send(`{"execute":"guest-sync-delimited","arguments":{"id":1}}`)
	b, err := c.in.ReadByte()
	require.NoError(t, err)
	require.EqualValues(t, 0xff, b)
	require.Equal(t, "1", string(c.next().Return))
	c.send(`{"execute":"guest-sync-delimited"}`)
	require.Equal(t, "Parameter 'id' is missing", c.next().Error.Desc)
}

// Harvester sends thaw a second after freeze, done or not.
func TestThawOvertakesFreeze(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	program, begun := slowHook(t)
	c := dial(t, newAgent(t, Config{}, freeze.Config{Hook: program}))
	c.send(freezeRequest)
	require.Eventually(t, begun, soon, time.Millisecond)
	c.send(thawRequest)
	froze := c.next()
	require.Equal(t, `"freeze"`, string(froze.ID))
	require.Equal(t, "cannot freeze: the request was given up", froze.Error.Desc)
	thawed := c.next()
	require.Equal(t, `"thaw"`, string(thawed.ID))
	require.Equal(t, "0", string(thawed.Return))
	require.True(t, freezetest.Writable(dir, soon))
	require.Equal(t, `"thawed"`, c.call(statusRequest))
}

// libvirt sends guest-sync when it gave up on a command: the command's answer
// must never come, and nothing may stay frozen.
func TestSyncOvertakesFreeze(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	program, begun := slowHook(t)
	c := dial(t, newAgent(t, Config{}, freeze.Config{Hook: program}))
	c.send(freezeRequest)
	require.Eventually(t, begun, soon, time.Millisecond)
	c.send(syncRequest)
	require.Equal(t, `"sync"`, string(c.next().ID))
	require.Eventually(t, func() bool { return c.call(statusRequest) == `"thawed"` }, soon, time.Millisecond)
	require.True(t, freezetest.Writable(dir, soon))
	require.Equal(t, "{}", c.call(pingRequest)) // and no late answer
}

// A sync that comes while a quick command runs changes nothing.
func TestSyncWaitsForQuickCommand(t *testing.T) {
	mounted(t, "/mnt/a")
	c := dial(t, newAgent(t, Config{}, freeze.Config{}))
	c.send(freezeRequest + syncRequest + thawRequest)
	require.Equal(t, "1", string(c.next().Return))
	require.Equal(t, `"sync"`, string(c.next().ID))
	require.Equal(t, "1", string(c.next().Return))
}

// The answer to a freeze that nobody takes thaws at once.
func TestUndeliverableFreeze(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	a := newAgent(t, Config{}, freeze.Config{})
	c := dial(t, a)
	c.send(freezeRequest)
	require.NoError(t, c.conn.Close())
	require.Eventually(t, func() bool {
		r := a.engine.Report()
		return r.State == freeze.Thawed && r.EndedBy == "undelivered" || r.Error != ""
	}, soon, time.Millisecond)
	require.True(t, freezetest.Writable(dir, soon))
	require.Equal(t, `"thawed"`, dial(t, a).call(statusRequest))
}

// A freeze belongs to the guest: every session sees it, and may end it.
func TestFreezeOfSeveralSessions(t *testing.T) {
	mounted(t, "/mnt/a")
	a := newAgent(t, Config{}, freeze.Config{})
	one, two := dial(t, a), dial(t, a)
	require.Equal(t, "1", one.call(freezeRequest))
	require.Equal(t, `"frozen"`, two.call(statusRequest))
	class, desc := two.fail(freezeRequest)
	require.Equal(t, "CommandNotFound", class)
	require.Equal(t, "Command guest-fsfreeze-freeze has been disabled: the command is not allowed: the agent is in frozen state", desc)
	require.NoError(t, one.conn.Close())
	require.Equal(t, `"frozen"`, two.call(statusRequest))
	require.Contains(t, two.call(`{"execute":"x-fsfreeze-report"}`), `"asked-by": "the test"`)
	require.Equal(t, "1", two.call(thawRequest))
	require.Equal(t, `"thawed"`, two.call(statusRequest))
}

func TestDeadlineIsTold(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	a := newAgent(t, Config{}, freeze.Config{})
	c := dial(t, a)
	for _, bad := range []string{"0", "-1", "86401"} {
		_, desc := c.fail(`{"execute":"guest-fsfreeze-freeze","arguments":{"x-timeout":` + bad + `}}`)
		require.Contains(t, desc, "x-timeout takes 1 to 86400")
	}
	require.Equal(t, "1", c.call(`{"execute":"guest-fsfreeze-freeze","arguments":{"x-timeout":1}}`))
	require.True(t, freezetest.Writable(dir, soon))
	require.Eventually(t, func() bool { return a.engine.State() == freeze.Expired }, soon, time.Millisecond)
	require.Equal(t, `"frozen"`, c.call(statusRequest))
	require.NotEmpty(t, c.call(`{"execute":"guest-get-host-name"}`), "everything is allowed again")
	_, desc := c.fail(thawRequest)
	require.True(t, strings.HasPrefix(desc, "fsfreeze is limited to 1 second: the filesystems were thawed at "), desc)
	require.True(t, strings.HasSuffix(desc, ", before this request"), desc)
	require.Equal(t, `"thawed"`, c.call(statusRequest))
	require.Equal(t, "0", c.call(thawRequest))
}

// A host that connects and says nothing, or half a request, costs one session
// and keeps nobody out.
func TestIdleSessionsKeepNobodyOut(t *testing.T) {
	a := newAgent(t, Config{}, freeze.Config{})
	for range 5 {
		dial(t, a).send(`{"execute": "guest-p`)
	}
	require.Equal(t, "{}", dial(t, a).call(pingRequest))
}

// What runs on after its client gave up is bounded.
func TestRunningCommandsAreBounded(t *testing.T) {
	a := newAgent(t, Config{}, freeze.Config{})
	for range maxRunning {
		a.slots <- struct{}{}
	}
	c := dial(t, a)
	_, desc := c.fail(`{"execute":"guest-get-host-name"}`)
	require.Contains(t, desc, "32 others are still running")
	require.Equal(t, "{}", c.call(pingRequest))
	<-a.slots
	c.call(`{"execute":"guest-get-host-name"}`)
}

// Commands that hang, and may have taken all places, keep nobody from freezing
// and thawing.
func TestFreezesHaveTheirOwnPlaces(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	a := newAgent(t, Config{}, freeze.Config{})
	for range maxRunning {
		a.slots <- struct{}{}
	}
	c := dial(t, a)
	require.Equal(t, "1", c.call(freezeRequest))
	require.False(t, freezetest.Writable(dir, blocked))
	for range maxUrgent {
		a.urgent <- struct{}{}
	}
	_, desc := c.fail(thawRequest)
	require.Contains(t, desc, "8 others are still running")
	<-a.urgent
	require.Equal(t, "1", c.call(thawRequest))
}

// A change of keys that waits for another, which hangs, ends when its client
// gives up on it.
func TestChangesOfKeysDoNotPileUp(t *testing.T) {
	a := newAgent(t, Config{}, freeze.Config{})
	jo, _ := guestOfJo(t)
	a.root = jo.root
	user, err := a.keyOwner(t.Context(), "jo")
	require.NoError(t, err)
	done, err := a.keys.lock(t.Context(), guest.AuthorizedKeysName(user))
	require.NoError(t, err)
	defer done()
	c := dial(t, a)
	c.send(`{"execute":"guest-ssh-remove-authorized-keys","arguments":{"username":"jo","keys":[]}}` + syncRequest)
	require.Equal(t, `"sync"`, string(c.next().ID))
	require.Eventually(t, func() bool { return len(a.slots) == 0 }, soon, time.Millisecond)
}

// Requests that a dead host left behind are not carried out after its answer
// could not be delivered.
func TestNothingRunsForTheDead(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	a := newAgent(t, Config{}, freeze.Config{})
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		a.serveConn(context.Background(), pipe{theirs})
		close(done)
	}()
	_, err := fmt.Fprint(ours, pingRequest+freezeRequest)
	require.NoError(t, err)
	require.NoError(t, ours.Close())
	<-done
	require.True(t, freezetest.Writable(dir, soon))
	require.Zero(t, a.engine.Report().Frozen, "the freeze was not begun")
}
