package freeze_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
)

// scripts makes a hook directory. Each script notes its name and argument in
// the file calls and then runs its body.
func scripts(t *testing.T, bodies map[string]string) (dir, calls string) {
	t.Helper()
	root := t.TempDir()
	dir, calls = filepath.Join(root, "fsfreeze-hook.d"), filepath.Join(root, "calls")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for name, body := range bodies {
		addScript(t, dir, name, calls, body)
	}
	return dir, calls
}

func addScript(t *testing.T, dir, name, calls, body string) {
	t.Helper()
	script := "#!/bin/sh\necho ${0##*/}:$1 >>" + calls + "\n" + body + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
}

// Scripts run in the order of their names, and backwards afterwards; what is
// no script is left alone. The directory may be named, or the program that is
// not there.
func TestHookDirOrder(t *testing.T) {
	disk := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	dir, calls := scripts(t, map[string]string{
		"20-b": "echo paused; echo for $FSFREEZE_TIMEOUT s", "10-a": "", "30-c": "",
		"40-d.sample": "", "40-d.rpmsave": "", "40-d~": "", ".hidden": "",
	})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("no hook"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "old"), 0o755))
	want := []string{"10-a:freeze", "20-b:freeze", "30-c:freeze", "30-c:thaw", "20-b:thaw", "10-a:thaw"}
	for _, hook := range []string{dir, strings.TrimSuffix(dir, ".d")} {
		var log strings.Builder
		e := engine(t, freeze.Config{
			Hook: hook, Timeout: 90 * time.Second, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		report := requireFreeze(t, e, 1, disk)
		requireCalls(t, calls, want...)
		require.NoError(t, os.Remove(calls))
		require.Len(t, report.Hooks, 3)
		require.Equal(t, "paused\nfor 90 s", report.Hooks[1].Output)
		require.Contains(t, log.String(), "20-b freeze: for 90 s")
	}
}

// A script hides those of its name in later directories, and a file that is
// none does so, too.
func TestHookDirsHide(t *testing.T) {
	disk := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	dir, calls := scripts(t, map[string]string{"20-b": ""})
	vendor, vendorCalls := scripts(t, map[string]string{"10-a": "", "20-b": "", "30-c": ""})
	require.NoError(t, os.Symlink("/dev/null", filepath.Join(dir, "30-c")))
	e := engine(t, freeze.Config{Hook: dir, HookDirs: []string{"/does/not/exist", vendor}})
	requireFreeze(t, e, 1, disk)
	requireCalls(t, calls, "20-b:freeze", "20-b:thaw")
	requireCalls(t, vendorCalls, "10-a:freeze", "10-a:thaw")
	found, err := e.Check()
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(vendor, "10-a"), filepath.Join(dir, "20-b")}, found.Hooks)
}

// A further directory that cannot be read is named, and the freeze goes on.
func TestHookDirUnread(t *testing.T) {
	disk := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	dir, calls := scripts(t, map[string]string{"10-a": ""})
	var log strings.Builder
	e := engine(t, freeze.Config{
		Hook: dir, HookDirs: []string{calls}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, os.WriteFile(calls, nil, 0o600)) // no directory
	requireFreeze(t, e, 1, disk)
	requireCalls(t, calls, "10-a:freeze", "10-a:thaw")
	const want = "cannot read the hook directory"
	require.Contains(t, log.String(), want)
	found, err := e.Check()
	require.NoError(t, err)
	require.False(t, found.Ready)
	require.Contains(t, strings.Join(found.Problems, "\n"), want)
}

// The second of three fails: it and the first are told so, in reverse order,
// the third is not called, and the error names the culprit.
func TestHookDirFails(t *testing.T) {
	disk := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	for _, is := range []struct{ body, want string }{
		{"echo no; exit 3", "20-b freeze: child process has failed to execute fsfreeze hook: no\n"},
		{"sleep 1000 & sleep 1000", "20-b did not end within 1s and was killed"},
		{"kill -9 $$", "20-b freeze: child process has terminated abnormally"},
		{"[ $1 = thaw ] && exit; echo $1 2; exit 1", "20-b freeze: child process has failed to execute fsfreeze hook: freeze 2\n"},
	} {
		dir, calls := scripts(t, map[string]string{"10-a": "", "20-b": is.body, "30-c": ""})
		e := engine(t, freeze.Config{Hook: dir, HookTimeout: time.Second})
		_, err := e.Freeze(t.Context(), freeze.Request{})
		require.ErrorContains(t, err, is.want)
		require.ErrorContains(t, err, dir)
		require.True(t, freezetest.Writable(disk, soon))
		require.Equal(t, freeze.Thawed, e.State())
		requireCalls(t, calls, "10-a:freeze", "20-b:freeze", "20-b:freeze-failed", "20-b:thaw", "10-a:freeze-failed", "10-a:thaw")
	}
}

// All hooks have run, and nothing can be frozen: somebody else has done it.
func TestHookDirFreezeFails(t *testing.T) {
	disk := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	require.NoError(t, freezetest.Freeze(disk))
	dir, calls := scripts(t, map[string]string{"10-a": "", "20-b": ""})
	e := engine(t, freeze.Config{Hook: dir})
	n, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	require.Zero(t, n)
	requireCalls(t, calls, "10-a:freeze", "20-b:freeze", "20-b:freeze-failed", "20-b:thaw", "10-a:freeze-failed", "10-a:thaw")
}

// Each script has the whole limit for itself, and a failing "thaw" of one
// keeps "thaw" from no other.
func TestHookDirThawFails(t *testing.T) {
	disk := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	dir, calls := scripts(t, map[string]string{"10-a": "[ $1 = freeze ]", "20-b": "[ $1 = freeze ] || sleep 1000", "30-c": ""})
	e := engine(t, freeze.Config{Hook: dir, HookTimeout: time.Second})
	_, err := e.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	_, err = e.Thaw(t.Context())
	require.ErrorContains(t, err, "20-b did not end within 1s and was killed")
	require.True(t, freezetest.Writable(disk, soon))
	requireCalls(t, calls, "10-a:freeze", "20-b:freeze", "30-c:freeze", "30-c:thaw", "20-b:thaw", "10-a:thaw")
}

// Nothing that somebody else than root can change is run, and nothing is
// frozen without it.
func TestHookNotTrusted(t *testing.T) {
	disk := mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	for want, spoil := range map[string]func(dir, script string) error{
		"10-a belongs to user 1000; if it is meant to, chown root": func(_, script string) error { return os.Chown(script, 1000, 0) },
		"everybody can write to":                                   func(_, script string) error { return os.Chmod(script, 0o777) },
		"group 50 can write to":                                    func(_, script string) error { return joined(os.Chown(script, 0, 50), os.Chmod(script, 0o775)) },
		"fsfreeze-hook.d (mode 0777)":                              func(dir, _ string) error { return os.Chmod(dir, 0o777) },
		"elsewhere belongs to user 1000": func(dir, script string) error {
			other := filepath.Join(filepath.Dir(dir), "elsewhere")
			return joined(os.Mkdir(other, 0o755), os.Rename(script, filepath.Join(other, "hook")),
				os.Symlink(filepath.Join(other, "hook"), script), os.Chown(other, 1000, 0))
		},
	} {
		dir, calls := scripts(t, map[string]string{"10-a": ""})
		script := filepath.Join(dir, "10-a")
		require.NoError(t, spoil(dir, script), want)
		for _, hook := range []string{dir, script} {
			e := engine(t, freeze.Config{Hook: hook})
			_, err := e.Freeze(t.Context(), freeze.Request{})
			require.ErrorContains(t, err, "cannot run the fsfreeze hook "+script+" as root: ")
			require.ErrorContains(t, err, want)
			require.NoFileExists(t, calls)
			require.True(t, freezetest.Writable(disk, soon))
			found, err := e.Check()
			require.NoError(t, err)
			require.False(t, found.Ready)
			require.Contains(t, strings.Join(found.Problems, "\n"), want)
		}
	}
}

func joined(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A link to nothing is a hook that somebody believes to be there.
func TestHookDirDanglingLink(t *testing.T) {
	mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
	dir, _ := scripts(t, nil)
	require.NoError(t, os.Symlink("/does/not/exist", filepath.Join(dir, "10-a")))
	_, err := engine(t, freeze.Config{Hook: dir}).Freeze(t.Context(), freeze.Request{})
	require.ErrorContains(t, err, "cannot look at a hook: stat "+filepath.Join(dir, "10-a"))
}
