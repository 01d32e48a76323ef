package distro

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// Settings and hooks that an administrator has made for the distribution's
// agent.
const (
	generalConf = "[general]\nblacklist=guest-get-time\n"
	defaults    = "DAEMON_ARGS=\"-F/etc/qemu/fsfreeze-hook\"\n"
	appHook     = "#!/bin/sh\necho $1 >>/run/hook-calls\n"
)

// packageLimit is for what dpkg, or cloud-init, does on a very busy machine.
const packageLimit = 10 * time.Minute

// Our package takes the place of Debian's with its settings and hooks, is
// upgraded and removed, and whatever was frozen meanwhile is not any more.
func TestReplaceDistroAgent(t *testing.T) {
	t.Parallel()
	v := vm.StartDebian(t, vm.Debian{
		Variant: vm.DistroAgent,
		Config: vm.Config{
			Disks: []vm.Disk{{Name: "data", FS: "ext4"}},
			Files: map[string]string{"/var/tmp/old.deb": deb(t, oldVersion), "/var/tmp/new.deb": deb(t, newVersion)},
		},
	})
	v.Push("/etc/qemu/qemu-ga.conf", []byte(generalConf), 0o644)
	v.Push("/etc/default/qemu-guest-agent", []byte(defaults), 0o644)
	v.Push("/etc/qemu/fsfreeze-hook.d/app", []byte(appHook), 0o755)
	v.Sh("echo '# mine' >>/etc/qemu/fsfreeze-hook")
	// It does not stop when it is told to while something is frozen: systemd
	// gives up on it after a minute and a half, here after five seconds.
	v.Push("/run/systemd/system/"+unit+".d/stop.conf", []byte("[Service]\nTimeoutStopSec=5\n"), 0o644)
	v.Sh("systemctl daemon-reload; systemctl restart " + unit)
	host := hosted(v)

	t.Run("in place of Debian's, while frozen", func(t *testing.T) {
		v := v.In(t)
		freezeData(t, v, host)
		host.Close()
		seen := len(v.Events())
		install(t, v, "/var/tmp/old.deb")
		require.True(t, v.Accepts(atOnce, "/mnt/data")[0].OK, "something is frozen still")
		require.Equal(t, "ii", v.Sh("dpkg-query -W -f '${db:Status-Abbrev}' qemu-ga | tr -d ' '"))
		require.Equal(t, "rc", v.Sh("dpkg-query -W -f '${db:Status-Abbrev}' qemu-guest-agent | tr -d ' '"))
		require.Equal(t, "active", v.Systemctl("is-active", unit))
		require.Equal(t, "1", strings.TrimSpace(v.Sh("pgrep -c qemu-ga")))
		settled(t, v)
		v.Sh("rm -f /run/hook-calls")
		connected(t, v, seen)
		require.Equal(t, "freeze\nthaw\n", v.Sh("cat /run/hook-calls"))
	})
	t.Run("upgraded while a disk is frozen", func(t *testing.T) {
		v := v.In(t)
		host := hosted(v)
		freezeData(t, v, host)
		host.Close()
		install(t, v, "/var/tmp/new.deb")
		require.True(t, v.Accepts(atOnce, "/mnt/data")[0].OK, "something is frozen still")
		require.Equal(t, newVersion, versionOf(v))
		settled(t, v)
	})

	t.Run("upgraded while everything is frozen", func(t *testing.T) {
		v := v.In(t)
		host := hosted(v)
		v.Sh("rm -f /run/hook-calls")
		require.JSONEq(t, "2", string(host.Call("guest-fsfreeze-freeze", nil)))
		v.StartProgram("dpkg", "dpkg", "--install", "--force-confold", "/var/tmp/new.deb")
		// dpkg waits for the disk, as every program does; the freeze goes on.
		require.True(t, v.Wait("dpkg", 3*time.Second).Running)
		require.JSONEq(t, `"frozen"`, string(host.Call("guest-fsfreeze-status", nil)))
		require.JSONEq(t, "2", string(host.Call("guest-fsfreeze-thaw", nil)))
		host.Close()
		ended := v.Wait("dpkg", packageLimit)
		require.Equal(t, "exit status 0", ended.Status, "%s", ended.Output)
		require.Equal(t, "freeze\nthaw\n", v.Sh("cat /run/hook-calls"))
		settled(t, v)
	})

	t.Run("removed while a disk is frozen", func(t *testing.T) {
		v := v.In(t)
		host := hosted(v)
		freezeData(t, v, host)
		host.Close()
		seen := len(v.Events())
		run(t, v, "apt-get remove --yes qemu-ga")
		require.True(t, v.Accepts(atOnce, "/mnt/data")[0].OK, "something is frozen still")
		v.WaitEvent(seen, "VSERPORT_CHANGE", map[string]any{"id": vm.AgentPortID, "open": false})
		require.Equal(t, 1, v.Try(atOnce, "pgrep", "qemu-ga").Status, "something runs still")
		require.Empty(t, v.Sh("ls /run/qga.state* 2>/dev/null || true"))
		require.Equal(t, generalConf, string(v.Pull("/etc/qemu/qemu-ga.conf")))
		run(t, v, "dpkg --purge qemu-ga")
		require.NotZero(t, v.Try(atOnce, "systemctl", "cat", unit).Status, "a unit is left")
	})
}

// hosted connects to the agent that runs now.
func hosted(v *vm.VM) *vm.Agent {
	host := v.Agent()
	host.Sync(atOnce)
	return host
}

// versionOf is the version of our package that is installed.
func versionOf(v *vm.VM) string {
	version := v.Sh("dpkg-query -W -f '${Version}' qemu-ga")
	version, _, _ = strings.Cut(version, "-")
	return version
}

// settled checks that the administrator's settings are there and count.
func settled(t *testing.T, v *vm.VM) {
	t.Helper()
	require.Equal(t, generalConf, string(v.Pull("/etc/qemu/qemu-ga.conf")))
	require.Equal(t, defaults, string(v.Pull("/etc/default/qemu-guest-agent")))
	require.Equal(t, appHook, string(v.Pull("/etc/qemu/fsfreeze-hook.d/app")))
	require.Contains(t, string(v.Pull("/etc/qemu/fsfreeze-hook")), "# mine")
	agent := hosted(v)
	defer agent.Close()
	require.Equal(t, "CommandNotFound", agent.Fail("guest-get-time", nil).Class)
}

// freezeData freezes the disk that the package manager does not need.
func freezeData(t *testing.T, v *vm.VM, host *vm.Agent) {
	t.Helper()
	require.JSONEq(t, "1", string(host.Call("guest-fsfreeze-freeze-list", map[string]any{"mountpoints": []string{dataDisk}})))
	require.True(t, v.Accepts(500*time.Millisecond, dataDisk)[0].Blocked)
}

// install installs a package as an administrator does, and takes no question
// for an answer.
func install(t *testing.T, v *vm.VM, file string) {
	t.Helper()
	run(t, v, "apt-get install --yes -o Dpkg::Options::=--force-confold "+file)
}

// run runs a command that may take its time, and returns what it wrote.
func run(t *testing.T, v *vm.VM, command string) string {
	t.Helper()
	ran := v.Try(packageLimit, "/bin/sh", "-c", "DEBIAN_FRONTEND=noninteractive "+command)
	require.False(t, ran.TimedOut, "%s does not end: %s", command, ran.Output)
	require.Zero(t, ran.Status, "%s: %s", command, ran.Output)
	return ran.Output
}
