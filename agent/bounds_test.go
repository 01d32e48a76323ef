package agent

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
	"qemu-ga/freeze"
)

// Requests at the bounds of what a request may be are answered by an error,
// and cost nobody anything: neither the host that sent them nor another.
func TestRequestsAreBounded(t *testing.T) {
	a := newAgent(t, Config{}, freeze.Config{})
	other := dial(t, a)
	members := &strings.Builder{}
	for i := range 700_000 {
		_, _ = fmt.Fprintf(members, `"%x":0,`, i)
	}
	for name, c := range map[string]struct{ request, want string }{
		"nesting": {strings.Repeat(`{"a":[`, 513) + strings.Repeat("]}", 513), "JSON nesting depth limit exceeded"},
		"members": {`{"execute":"guest-ping","arguments":{` + members.String() + `"x":0}}`, "JSON token count limit exceeded"},
		"values":  {`{"execute":"guest-ping","id":[` + strings.Repeat("0,", 1<<20) + `0]}`, "JSON token count limit exceeded"},
		"string":  {`{"execute":"guest-ping","id":"` + strings.Repeat("a", 64<<20) + `"}`, "JSON token size limit exceeded"},
		"twice":   {`{"execute":"guest-ping","execute":"guest-info"}`, "duplicate key"},
	} {
		host := dial(t, a)
		go func() { _, _ = io.WriteString(host.conn, c.request+"\xff"+pingRequest) }()
		r := host.next()
		require.NotNil(t, r.Error, name)
		require.Contains(t, r.Error.Desc, c.want, name)
		for r = host.next(); r.Error != nil; r = host.next() {
			require.Contains(t, r.Error.Desc, "JSON parse error") // the byte that starts afresh
		}
		require.Equal(t, "{}", string(r.Return), name)
		require.Equal(t, "{}", other.call(pingRequest), name)
		require.NoError(t, host.conn.Close())
	}
}

// What waits to be read by programs has a bound for all of them together.
func TestExecInputIsBounded(t *testing.T) {
	a := New(Config{})
	a.children.input.Add(maxInput)
	data := qapi.Base64("x")
	_, err := a.exec(t.Context(), execArgs{Path: "/bin/cat", InputData: &data})
	require.EqualError(t, err, "cannot start another process: 134217728 bytes of input still wait to be read")
	require.Zero(t, a.children.running, "the place is given back")
}

// shared is a log that several goroutines write.
type shared struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Whatever is wrong with a request, and however much is logged: what may be a
// secret in it is not. (The paths of files and the arguments of programs are
// logged, as qemu-ga logs them.)
func TestNoSecretIsLogged(t *testing.T) {
	t.Setenv("PATH", t.TempDir())                    // no program of this machine is to run
	const secret, coded = "HUSHHUSH", "SFVTSEhVU0g=" // the same in Base64
	log := &shared{}
	cfg := Config{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	c := dial(t, newAgent(t, cfg, freeze.Config{}))
	for _, c2 := range table() {
		for _, args := range []string{
			`{"%s":"S"}`, `{"password":"C","username":"no-such-user","crypted":false,"x":"S"}`,
			`{"password":"C","username":"no-such-user","crypted":false}`, `{"password":"S*","username":"x","crypted":true}`,
			`{"username":"no-such-user","keys":["S"]}`, `{"username":"no-such-user","keys":["#S"]}`,
			`{"username":"no-such-user","keys":"S"}`, `{"handle":4,"buf-b64":"C"}`, `{"handle":"S"}`,
			`{"path":"/nowhere","input-data":"C","env":["A=S"]}`, `{"path":"/nowhere","input-data":"S*","env":["S"]}`,
			`{"path":"/nowhere","env":"S"}`,
		} {
			switch c2.Name { // what does something without any of these
			case "guest-shutdown", "guest-suspend-disk", "guest-suspend-ram", "guest-suspend-hybrid", "guest-set-time",
				"guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fstrim":
				args = `{"S":"S"}`
			}
			args = strings.ReplaceAll(strings.ReplaceAll(args, "S", secret), "C", coded)
			c.send(fmt.Sprintf(`{"execute":"%s","arguments":%s}`, c2.Name, args))
			if r := c.next(); r.Error == nil {
				require.NotContains(t, []string{"guest-shutdown", "guest-set-time"}, c2.Name)
			}
		}
	}
	c.fail(`{"execute":"guest-set-user-password","arguments":{"password":"` + secret + `"` + "}} }")
	c.send(pingRequest)
	require.NoError(t, c.conn.Close())
	require.Contains(t, log.String(), "guest-set-user-password called", "nothing is logged")
	require.NotContains(t, log.String(), secret)
	require.NotContains(t, log.String(), coded)
}
