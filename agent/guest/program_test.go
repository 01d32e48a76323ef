package guest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// program puts a script into the guest.
func program(t *testing.T, r Root, name, script string) {
	t.Helper()
	file := filepath.Join(string(r), name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(script), 0o755))
}

func TestRun(t *testing.T) {
	r := tree(t, map[string]string{"/sbin": "->usr/sbin", "/plain": "x", "/bin/sh": "->/sh"})
	// The scripts' interpreter: the guest has none of its own.
	require.NoError(t, os.Remove(filepath.Join(string(r), "/bin/sh")))
	sh, err := os.ReadFile("/bin/sh")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(string(r), "/bin/sh"), sh, 0o755))

	t.Setenv("PATH", "relative:/nowhere:/usr/sbin")
	program(t, r, "/usr/sbin/good", "#!/bin/sh\n[ \"$1 $2\" = 'a b c' ] && [ -z \"$(/bin/cat)\" ]\n")
	program(t, r, "/usr/sbin/bare", "echo bare; exit 3\n")
	program(t, r, "/usr/sbin/mute", "#!/bin/sh\nexit 7\n")
	program(t, r, "/usr/sbin/both", "#!/bin/sh\necho out; echo err >&2; exit 1\n")
	program(t, r, "/usr/sbin/killed", "#!/bin/sh\nkill -9 $$\n")
	program(t, r, "/usr/sbin/said", "#!/bin/sh\necho help; kill -9 $$\n")
	program(t, r, "/usr/sbin/late", "#!/bin/sh\n(/bin/sleep 0.1; echo late) & exit 1\n")
	program(t, r, "/usr/sbin/eats", "#!/bin/sh\n[ \"$(/bin/cat)\" = input ]\n")
	for _, c := range []struct{ run, want string }{
		{"good 'a b' c", ""},
		{"/sbin/bare", "child process has failed to jump: bare\n"},
		{"mute", "child process has failed to jump: exit status 7"},
		{"both", "child process has failed to jump: out\nerr\n"},
		{"killed", "child process has terminated abnormally"},
		{"said", "child process has terminated abnormally: help\n"},
		{"late", "child process has failed to jump: late\n"},
		{"/sbin/none", "child process has failed to jump: failed to exec '/sbin/none': No such file or directory\n"},
		{"none", "child process has failed to jump: failed to exec 'none': No such file or directory\n"},
		{"/plain", "child process has failed to jump: failed to exec '/plain': Permission denied\n"},
	} {
		name, rest, _ := strings.Cut(c.run, " ")
		var args []string
		if rest != "" {
			args = []string{"a b", "c"}
		}
		err := r.Run("jump", nil, name, args...)
		if c.want == "" {
			require.NoError(t, err, c.run)
			continue
		}
		require.EqualError(t, err, c.want, c.run)
	}
	require.NoError(t, r.Run("jump", strings.NewReader("input"), "eats"))
	require.True(t, r.Executable("/sbin/good"))
	require.False(t, r.Executable("/plain"))
}

func TestRunKeepsOnlyTheBeginningOfMuchOutput(t *testing.T) {
	r := tree(t, nil)
	program(t, r, "/chatty", "#!/bin/sh\ni=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; exit 1\n")
	err := r.Run("chat", nil, "/chatty")
	require.ErrorContains(t, err, "child process has failed to chat: 0123456789")
	require.Less(t, len(err.Error()), 70_000)
}

func TestStrerror(t *testing.T) {
	require.Equal(t, "No such file or directory", Strerror(&os.PathError{Op: "open", Path: "x", Err: unix.ENOENT}))
	require.Equal(t, "Input/output error", Strerror(unix.EIO))
	require.Equal(t, "Netlink message cut short", Strerror(errShortMessage))
}
