package agent

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
	"qemu-ga/freeze"
)

// logged returns an agent of cfg and where its audit lines go.
func logged(t *testing.T, cfg Config) (*Agent, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	if cfg.Root == "" {
		cfg.Root = guest.Root(t.TempDir())
	}
	cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
		Level: LevelAudit,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key != slog.MessageKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	return New(cfg), &log
}

// TestAudit holds the lines that say what a host had the guest do and what
// came of it: the words are qemu-ga's where it has such a line, there is one
// line for a command, and no line tells a secret.
func TestAudit(t *testing.T) {
	t.Setenv("PATH", "/bin")
	a, log := logged(t, Config{})
	root := string(a.root)
	require.NoError(t, os.MkdirAll(root+"/etc", 0o755))
	require.NoError(t, os.MkdirAll(root+"/home/jo", 0o755))
	require.NoError(t, os.MkdirAll(root+"/sys/devices/system/cpu/cpu0", 0o755))
	require.NoError(t, os.WriteFile(root+"/etc/passwd", []byte("jo:x:1:1::/home/jo:\n"), 0o644))
	a.children.byPID[1] = &child{ended: true}
	tried := map[string]bool{}
	for _, c := range []struct{ name, args, want string }{
		{"guest-file-open", `{"path":"/dev/null"}`, "guest-file-open called, filepath: /dev/null, mode: r, result: handle 1000"},
		{"guest-file-open", `{"path":"/nowhere/x","mode":"w+"}`, "guest-file-open called, filepath: /nowhere/x, mode: w+, failed: failed to open file '/nowhere/x' (mode: 'w+'): "},
		{"guest-file-open", `{"path":"/dev/null","mode":"r+"}`, "guest-file-open called, filepath: /dev/null, mode: r+, result: handle 1001"},
		{"guest-file-write", `{"handle":1001,"buf-b64":"c2VjcmV0"}`, ""},
		{"guest-file-close", `{"handle":1001}`, "guest-file-close called, handle: 1001, result: 0 bytes were read and 6 written"},
		{"guest-file-close", `{"handle":7}`, "guest-file-close called, handle: 7, failed: handle '7' has not been found"},
		{"guest-exec", `{"path":"/nowhere","arg":["a","b c"],"input-data":"c2VjcmV0","env":["A=secret"]}`, `guest-exec called: \"/nowhere a b c\", failed: Failed to execute child process “/nowhere” (No such file or directory)`},
		{"guest-exec-status", `{"pid":1}`, "guest-exec-status called, pid: 1, result: exit code 0"},
		{"guest-exec-status", `{"pid":2}`, "guest-exec-status called, pid: 2, failed: PID 2 does not exist"},
		{"guest-set-user-password", `{"username":"jo","password":"c2VjcmV0","crypted":false}`, "guest-set-user-password called, user: jo, failed: chpasswd refuses"},
		{"guest-ssh-add-authorized-keys", `{"username":"jo","keys":["secret"]}`, "guest-ssh-add-authorized-keys called, user: jo, keys: 1, reset: false, result: success"},
		{"guest-ssh-add-authorized-keys", `{"username":"jo","keys":["#secret"]}`, "guest-ssh-add-authorized-keys called, user: jo, keys: 1, reset: false, failed: invalid OpenSSH public key"},
		{"guest-ssh-get-authorized-keys", `{"username":"jo"}`, "guest-ssh-get-authorized-keys called, user: jo, result: 1 keys"},
		{"guest-ssh-remove-authorized-keys", `{"username":"jo","keys":["secret"]}`, "guest-ssh-remove-authorized-keys called, user: jo, keys: 1, result: success"},
		{"guest-set-vcpus", `{"vcpus":[]}`, "guest-set-vcpus called, processors: 0, result: success"},
		{"guest-set-vcpus", `{"vcpus":[{"logical-id":0,"online":false}]}`, "guest-set-vcpus called, processors: 1, failed: logical processor #0 can't be offlined"},
		{"guest-set-memory-blocks", `{"mem-blks":[{"phys-index":9,"online":true}]}`, "guest-set-memory-blocks called, blocks: 1, result: 0 of them are as wanted"},
		{"guest-set-time", `{"time":5}`, "guest-set-time called, time: 5, failed: Failed to set time to guest: Operation not permitted"},
		{"guest-set-time", ``, "guest-set-time called, failed: cannot read the hardware clock: "},
		{"guest-suspend-ram", ``, "guest-suspend-ram called\nguest-suspend-ram, failed: the requested suspend mode is not supported by the guest"},
		{"guest-shutdown", `{"mode":"x"}`, "guest-shutdown called, mode: x\nguest-shutdown, failed: mode is invalid (valid values are: halt|powerdown|reboot"},
		// Refused before it is begun; the words of the refusal repeat the request's.
		{"guest-exec", `{"path":"/bin/sh","secret":1}`, "guest-exec, failed: its arguments are wrong"},
		{"guest-set-user-password", `{"username":"jo","password":"secret","crypted":"c2VjcmV0"}`, "guest-set-user-password, failed: its arguments are wrong"},
		{"guest-file-read", `{"handle":"secret"}`, ""},
		{"guest-suspend-disk", ``, "guest-suspend-disk called\nguest-suspend-disk, failed: the requested suspend mode is not supported by the guest"},
		{"guest-suspend-hybrid", ``, "guest-suspend-hybrid called\nguest-suspend-hybrid, failed: the requested suspend mode is not supported by the guest"},
		{"guest-ping", ``, ""},
		{"guest-get-osinfo", ``, ""},
	} {
		tried[c.name] = true
		log.Reset()
		reply := answered(t, a, c.name, c.args)
		lines := lines(log)
		want := strings.Split(c.want, "\n")
		require.Len(t, lines, len(want), "%s: %s", c.name, reply)
		for i, line := range lines {
			require.Contains(t, line, want[i])
			require.NotContains(t, line, "secret")
			require.NotContains(t, line, "c2VjcmV0")
		}
	}
	for _, c := range table() {
		if !tried[c.Name] && c.is(privileged) {
			require.Contains(t, []string{
				"guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fsfreeze-thaw", "guest-fstrim",
			}, c.Name, "TestAuditFreeze has only these")
		}
	}
	log.Reset()
	answered(t, a, "guest-exec", `{"path":"`+strings.Repeat("x", 100_000)+`"}`)
	require.Less(t, log.Len(), 2*maxAudited, "a long command line is cut")
}

// lines returns what the log tells, without slog's quotes.
func lines(log *bytes.Buffer) []string {
	var lines []string
	for line := range strings.Lines(log.String()) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "msg=")
		lines = append(lines, strings.TrimSuffix(strings.TrimPrefix(line, `"`), `"`))
	}
	if lines == nil {
		return []string{""}
	}
	return lines
}

// TestAuditedCommands says which commands are not audited: those that change
// nothing and tell what any user of the guest may know.
func TestAuditedCommands(t *testing.T) {
	var open []string
	for _, c := range table() {
		if !c.is(privileged) && !strings.Contains(c.Name, "-get-") && !strings.HasPrefix(c.Name, "x-") {
			open = append(open, c.Name)
		}
	}
	require.Equal(t, []string{
		"guest-sync-delimited", "guest-sync", "guest-ping", "guest-info",
		// Of a file whose opening and closing are audited.
		"guest-file-read", "guest-file-write", "guest-file-seek", "guest-file-flush",
		"guest-fsfreeze-status",
	}, open)
}

// TestAuditFreeze holds the lines that hosts' own tests look for in the
// journal, word for word, and in their order.
func TestAuditFreeze(t *testing.T) {
	mounted(t, "/mnt/audited")
	hook := filepath.Join(t.TempDir(), "hook")
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\n"), 0o755))
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: LevelAudit}))
	a := newAgent(t, Config{Log: logger}, freeze.Config{Hook: hook, Log: logger})
	c := dial(t, a)
	c.call(`{"execute":"guest-fsfreeze-freeze"}`)
	c.fail(`{"execute":"guest-exec","arguments":{"path":"/bin/true"}}`)
	c.call(`{"execute":"guest-fsfreeze-thaw"}`)
	c.call(`{"execute":"guest-fstrim"}`)
	c.fail(`{"execute":"guest-fsfreeze-freeze","arguments":{"x-timeout":0}}`)
	c.call(`{"execute":"guest-fsfreeze-freeze-list","arguments":{"mountpoints":["/mnt/audited"]}}`)
	c.call(`{"execute":"guest-fsfreeze-thaw"}`)
	at := 0
	for _, want := range []string{
		`msg="guest-fsfreeze called"`,
		`msg="executing fsfreeze hook with arg 'freeze'"`,
		`msg="guest-fsfreeze-freeze, result: 1 filesystems are frozen" peer="the test"`,
		`msg="guest-exec, failed: Command guest-exec has been disabled: the command is not allowed: the agent is in frozen state" peer="the test"`,
		`msg="guest-fsthaw called"`,
		`msg="executing fsfreeze hook with arg 'thaw'"`,
		`msg="guest-fsfreeze-thaw, result: 1 filesystems were thawed" peer="the test"`,
		`msg="guest-fstrim called, result: 1 filesystems were asked" peer="the test"`,
		`msg="guest-fsfreeze called"`,
		`msg="guest-fsfreeze-freeze, failed: cannot freeze for 0 seconds: `,
		`msg="guest-fsfreeze called"`,
		`msg="guest-fsfreeze-freeze-list, result: 1 filesystems are frozen" peer="the test"`,
		`msg="guest-fsfreeze-thaw, result: 1 filesystems were thawed" peer="the test"`,
	} {
		i := strings.Index(log.String()[at:], want)
		require.GreaterOrEqual(t, i, 0, "%s is not behind %s", want, log.String()[:at])
		at += i + len(want)
	}
}
