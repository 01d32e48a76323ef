package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestApplyConfig(t *testing.T) {
	o := defaults()
	require.NoError(t, applyConfig(&o, "/etc/x.conf", []byte(`# sample
[general]
daemon = 1
method=isa-serial
path= /dev/tty\sS0
block-rpcs=guest-exec;guest-ping,guest-file-open
logfile=/a#b
unheard=of
[other]
key=value
[fsfreeze]
timeout=20
exclude=/mnt/a,/mnt/b
presync=false
[vsock]
allow-cids=2,5
[general]
method=virtio-serial
blacklist=guest-shutdown
[other]
`)))
	require.True(t, o.daemonize)
	require.Equal(t, "virtio-serial", o.method)
	require.Equal(t, "/dev/tty S0", o.path)
	require.Equal(t, []string{"guest-exec;guest-ping", "guest-file-open", "guest-shutdown"}, o.block)
	require.Equal(t, "/a#b", o.logFile)
	require.Equal(t, 20*time.Second, o.freeze.timeout)
	require.Equal(t, []string{"/mnt/a", "/mnt/b"}, o.freeze.exclude)
	require.False(t, o.freeze.presync)
	require.Equal(t, []uint32{2, 5}, o.allowCIDs)
	require.Equal(t, []string{
		"/etc/x.conf, line 9: group [other] is not known and is ignored",
		`/etc/x.conf, line 8: key "unheard" of [general] is not known and is ignored`,
	}, o.warnings)
}

func TestApplyConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		"[general]\ndaemon=yes":      `line 2: key "daemon" of [general]: "yes" is neither true nor false`,
		"[general]\n\npath=a\\q":     `line 3: key "path" of [general]: invalid escape sequence "\\q"`,
		"[general]\npath=a\\":        "ends with a single backslash: write two",
		"[general]\npath=a\xff":      "it is not UTF-8 text",
		"[commands]\nprofil=info":    `line 2: key "profil" of [commands] is not known: use profile`,
		"daemon=true":                "line 1: the file does not start with a group: begin it with [general]",
		"\xef\xbb\xbf[general]\nx=y": "line 1: \"\\ufeff[general]\" is not a key-value pair, group, or comment",
	} {
		o := defaults()
		require.ErrorContains(t, applyConfig(&o, "f", []byte(text)), want, text)
	}
}

// What another version left in our groups is named, and the rest counts.
func TestApplyConfigOfAnotherVersion(t *testing.T) {
	for text, want := range map[string]string{
		"timout=3":   `f, line 2: key "timout" of [fsfreeze] is not known and is ignored: use timeout, window-timeout, stall-timeout, hook-timeout, presync`,
		"timeout=3m": `f, line 2: key "timeout" of [fsfreeze]: "3m" is not a number of seconds from 1 to 86400: it is left at 300`,
	} {
		o := defaults()
		require.NoError(t, applyConfig(&o, "f", []byte("[fsfreeze]\n"+text+"\npresync=false\n[vsock]\nallow-cids=2;3\n")))
		require.Len(t, o.warnings, 2)
		require.Contains(t, o.warnings[0], want)
		require.Equal(t, `f, line 5: key "allow-cids" of [vsock]: "2;3" is not a vsock CID: `+
			`give numbers with commas between them, 2 is the host: it is left at its default`, o.warnings[1])
		require.Equal(t, 300*time.Second, o.freeze.timeout)
		require.False(t, o.freeze.presync)
	}
}

func TestReadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("#", maxConfig+1)), 0o600))
	_, err := readConfig(path)
	require.ErrorContains(t, err, "larger than 1048576 bytes")
	require.NoError(t, os.Truncate(path, maxConfig))
	data, err := readConfig(path)
	require.NoError(t, err)
	require.Len(t, data, maxConfig)
}
