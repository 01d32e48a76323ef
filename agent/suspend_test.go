package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// suspenders makes a guest with programs that note how they are called, and
// with a kernel that can do what states says.
func suspenders(t *testing.T, states string, programs map[string]string) (a *Agent, told func() string) {
	t.Helper()
	t.Setenv("PATH", "/sbin")
	a, told = fakeSbin(t, "")
	for name, script := range programs {
		text := "#!/bin/sh\necho \"${0##*/} $*\" >> \"${0%/*}/../called\"\n" + script + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(string(a.root), "sbin", name), []byte(text), 0o755))
	}
	if states != "" {
		require.NoError(t, os.MkdirAll(filepath.Join(string(a.root), "sys/power"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(string(a.root), "sys/power/state"), []byte(states), 0o644))
	}
	return a, told
}

func state(t *testing.T, a *Agent) string {
	t.Helper()
	return string(contents(t, filepath.Join(string(a.root), "sys/power/state")))
}

func TestSuspendBySystemd(t *testing.T) {
	a, told := suspenders(t, "freeze mem disk\n", map[string]string{"systemctl": "[ \"$1\" != status ] || exit 3"})
	for name, want := range map[string]string{
		"guest-suspend-disk":   "systemctl status systemd-hibernate\nsystemctl hibernate\n",
		"guest-suspend-ram":    "systemctl status systemd-suspend\nsystemctl suspend\n",
		"guest-suspend-hybrid": "systemctl status systemd-hybrid-sleep\nsystemctl hybrid-sleep\n",
	} {
		require.JSONEq(t, `{"return": {}}`, answered(t, a, name, ""))
		require.Equal(t, want, told())
		require.NoError(t, os.Remove(filepath.Join(string(a.root), "called")))
		require.True(t, a.byName[name].is(silent))
	}
	require.Equal(t, "freeze mem disk\n", state(t, a))
}

func TestSuspendByPMUtils(t *testing.T) {
	a, told := suspenders(t, "freeze mem disk\n", map[string]string{
		"systemctl": "exit 4", "pm-is-supported": "", "pm-suspend": "", "pm-hibernate": "exit 1",
	})
	require.JSONEq(t, `{"return": {}}`, answered(t, a, "guest-suspend-ram", ""))
	require.Equal(t, "systemctl status systemd-suspend\npm-is-supported --suspend\npm-suspend \n", told())
	require.Equal(t, "freeze mem disk\n", state(t, a))

	// One that fails leaves it to the next: the kernel.
	require.JSONEq(t, `{"return": {}}`, answered(t, a, "guest-suspend-disk", ""))
	require.Equal(t, "diskze mem disk\n", state(t, a), "written without truncation")
}

func TestSuspendErrors(t *testing.T) {
	const none = "the requested suspend mode is not supported by the guest"
	a, _ := suspenders(t, "", nil)
	for _, name := range []string{"guest-suspend-disk", "guest-suspend-ram", "guest-suspend-hybrid"} {
		require.Contains(t, answered(t, a, name, ""), none)
	}
	a, _ = suspenders(t, "freeze\n", nil)
	require.Contains(t, answered(t, a, "guest-suspend-ram", ""), none)

	// qemu-ga says nothing at all then, as if it had worked.
	a, _ = suspenders(t, "freeze\n", map[string]string{"systemctl": "[ \"$1\" != status ] || exit 3\necho no swap; exit 1"})
	require.Contains(t, answered(t, a, "guest-suspend-disk", ""),
		`child process has failed to suspend: systemctl hibernate: no swap\n`)
}
