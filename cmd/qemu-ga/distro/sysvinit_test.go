package distro

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// With sysvinit as process 1, the package's init script starts the agent when
// it is installed and in every boot, and thaws whatever the script does.
func TestSysVinit(t *testing.T) {
	t.Parallel()
	v := vm.StartDebian(t, vm.Debian{
		Variant: vm.SysVinit, NoWait: true,
		Config: other(vm.Config{
			Files: map[string]string{"/var/tmp/qemu-ga.deb": deb(t, oldVersion)},
		}),
	})
	afterBoot(v)
	require.Equal(t, "init\n", v.Sh("cat /proc/1/comm"))
	v.Mount(vm.Disk{Name: "data", FS: "ext4"})

	v.Push("/etc/qemu/qemu-ga.conf", []byte(anotherConf), 0o644)
	v.Push("/etc/default/qemu-guest-agent", []byte(anotherDefaults), 0o644)
	run(t, v, "dpkg --install --force-confold /var/tmp/qemu-ga.deb")
	run(t, v, "service qemu-guest-agent status")
	seen := len(v.Events())
	v.HotPlugPort()
	connected(t, v, seen)
	bearsAnother(t, v, "cat /var/log/*log 2>/dev/null || true")

	endsFrozen(t, v, freezeAll, "service qemu-guest-agent restart")
	told := hosted(v)
	require.Contains(t, told.Fail("guest-fsfreeze-thaw", nil).Desc, "fsfreeze is limited to the life of the agent")
	told.Close()
	endsFrozen(t, v, freezeAll, "service qemu-guest-agent stop")
	require.Equal(t, 1, v.Try(atOnce, "pgrep", "qemu-ga").Status, "something runs still")
	run(t, v, "service qemu-guest-agent start")

	endsFrozen(t, v, freezeData, "dpkg --purge qemu-ga")
	require.Equal(t, 1, v.Try(atOnce, "pgrep", "qemu-ga").Status, "something runs still")
	require.Empty(t, v.Sh("ls -d /etc/rc?.d/*qemu* /etc/init.d/qemu* /etc/qemu /run/qga* /run/qemu-ga* 2>/dev/null || true"))
	run(t, v, "dpkg --install /var/tmp/qemu-ga.deb")

	sleeps(v)
	shutsDown(t, v, func() {
		afterBoot(v)
		run(t, v, "service qemu-guest-agent status")
	})
}
