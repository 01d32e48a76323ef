package distro

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// A guest's first boot installs the agent by cloud-init; it serves its host
// in that boot and in each that follows, and holds up none that has no port.
func TestCloudInit(t *testing.T) {
	t.Parallel()
	v := vm.StartDebian(t, vm.Debian{
		Variant: vm.CloudInit,
		Config:  vm.Config{Disks: []vm.Disk{{Name: "seed", Seed: noCloud(t, deb(t, oldVersion))}}},
	})
	status := run(t, v, "cloud-init status --long")
	require.Contains(t, status, "status: done", "%s", v.Sh("cat /var/log/cloud-init-output.log"))
	require.Equal(t, "active", v.Systemctl("is-active", unit))
	require.Equal(t, "enabled", v.Systemctl("is-enabled", unit))
	connected(t, v, 0)
	require.Equal(t, "15min", v.Systemctl("show", "-P", "WatchdogUSec", "systemd-journald"))

	seen := len(v.Events())
	v.Reboot()
	v.Ready(bootLimit)
	connected(t, v, seen)

	// It has shown what it had to: the boots that follow are measured without.
	v.Sh("touch /etc/cloud/cloud-init.disabled")
	withoutPort(t, v)
}

// noCloud makes the files of a seed: the user-data that we ship, told to take
// the package from the seed.
func noCloud(t *testing.T, deb string) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../../packaging/cloud-init/user-data")
	require.NoError(t, err)
	const source = "https://example.com/qemu-ga_amd64.deb"
	require.Contains(t, string(data), source)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	return map[string]string{
		"user-data":   write("user-data", strings.Replace(string(data), source, "seed:qemu-ga.deb", 1)),
		"meta-data":   write("meta-data", "instance-id: first\nlocal-hostname: guest\n"),
		"qemu-ga.deb": deb,
	}
}
