package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// noConfig is an environment whose configuration file is not there.
func noConfig(name string) string {
	if name == "QGA_CONF" {
		return "/nowhere/qemu-ga.conf"
	}
	return ""
}

// parse parses a command line without a configuration file.
func parse(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parseOptions(args, noConfig, "")
	require.NoError(t, err)
	return o
}

func TestParseOptions(t *testing.T) {
	with := func(change func(*options)) options {
		o := defaults()
		o.path = defaultVirtio
		change(&o)
		return o
	}
	for line, want := range map[string]options{
		"":                                       with(func(*options) {}),
		"-d -v -r":                               with(func(o *options) { o.daemonize, o.verbose, o.retry = true, true, true }),
		"-dvr":                                   with(func(o *options) { o.daemonize, o.verbose, o.retry = true, true, true }),
		"--daemonize --verb --re":                with(func(o *options) { o.daemonize, o.verbose, o.retry = true, true, true }),
		"-m isa-serial":                          with(func(o *options) { o.method, o.path = "isa-serial", defaultSerial }),
		"-vmunix-listen -p/s":                    with(func(o *options) { o.verbose, o.method, o.path = true, "unix-listen", "/s" }),
		"--method=unix-listen --path /s":         with(func(o *options) { o.method, o.path = "unix-listen", "/s" }),
		"-p /a -p /b":                            with(func(o *options) { o.path = "/b" }),
		"-l /l -f /f -t /t":                      with(func(o *options) { o.logFile, o.pidFile, o.stateDir = "/l", "/f", "/t" }),
		"-F":                                     with(func(o *options) { o.hook = defaultHook }),
		"-F/x":                                   with(func(o *options) { o.hook = "/x" }),
		"-vF/x":                                  with(func(o *options) { o.verbose, o.hook = true, "/x" }),
		"--fsfreeze-hook":                        with(func(o *options) { o.hook = defaultHook }),
		"--fsfreeze-hook=/x":                     with(func(o *options) { o.hook = "/x" }),
		"--fsfreeze":                             with(func(o *options) { o.hook = defaultHook }), // as in qemu-ga
		"-b a,b -b c":                            with(func(o *options) { o.block = []string{"a", "b", "c"} }),
		"--blacklist a --block-rpcs=b":           with(func(o *options) { o.block = []string{"a", "b"} }),
		"--bl a":                                 with(func(o *options) { o.block = []string{"a"} }),
		"-a a,,b":                                with(func(o *options) { o.allow = []string{"a", "", "b"} }),
		"--allow-rpcs=":                          with(func(*options) {}),
		"-s install":                             with(func(*options) {}),
		"-D -v":                                  with(func(o *options) { o.mode, o.verbose = dumpConfig, true }),
		"-V --nonsense":                          with(func(o *options) { o.mode, o.path = showVersion, "" }),
		"-h --nonsense":                          with(func(o *options) { o.mode, o.path = showHelp, "" }),
		"-b help -x":                             with(func(o *options) { o.mode, o.path = listCommands, "" }),
		"-a ?":                                   with(func(o *options) { o.mode, o.path = listCommands, "" }),
		"check":                                  with(func(o *options) { o.mode = checkFreeze }),
		"check --json -t /t":                     with(func(o *options) { o.mode, o.json, o.stateDir = checkFreeze, true, "/t" }),
		"thaw --all":                             with(func(o *options) { o.mode, o.all = thawNow, true }),
		"check -m unix-listen":                   with(func(o *options) { o.mode, o.method, o.path = checkFreeze, "unix-listen", "" }),
		"--fsfreeze-timeout=7":                   with(func(o *options) { o.freeze.timeout = 7 * time.Second }),
		"--fsfreeze-window-timeout 7":            with(func(o *options) { o.freeze.window = 7 * time.Second }),
		"--fsfreeze-stall-timeout=7":             with(func(o *options) { o.freeze.stall = 7 * time.Second }),
		"--fsfreeze-hook-timeout=7":              with(func(o *options) { o.freeze.hook = 7 * time.Second }),
		"--fsfreeze-presync=false":               with(func(o *options) { o.freeze.presync = false }),
		"--fsfreeze-expedite 0":                  with(func(o *options) { o.freeze.expedite = false }),
		"--fsfreeze-report-expiry=false":         with(func(o *options) { o.freeze.reportExpiry = false }),
		"--fsfreeze-exc /a --fsfreeze-exc=/b,/c": with(func(o *options) { o.freeze.exclude = []string{"/a", "/b", "/c"} }),
		"--profile=info,freeze-only --profile full": with(func(o *options) { o.profiles = []string{"info", "freeze-only", "full"} }),
		"--unix-allow-uids=1000,1001":               with(func(o *options) { o.allowUIDs = []uint32{1000, 1001} }),
		"--vsock-allow-cids=2,3":                    with(func(o *options) { o.allowCIDs = []uint32{2, 3} }),
		"--exec-allow=/a --exec-allow /b/*,/c":      with(func(o *options) { o.policy.programs = pathsValue{true, []string{"/a", "/b/*", "/c"}} }),
		"--exec-allow=none":                         with(func(o *options) { o.policy.programs = pathsValue{given: true} }),
		"--exec-output-limit=4096":                  with(func(o *options) { o.policy.output = 4096 }),
		"--file-read-limit=50331648":                with(func(o *options) { o.policy.maxRead = 48 << 20 }),
		"--file-read=/a/** --file-write=none": with(func(o *options) {
			o.policy.read, o.policy.write = pathsValue{true, []string{"/a/**"}}, pathsValue{given: true}
		}),
		"--network-max=3 --network-order=kernel": with(func(o *options) { o.network.Max, o.network.KernelOrder = 3, true }),
		"--network-phys=1 --network-ex=a*,b":     with(func(o *options) { o.network.PhysicalOnly, o.network.Exclude = true, []string{"a*", "b"} }),
	} {
		want.config = "/nowhere/qemu-ga.conf"
		require.Equal(t, want, parse(t, strings.Fields(line)...), line)
	}
}

func TestParseOptionsStrayWords(t *testing.T) {
	o := parse(t, "one", "-v", "-", "--", "-d", "chekc")
	require.True(t, o.verbose)
	require.False(t, o.daemonize)
	require.Equal(t, []string{"'one' is no option and is ignored: " + tryHelp}, o.warnings)
}

func TestParseOptionsErrors(t *testing.T) {
	for line, want := range map[string]string{
		"-x":                        "invalid option -- 'x': " + tryHelp,
		"-vx":                       "invalid option -- 'x'",
		"--foo":                     "unrecognized option '--foo': " + tryHelp,
		"--foo=1":                   "unrecognized option '--foo=1'",
		"--ignored x":               "unrecognized option '--ignored'",
		"--ver":                     "option '--ver' is ambiguous; possibilities: '--version' '--verbose': " + tryHelp,
		"--fsfreeze-w --fsfreeze-e": `"--fsfreeze-e" is not a number of seconds`,
		"--fsfreeze-ex":             "option '--fsfreeze-ex' is ambiguous; possibilities: '--fsfreeze-expedite' '--fsfreeze-exclude'",
		"--vsock":                   "option '--vsock-allow-cids' requires an argument",
		"--daemonize=1":             "option '--daemonize' doesn't allow an argument",
		"-m":                        "option requires an argument -- 'm'",
		"--method":                  "option '--method' requires an argument",
		"-m unix-listen":            "must specify a path for this channel: give it with --path",
		"-D -m smoke":               "must specify a path for this channel",
		"--json":                    "unrecognized option '--json'",
		"thaw --json":               "unrecognized option '--json'",
		"thaw /mnt":                 "'/mnt' is no option: " + tryHelp,
		"-c /nowhere/x":             "error loading configuration from path: /nowhere/x, no such file or directory",
		"-c /nowhere/x -V":          "error loading configuration from path: /nowhere/x",
		"--foo -c /nowhere/x":       "error loading configuration from path: /nowhere/x",
		"-c /tmp":                   "error loading configuration from path: /tmp, Not a regular file",
		"--fsfreeze-timeout=0":      `option '--fsfreeze-timeout': "0" is not a number of seconds from 1 to 86400`,
		"--fsfreeze-timeout=1.5":    `"1.5" is not a number of seconds`,
		"--fsfreeze-timeout=86401":  `"86401" is not a number of seconds`,
		"--fsfreeze-timeout=-1":     `"-1" is not a number of seconds`,
		"--fsfreeze-presync=maybe":  `option '--fsfreeze-presync': "maybe" is neither true nor false`,
		"--profile=frieze-only":     `option '--profile': "frieze-only" is not a profile: use freeze-only, info, full`,
		"--profile=":                `option '--profile': "" is not a profile`,
		"--unix-allow-uids=jo":      `option '--unix-allow-uids': "jo" is not a user ID: give numbers`,
		"--vsock-allow-cids=host":   `option '--vsock-allow-cids': "host" is not a vsock CID: give numbers`,
	} {
		_, err := parseOptions(strings.Fields(line), noConfig, "")
		require.ErrorContains(t, err, want, line)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestParseOptionsActivated(t *testing.T) {
	o, err := parseOptions([]string{"-m", "isa-serial", "-p", "/dev/ttyS1"}, noConfig, "unix-listen")
	require.NoError(t, err)
	require.True(t, o.activated)
	require.Equal(t, "unix-listen", o.method)
	require.Empty(t, o.path)
	require.NotContains(t, dump(o), "path=/")
}

func TestParseOptionsConfigOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	env := write("env", "[general]\nmethod=isa-serial\npath=/env\nblock-rpcs=a\n[vsock]\nallow-cids=3\n")
	one := write("one", "[general]\npath=/one\n")
	two := write("two", "[general]\npath=/two\nverbose=true\n")
	getenv := func(name string) string { return map[string]string{"QGA_CONF": env}[name] }

	o, err := parseOptions([]string{"-b", "b", "--vsock-allow-cids=2"}, getenv, "")
	require.NoError(t, err)
	require.Equal(t, "/env", o.path)
	require.Equal(t, []string{"a", "b"}, o.block)
	require.Equal(t, []uint32{3, 2}, o.allowCIDs)

	o, err = parseOptions([]string{"-c", one, "-p", "/line", "-c", two}, getenv, "")
	require.NoError(t, err)
	require.Equal(t, "/line", o.path)
	require.True(t, o.verbose)
	require.Empty(t, o.block)
}

// TestOptionsAndKeysAgree holds the tables together: every key has an option
// and every option with a key finds it.
func TestOptionsAndKeysAgree(t *testing.T) {
	keys := map[[2]string]bool{}
	for _, opt := range optionTable {
		if opt.group != "" {
			require.NotNil(t, findSetting(opt.group, opt.key), opt.long)
			keys[[2]string{opt.group, opt.key}] = true
		}
	}
	for _, s := range settings {
		require.True(t, keys[[2]string{s.group, s.key}], s.key)
	}
	for _, opt := range optionTable {
		if opt.long != "ignored" {
			require.Contains(t, usage, "--"+opt.long)
		}
	}
}

func FuzzParseOptions(f *testing.F) {
	for _, line := range []string{"-dvF/x --path=/s", "--ver", "-b a,b -D", "check --json", "--fsfreeze-timeout 3", "-- -x"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) {
			t.Skip("no argument, or not to be written in a key file")
		}
		args := strings.Split(line, " ")
		for _, arg := range args {
			if strings.HasPrefix(arg, "-c") || strings.HasPrefix(arg, "--c") || strings.HasPrefix(arg, "-") && strings.Contains(arg, "c") {
				t.Skip("reads a file")
			}
		}
		o, err := parseOptions(args, noConfig, "")
		if err != nil {
			return
		}
		// What results can be written and read again.
		o.mode = dumpConfig
		again := defaults()
		require.NoError(t, applyConfig(&again, "", []byte(dump(o))))
		require.Equal(t, dump(o), dump(again))
	})
}
