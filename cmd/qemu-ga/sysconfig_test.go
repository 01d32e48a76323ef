package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sysconfig parses a command line whose only word is --sysconfig=FILE.
func sysconfig(t *testing.T, text string) options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	t.Chdir(filepath.Dir(path))
	o, err := parseOptions([]string{"--retry-path", "--sysconfig=v", "--statedir=/run"}, func(name string) string {
		return map[string]string{"QGA_CONF": "/does/not/exist"}[name]
	}, "")
	require.NoError(t, err)
	require.True(t, o.retry)
	require.Equal(t, "/run", o.stateDir)
	return o
}

func TestSysconfig(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want func(*options)
	}{
		"RHEL 8": {`# This is a systemd environment file, not a shell script.
BLACKLIST_RPC=guest-file-open,guest-exec
FSFREEZE_HOOK_PATHNAME=/etc/qemu-ga/fsfreeze-hook
`, func(o *options) {
			o.block, o.hook = []string{"guest-file-open", "guest-exec"}, "/etc/qemu-ga/fsfreeze-hook"
		}},
		"RHEL 9.2": {"BLOCK_RPCS=\nFSFREEZE_HOOK_PATHNAME=/dev/null\n", func(*options) {}},
		"RHEL 9.4": {`FILTER_RPC_ARGS="--allow-rpcs=guest-ping,guest-info -F/h"`, func(o *options) {
			o.allow, o.hook = []string{"guest-ping", "guest-info"}, "/h"
		}},
		"RHEL 6": {`
TRANSPORT_METHOD="isa-serial"
DEVPATH='/dev/ttyS1'
LOGFILE=/var/log/qga # where RHEL has it
FSFREEZE_HOOK_ENABLE=0
FSFREEZE_HOOK_PATHNAME=/etc/qemu-ga/fsfreeze-hook
`, func(o *options) {
			o.method, o.path, o.logFile = "isa-serial", "/dev/ttyS1", "/var/log/qga"
		}},
		"the default hook": {"FSFREEZE_HOOK_ENABLE=1\nFSFREEZE_HOOK_PATHNAME=\n", func(o *options) { o.hook = defaultHook }},
		"Debian": {`export DAEMON_ARGS="-v \
   -b guest-exec"
TRANSPORT=isa-serial:/dev/ttyS2
`, func(o *options) {
			o.verbose, o.block, o.method, o.path = true, []string{"guest-exec"}, "isa-serial", "/dev/ttyS2"
		}},
		"the last counts":           {"BLOCK_RPCS=a\nBLOCK_RPCS=b\n", func(o *options) { o.block = []string{"b"} }},
		"no name is lost to blanks": {`BLOCK_RPCS="guest-exec, guest-ping"`, func(o *options) { o.block = []string{"guest-exec", "guest-ping"} }},
		"empty":                     {"", func(*options) {}},
	} {
		t.Run(name, func(t *testing.T) {
			want := defaults()
			want.retry, want.stateDir, want.path, want.config = true, "/run", defaultVirtio, "/does/not/exist"
			c.want(&want)
			require.Equal(t, want, sysconfig(t, c.text))
		})
	}
}

// What is not understood is named, and the rest counts.
func TestSysconfigStrange(t *testing.T) {
	o := sysconfig(t, `DAEMON=/usr/bin/qemu-ga
[ -x "$DAEMON" ] || exit 0
BLOCK_RPCS=guest-exec
DAEMON_ARGS="--no-such --fsfreeze-timeout=soon --version -D -b help word --fsfreeze-presync=false"
`)
	require.Equal(t, []string{
		"v, line 2: this assigns no variable and is ignored",
		"v, line 1: variable DAEMON is not known and is ignored",
		"v, line 4: 'word' is no option and is ignored",
		"v, line 4: unrecognized option '--no-such'; it is ignored",
		`v, line 4: option '--fsfreeze-timeout': "soon" is not a number of seconds from 1 to 86400; it is ignored`,
		"v, line 4: option '--version' is for a terminal; it is ignored",
		"v, line 4: option '--dump-conf' is for a terminal; it is ignored",
		"v, line 4: option '--block-rpcs' is for a terminal; it is ignored",
	}, o.warnings)
	require.Equal(t, runDaemon, o.mode)
	require.Equal(t, []string{"guest-exec"}, o.block)
	require.False(t, o.freeze.presync)
}

// What would let hosts do more, if it were left out, is an error.
func TestSysconfigStrict(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	require.NoError(t, os.WriteFile(path, []byte("DAEMON_ARGS=--exec-output-limit=much\n"), 0o600))
	_, err := parseOptions([]string{"-r", "--sysconfig=" + path}, func(string) string { return "/does/not/exist" }, "")
	require.ErrorContains(t, err, path+`, line 1: option '--exec-output-limit': "much" is not `)
}

// A file that cannot be read is named; one that is missing is not.
func TestSysconfigUnreadable(t *testing.T) {
	_, warnings := readSysconfig(t.TempDir())
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "Not a regular file")
	opts, warnings := readSysconfig("/does/not/exist")
	require.Empty(t, opts)
	require.Empty(t, warnings)
}

func FuzzSysconfig(f *testing.F) {
	f.Add("A='b\\\nc' # d\nexport BLOCK_RPCS=\"x\\\" y\"\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		vars, strange := parseSysconfig(text)
		seen := map[string]bool{}
		for _, v := range vars {
			require.True(t, validVariable(v.name))
			require.False(t, seen[v.name], "twice: %s", v.name)
			seen[v.name] = true
			require.LessOrEqual(t, len(v.value), len(text))
		}
		require.LessOrEqual(t, len(strange), len(text))
	})
}
