package distro

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// longFreeze is more than the three minutes after which systemd's watchdog
// kills a service of its own that does not answer.
const longFreeze = 200 * time.Second

// watched are systemd's services with a watchdog. Those that write to the disk
// stand still in a freeze; the drop-in that comes with the agent gives them
// the time.
var watched = []string{
	"systemd-journald", "systemd-timesyncd", "systemd-udevd", "systemd-logind", "systemd-networkd",
}

// witness is a second journal, without the drop-in. Its end shows that the
// freeze was long enough to end the others.
const witness = "systemd-journald@witness"

// A freeze of every filesystem, root too, for longer than systemd's watchdog
// waits, ends no service.
func TestLongFreeze(t *testing.T) {
	t.Parallel()
	v := vm.StartDebian(t, vm.Debian{
		Config: vm.Config{Files: vm.AgentFiles(t), Disks: []vm.Disk{{Name: "data", FS: "xfs"}}},
	})
	v.Systemctl("start", "systemd-networkd", "systemd-timesyncd")
	writeJournal := `i=0; while :; do echo "line $i"; i=$((i+1)); sleep 1; done`
	v.Sh("systemd-run --unit=applog sh -c '" + writeJournal + "'")
	v.Sh("systemd-run --unit=witnesslog -p LogNamespace=witness sh -c '" + writeJournal + "'")
	// Any program that waits for the journal, and one that does not.
	before := map[string]string{}
	for _, unit := range append(watched, witness) {
		require.Equal(t, "active", v.Systemctl("is-active", unit))
		before[unit] = v.Systemctl("show", "-P", "MainPID", unit)
	}
	agent := v.Agent()
	agent.Sync(20 * time.Second)

	require.JSONEq(t, "2", string(agent.Call("guest-fsfreeze-freeze", nil)))
	for start := uptime(v); uptime(v) < start+longFreeze; {
		require.JSONEq(t, `"frozen"`, string(agent.Call("guest-fsfreeze-status", nil)))
		time.Sleep(5 * time.Second) // the freeze is what takes the time
	}
	require.JSONEq(t, "2", string(agent.Call("guest-fsfreeze-thaw", nil)))

	v.Until(time.Minute, "the journal that has no drop-in is killed", func() bool {
		return strings.Contains(v.Sh("journalctl -b --no-pager -u "+witness), "Failed with result 'watchdog'")
	})
	for _, unit := range watched {
		require.Equal(t, before[unit], v.Systemctl("show", "-P", "MainPID", unit), "%s was killed", unit)
		require.Equal(t, "active", v.Systemctl("is-active", unit))
	}
	require.NotContains(t, v.Sh("journalctl -b --no-pager -u systemd-journald"), "corrupted")
	requireNoGap(t, v.Sh("journalctl -b --no-pager -o cat -u applog | grep ^line"))
}

// uptime is how long the guest has run by its own clock, which stands still
// when the guest does.
func uptime(v *vm.VM) time.Duration {
	seconds, _, _ := strings.Cut(v.Sh("cat /proc/uptime"), " ")
	n, _ := strconv.ParseFloat(seconds, 64)
	return time.Duration(n * float64(time.Second))
}

// requireNoGap checks that a service's lines are all in the journal: those too
// that it wrote while the journal's disk was frozen.
func requireNoGap(t *testing.T, lines string) {
	t.Helper()
	got := strings.Fields(strings.ReplaceAll(lines, "line ", ""))
	require.Greater(t, len(got), int(longFreeze.Seconds()/2), "too few lines to tell")
	for i, n := range got {
		require.Equal(t, strconv.Itoa(i), n, "a line of an application is missing")
	}
}
