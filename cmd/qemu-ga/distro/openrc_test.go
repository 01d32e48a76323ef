package distro

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// OpenRC runs the init script of our deb, and the service of our apk with its
// supervisor: at every boot, and again when it is killed. Its own scripts wait
// for a frozen root, which must not keep them from thawing it.
func TestOpenRC(t *testing.T) {
	t.Parallel()
	v := vm.StartDebian(t, vm.Debian{
		Variant: vm.OpenRC, NoWait: true,
		Config: other(vm.Config{
			Files: map[string]string{"/var/tmp/qemu-ga.deb": deb(t, oldVersion), "/var/tmp/qemu-ga.apk": apk(t)},
		}),
	})
	afterBoot(v)
	v.Mount(vm.Disk{Name: "data", FS: "ext4"})

	run(t, v, "dpkg --install /var/tmp/qemu-ga.deb")
	inDefaultRunlevel(t, v)
	seen := len(v.Events())
	v.HotPlugPort()
	connected(t, v, seen)
	endsFrozen(t, v, freezeAll, "rc-service qemu-guest-agent restart")
	endsFrozen(t, v, freezeData, "dpkg --purge qemu-ga")
	require.NotContains(t, v.Sh("rc-update show"), "qemu-guest-agent")

	// What apk does: files, then the script.
	seen = len(v.Events())
	run(t, v, "tar -xzf /var/tmp/qemu-ga.apk -C / && sh /.post-install")
	inDefaultRunlevel(t, v)
	connected(t, v, seen)
	endsFrozen(t, v, freezeAll, "rc-service qemu-guest-agent restart")
	endsFrozen(t, v, freezeAll, "pkill -KILL -x qemu-ga")
	endsFrozen(t, v, freezeAll, "rc-service qemu-guest-agent stop")
	require.Equal(t, 1, v.Try(atOnce, "pgrep", "qemu-ga").Status, "something runs still")
	run(t, v, "rc-service qemu-guest-agent start")

	// What the guest runs to shut down is sysvinit's; OpenRC stops the service,
	// and starts it.
	reboots(t, v, func() { seen = len(v.Events()) }) // so that the next start is the next boot's
	event(v, seen, "VSERPORT_CHANGE", portOpen(true))
	turnsOff(v)
}

// inDefaultRunlevel requires that the service is started at every boot, and
// runs.
func inDefaultRunlevel(t *testing.T, v *vm.VM) {
	t.Helper()
	run(t, v, "rc-service qemu-guest-agent status")
	require.Contains(t, v.Sh("rc-update show default"), "qemu-guest-agent")
}
