package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
)

// TestAudit holds the lines that say what a host had the guest do: the words
// are qemu-ga's where it has such a line, and no line tells a secret.
func TestAudit(t *testing.T) {
	t.Setenv("PATH", "/bin")
	var log bytes.Buffer
	a := New(Config{
		Root: guest.Root(t.TempDir()),
		Log:  slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: LevelAudit})),
	})
	for _, c := range []struct{ name, args, want string }{
		{"guest-file-open", `{"path":"/dev/null"}`, "guest-file-open called, filepath: /dev/null, mode: r"},
		{"guest-file-open", `{"path":"/dev/null"}`, "guest-file-open, handle: 1001"},
		{"guest-file-close", `{"handle":1000}`, "guest-file-close called, handle: 1000"},
		{"guest-exec", `{"path":"true","arg":["a","b c"],"input-data":"c2VjcmV0"}`, `guest-exec called: \"true a b c\"`},
		{"guest-exec-status", `{"pid":1}`, "guest-exec-status called, pid: 1"},
		{"guest-set-user-password", `{"username":"jo","password":"c2VjcmV0","crypted":false}`, "guest-set-user-password called, user: jo"},
		{"guest-ssh-add-authorized-keys", `{"username":"jo","keys":["secret"]}`, "guest-ssh-add-authorized-keys called, user: jo, keys: 1, reset: false"},
		{"guest-ssh-remove-authorized-keys", `{"username":"jo","keys":["secret"]}`, "guest-ssh-remove-authorized-keys called, user: jo, keys: 1"},
		{"guest-set-vcpus", `{"vcpus":[]}`, "guest-set-vcpus called, processors: 0"},
		{"guest-set-memory-blocks", `{"mem-blks":[]}`, "guest-set-memory-blocks called, blocks: 0"},
		{"guest-set-time", `{"time":5}`, "guest-set-time called, time: 5"},
		{"guest-suspend-ram", ``, "guest-suspend-ram called"},
	} {
		log.Reset()
		answered(t, a, c.name, c.args)
		require.Contains(t, log.String(), c.want)
		require.NotContains(t, log.String(), "secret")
		require.NotContains(t, log.String(), "c2VjcmV0")
	}
	log.Reset()
	answered(t, a, "guest-exec", `{"path":"`+strings.Repeat("x", 100_000)+`"}`)
	require.Less(t, log.Len(), 2*maxAudited, "a long command line is cut")
}
