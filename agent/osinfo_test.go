package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
)

// captured returns an agent in one of the captured guests.
func captured(t *testing.T, name string) *Agent {
	t.Helper()
	t.Setenv("QGA_OS_RELEASE", "")
	t.Setenv("TZ", "") // puts the old value back in the end
	require.NoError(t, os.Unsetenv("TZ"))
	dir, err := filepath.Abs("../testdata/guests/" + name)
	require.NoError(t, err)
	return New(Config{Root: guest.Root(dir)})
}

// requireWire compares the form that a handler's answer has for a host.
func requireWire(t *testing.T, want string, answer any, err error) {
	t.Helper()
	require.NoError(t, err)
	got, err := json.Marshal(answer)
	require.NoError(t, err)
	require.JSONEq(t, want, string(got))
}

func TestOSInfo(t *testing.T) {
	kernel, err := guest.ReadKernel()
	require.NoError(t, err)
	require.NotEmpty(t, kernel.Release)
	for name, want := range map[string]string{
		"debian12-virtio": `{"id": "debian", "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 12 (bookworm)",
			"version": "12 (bookworm)", "version-id": "12"}`,
		"fedora-btrfs": `{"id": "fedora", "name": "Fedora Linux", "pretty-name": "Fedora Linux 40 (Server Edition)",
			"version": "40 (Server Edition)", "version-id": "40", "variant": "Server Edition", "variant-id": "server"}`,
	} {
		got, err := captured(t, name).osInfo(t.Context(), noArgs{})
		require.Equal(t, kernel.Release, got.KernelRelease)
		require.Equal(t, kernel.Version, got.KernelVersion)
		require.Equal(t, kernel.Machine, got.Machine)
		got.KernelRelease, got.KernelVersion, got.Machine = "", "", ""
		requireWire(t, want, got, err)
	}
}

func TestOSInfoTellsEmptyFromMissing(t *testing.T) {
	a := captured(t, "fedora-btrfs")
	file := filepath.Join(t.TempDir(), "os-release")
	require.NoError(t, os.WriteFile(file, []byte("NAME=\"\"\n"), 0o644))
	t.Setenv("QGA_OS_RELEASE", file)
	a.root = "/"
	got, err := a.osInfo(t.Context(), noArgs{})
	got.KernelRelease, got.KernelVersion, got.Machine = "", "", ""
	requireWire(t, `{"name": ""}`, got, err)
}

func TestHostName(t *testing.T) {
	want, err := os.Hostname()
	require.NoError(t, err)
	got, err := captured(t, "debian12-virtio").hostName(t.Context(), noArgs{})
	require.NoError(t, err)
	require.Equal(t, want, got.HostName)
}
