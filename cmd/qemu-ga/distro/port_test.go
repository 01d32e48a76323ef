package distro

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// unit is the agent's.
const unit = "qemu-guest-agent.service"

// atOnce is what takes no time to speak of, on a very busy machine.
const atOnce = 45 * time.Second

// Where an agent's unit waits for the port's device, it waits for as long as
// systemd lets units take to start: 90 seconds, but in this guest patientConf
// makes it longer than any machine is slow. waitless is half of that.
const (
	patientConf = "[Manager]\nDefaultTimeoutStartSec=20min\n"
	waitless    = 10 * time.Minute
)

// bootLimit is for a boot on a very busy machine.
const bootLimit = 20 * time.Minute

// started is how long the last start of the agent took, by systemd's clock.
func started(v *vm.VM) time.Duration {
	return since(v, "show", unit, "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
}

// booted is how long systemd took to start everything in this boot.
func booted(v *vm.VM) time.Duration {
	return since(v, "show", "", "UserspaceTimestampMonotonic", "FinishTimestampMonotonic")
}

// since is the time between two of systemd's moments.
func since(v *vm.VM, verb, name, from, to string) time.Duration {
	moment := func(property string) time.Duration {
		args := []string{verb, "-P", property}
		if name != "" {
			args = append(args, name)
		}
		microseconds, _ := strconv.ParseInt(v.Systemctl(args...), 10, 64)
		return time.Duration(microseconds) * time.Microsecond
	}
	return moment(to) - moment(from)
}

// connected waits until the host sees the agent open its port, and has the
// agent freeze and thaw the guest.
func connected(t *testing.T, v *vm.VM, seen int) {
	t.Helper()
	v.WaitEvent(seen, "VSERPORT_CHANGE", map[string]any{"id": vm.AgentPortID, "open": true})
	agent := v.Agent()
	defer agent.Close()
	agent.Sync(atOnce)
	frozen := strings.TrimSpace(string(agent.Call("guest-fsfreeze-freeze", nil)))
	require.NotEqual(t, "0", frozen)
	require.True(t, v.Accepts(500*time.Millisecond, "/")[0].Blocked)
	require.Equal(t, frozen, strings.TrimSpace(string(agent.Call("guest-fsfreeze-thaw", nil))))
	require.True(t, v.Accepts(atOnce, "/")[0].OK)
}

// withoutPort boots a guest whose agent is installed without the agent's
// port, and plugs the port in later.
func withoutPort(t *testing.T, v *vm.VM) {
	v.Push("/etc/systemd/system.conf.d/patient.conf", []byte(patientConf), 0o644)
	v.HotUnplugPort()
	v.Reboot()
	v.Ready(bootLimit)
	require.Equal(t, "active", v.Systemctl("is-active", unit))
	require.Less(t, started(v), waitless, "the unit waits for the port")
	without := booted(v)

	v.Systemctl("disable", "--now", unit)
	start := time.Now()
	v.Systemctl("enable", "--now", unit)
	t.Logf("without a port: started in %v, systemctl enable --now in %v", started(v), time.Since(start))

	seen := len(v.Events())
	v.HotPlugPort()
	connected(t, v, seen)

	v.HotUnplugPort()
	v.Systemctl("mask", unit)
	v.Reboot()
	v.Ready(bootLimit)
	masked := booted(v)
	v.Systemctl("unmask", unit)
	v.HotPlugPort()
	t.Logf("systemd starts everything in %v without the port, in %v with the unit masked", without, masked)
	require.Less(t, without, masked+waitless, "without its port, the agent holds up the boot")
}
