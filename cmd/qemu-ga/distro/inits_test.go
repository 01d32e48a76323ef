package distro

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// initLimit is for what an init or the firmware does on a very busy machine.
const initLimit = 10 * time.Minute

// dataDisk is what the guests with other inits freeze.
const dataDisk = "/mnt/data"

// other is what all guests have whose init is not systemd. They boot for the
// first time without the agent's port, and as a boot loader does it: they are
// to sleep, too.
func other(config vm.Config) vm.Config {
	config.BzImage, config.NoAgentPort = true, true
	config.Disks = []vm.Disk{{Name: "data", FS: "ext4"}}
	return config
}

// Settings of another version: what is not known is named in the log, and the
// rest counts.
const (
	anotherConf     = "[general]\nblock-rpcs=guest-get-time\n[fsfreeze]\ntomorrows=1\n"
	anotherDefaults = "TOMORROWS=1\nDAEMON_ARGS=\"--block-rpcs=guest-get-users --tomorrows\"\n"
)

// bearsAnother checks that the settings of another version are read as far as
// they are known, and that a log names the rest.
func bearsAnother(t *testing.T, v *vm.VM, log string) {
	t.Helper()
	host := hosted(v)
	defer host.Close()
	for _, blocked := range []string{"guest-get-time", "guest-get-users"} {
		require.Contains(t, host.Fail(blocked, nil).Desc, "has been disabled")
	}
	for _, named := range []string{
		`qemu-ga.conf, line 4: key "tomorrows" of [fsfreeze] is not known and is ignored`,
		"qemu-guest-agent, line 1: variable TOMORROWS is not known and is ignored",
		"qemu-guest-agent, line 2: unrecognized option '--tomorrows'; it is ignored",
	} {
		v.Until(atOnce, "the log names "+named, func() bool { return strings.Contains(v.Sh(log), named) })
	}
}

// event waits for an event of QEMU's after those seen.
func event(v *vm.VM, seen int, name string, data map[string]any) {
	v.Until(initLimit, "the event "+name, func() bool { return v.Happened(seen, name, data) })
}

// portOpen is the event that the agent opens its port, or closes it.
func portOpen(open bool) map[string]any {
	return map[string]any{"id": vm.AgentPortID, "open": open}
}

// afterBoot waits until init's scripts have started everything.
func afterBoot(v *vm.VM) {
	v.Until(bootLimit, "the boot is over", func() bool {
		return v.Try(atOnce, "/bin/sh", "-c", "runlevel | grep -q ' 2$' && ! pgrep -x 'rc|rcS|openrc' >/dev/null").Status == 0
	})
}

// endsFrozen has a command end the agent in some way while what freezes freezes
// is frozen. Nothing is afterwards.
func endsFrozen(t *testing.T, v *vm.VM, freezes func(*testing.T, *vm.VM, *vm.Agent), command string) {
	t.Helper()
	host := hosted(v)
	freezes(t, v, host)
	host.Close()
	run(t, v, command)
	require.True(t, v.Accepts(atOnce, dataDisk)[0].OK, "something is frozen still")
}

// freezeAll freezes all filesystems.
func freezeAll(t *testing.T, v *vm.VM, host *vm.Agent) {
	t.Helper()
	host.Call("guest-fsfreeze-freeze", nil)
	require.True(t, v.Accepts(500*time.Millisecond, dataDisk)[0].Blocked)
}

// sleeps has the guest sleep, and wakes it.
func sleeps(v *vm.VM) {
	host := hosted(v)
	defer host.Close()
	seen := len(v.Events())
	host.Send("guest-suspend-ram", nil) // which has no reply
	event(v, seen, "SUSPEND", nil)
	v.QMP("system_wakeup", nil)
	event(v, seen, "WAKEUP", nil)
	host.Sync(initLimit)
}

// reboots has the guest boot anew by guest-shutdown. between is called when the
// agent has gone.
func reboots(t *testing.T, v *vm.VM, between func()) {
	t.Helper()
	seen := len(v.Events())
	host := hosted(v)
	v.Boots(func() {
		host.Send("guest-shutdown", map[string]any{"mode": "reboot"})
		event(v, seen, "VSERPORT_CHANGE", portOpen(false))
		host.Close()
		between()
	})
	require.True(t, v.Happened(seen, "RESET", map[string]any{"guest": true, "reason": "guest-reset"}))
}

// turnsOff has the guest turn itself off by guest-shutdown.
func turnsOff(v *vm.VM) {
	seen := len(v.Events())
	hosted(v).Send("guest-shutdown", nil)
	event(v, seen, "SHUTDOWN", map[string]any{"guest": true, "reason": "guest-shutdown"})
}

// shutsDown has the guest do what each mode of guest-shutdown says, as the host
// sees it: it boots anew, stands still, and is off. Between, its boots start
// the agent, without the port and with it. booted waits until a boot has
// started everything, and requires that the agent runs.
func shutsDown(t *testing.T, v *vm.VM, booted func()) {
	t.Helper()
	reboots(t, v, v.HotUnplugPort) // the next boot is to be one without the port
	booted()
	seen := len(v.Events())
	v.HotPlugPort()
	event(v, seen, "VSERPORT_CHANGE", portOpen(true))

	host := hosted(v)
	host.Send("guest-shutdown", map[string]any{"mode": "halt"})
	v.Until(initLimit, "the guest stands still", v.Halted)
	host.Close()

	seen = len(v.Events())
	v.Reset()
	event(v, seen, "VSERPORT_CHANGE", portOpen(true))
	turnsOff(v)
}
