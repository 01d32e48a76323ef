package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
)

// fakeSbin returns an agent in a guest whose /sbin holds the named programs.
// All they do is to write down how they were called, in the file told returns,
// and to carry on with the script.
func fakeSbin(t *testing.T, script string, programs ...string) (a *Agent, told func() string) {
	t.Helper()
	root := t.TempDir()
	called := filepath.Join(root, "called")
	require.NoError(t, os.Mkdir(filepath.Join(root, "sbin"), 0o755))
	for _, p := range programs {
		text := "#!/bin/sh\nprintf '%s' \"${0##*/}\" > " + called + "\n" +
			"for a; do printf ' [%s]' \"$a\" >> " + called + "; done\n" + script + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(root, "sbin", p), []byte(text), 0o755))
	}
	return New(Config{Root: guest.Root(root)}), func() string {
		text, _ := os.ReadFile(called)
		return string(text)
	}
}

func mode(m string) shutdownArgs { return shutdownArgs{Mode: &m} }

func TestShutdownRunsTheProgramOfTheMode(t *testing.T) {
	a, told := fakeSbin(t, "", "poweroff", "halt", "reboot", "shutdown")
	for _, c := range []struct {
		args shutdownArgs
		want string
	}{
		{shutdownArgs{}, "poweroff"},
		{mode("powerdown"), "poweroff"},
		{mode("halt"), "halt"},
		{mode("reboot"), "reboot"},
	} {
		_, err := a.shutdown(t.Context(), c.args)
		require.NoError(t, err)
		require.Equal(t, c.want, told())
	}
}

func TestShutdownFallsBackToShutdown(t *testing.T) {
	a, told := fakeSbin(t, "", "shutdown")
	for m, flag := range map[string]string{"powerdown": "-P", "halt": "-H", "reboot": "-r"} {
		_, err := a.shutdown(t.Context(), mode(m))
		require.NoError(t, err)
		require.Equal(t, "shutdown [-h] ["+flag+"] [+0] [hypervisor initiated shutdown]", told())
	}
}

// sysvinit's halt(8) runs `shutdown -h now`, which means to power off.
func TestShutdownHaltsWithSysVinit(t *testing.T) {
	a, told := fakeSbin(t, "", "poweroff", "halt", "reboot", "shutdown")
	run := filepath.Join(string(a.root), "run")
	require.NoError(t, os.Mkdir(run, 0o755))
	require.NoError(t, unix.Mkfifo(filepath.Join(run, "initctl"), 0o600))
	for m, want := range map[string]string{
		"halt": "shutdown [-h] [-H] [+0] [hypervisor initiated shutdown]", "powerdown": "poweroff", "reboot": "reboot",
	} {
		_, err := a.shutdown(t.Context(), mode(m))
		require.NoError(t, err)
		require.Equal(t, want, told())
	}
	// systemd has that FIFO, too.
	require.NoError(t, os.MkdirAll(filepath.Join(run, "systemd/system"), 0o755))
	_, err := a.shutdown(t.Context(), mode("halt"))
	require.NoError(t, err)
	require.Equal(t, "halt", told())
}

func TestShutdownErrors(t *testing.T) {
	a, told := fakeSbin(t, "echo Access denied >&2; exit 1", "poweroff")
	_, err := a.shutdown(t.Context(), shutdownArgs{})
	require.EqualError(t, err, "child process has failed to shutdown: Access denied\n")

	require.NoError(t, os.Remove(filepath.Join(string(a.root), "called")))
	for _, m := range []string{"", "Halt", "suspend"} {
		_, err = a.shutdown(t.Context(), mode(m))
		require.ErrorContains(t, err, "mode is invalid (valid values are: halt|powerdown|reboot")
	}
	require.Empty(t, told(), "something was run")

	_, err = a.shutdown(t.Context(), mode("halt"))
	require.EqualError(t, err,
		"child process has failed to shutdown: failed to exec '/sbin/shutdown': No such file or directory\n")
}
