package distro

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

const (
	// shortWatchdog replaces the unit's own, for the test.
	shortWatchdog = 10 * time.Second
	// watchdogLimit is for what systemd does about a service that does not
	// answer, on a very busy machine.
	watchdogLimit = 3 * time.Minute
)

// systemd's watchdog leaves an agent alone in a freeze that is longer than it
// waits, ends one that hangs in a freeze, and starts another; what was frozen
// is thawed. And the unit's sandbox is one that SELinux can live with, and the
// settings of another version are borne.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	const unit = "qemu-guest-agent.service"
	v := vm.StartDebian(t, vm.Debian{Config: vm.Config{Files: vm.AgentFiles(t), Disks: []vm.Disk{{Name: "data", FS: "ext4"}}}})
	v.Push("/run/systemd/system/"+unit+".d/watchdog.conf",
		[]byte("[Service]\nWatchdogSec="+shortWatchdog.String()+"\n"), 0o644)
	v.Push("/etc/qemu/qemu-ga.conf", []byte(anotherConf), 0o644)
	v.Push("/etc/default/qemu-guest-agent", []byte(anotherDefaults), 0o644)
	v.Sh("systemctl daemon-reload; systemctl restart " + unit)
	bearsAnother(t, v, "journalctl -b --no-pager -u "+unit)
	pid := v.Systemctl("show", "-P", "MainPID", unit)
	status := v.Sh("cat /proc/" + pid + "/status")
	require.Contains(t, status, "NoNewPrivs:\t0\n")
	require.Contains(t, status, "Seccomp:\t2\n")
	require.Equal(t, v.Sh("readlink /proc/1/ns/mnt"), v.Sh("readlink /proc/"+pid+"/ns/mnt"), "it must see the guest's mounts")

	agent := v.Agent()
	agent.Sync(time.Minute)
	require.JSONEq(t, "2", string(agent.Call("guest-fsfreeze-freeze", nil)))
	for start := uptime(v); uptime(v) < start+2*shortWatchdog; {
		time.Sleep(time.Second) // the freeze is what takes the time
	}
	require.JSONEq(t, "2", string(agent.Call("guest-fsfreeze-thaw", nil)))
	require.Equal(t, pid, v.Systemctl("show", "-P", "MainPID", unit), "killed because of a long freeze")

	require.JSONEq(t, "1", string(agent.Call("guest-fsfreeze-freeze-list", map[string]any{"mountpoints": []string{"/mnt/data"}})))
	agent.Close()
	v.Sh("kill -STOP " + pid)
	v.Until(watchdogLimit, "another agent is started", func() bool {
		now := v.Systemctl("show", "-P", "MainPID", unit)
		return now != pid && now != "0" && v.Systemctl("is-active", unit) == "active"
	})
	require.True(t, v.Accepts(time.Minute, "/mnt/data")[0].OK, "something is frozen still")
	v.Until(time.Minute, "the journal tells of it", func() bool {
		return strings.Contains(v.Sh("journalctl -b --no-pager -u "+unit), "Failed with result 'watchdog'")
	})
}
