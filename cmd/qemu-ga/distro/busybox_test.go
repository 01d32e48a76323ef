package distro

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// inittab is the line that the install page has for such an init.
const inittab = "::respawn:/usr/bin/qemu-ga --retry-path --statedir=/run\n"

// With busybox as process 1 and nobody who makes links to ports, the agent
// finds its port, before and after it comes, and the guest shuts down.
func TestBusyboxInit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	table := filepath.Join(dir, "inittab")
	require.NoError(t, os.WriteFile(table, []byte(inittab), 0o644))
	files := map[string]string{"/etc/inittab": table}
	for _, name := range []string{"init", "poweroff", "halt", "reboot"} {
		link := filepath.Join(dir, name)
		require.NoError(t, os.Symlink("/bin/busybox", link))
		files["/sbin/"+name] = link
	}
	v := vm.Start(t, other(vm.Config{Init: []string{"/sbin/init"}, Files: files}))
	running := func() {
		v.Until(initLimit, "the agent runs", func() bool { return v.Try(atOnce, "pidof", "qemu-ga").Status == 0 })
		require.Equal(t, 1, v.Try(atOnce, "ls", "/dev/virtio-ports").Status)
	}
	running()
	seen := len(v.Events())
	v.HotPlugPort()
	event(v, seen, "VSERPORT_CHANGE", portOpen(true))

	host := hosted(v)
	require.JSONEq(t, "1", string(host.Call("guest-fsfreeze-freeze", nil)))
	require.True(t, v.Accepts(500*time.Millisecond, dataDisk)[0].Blocked)
	require.JSONEq(t, "1", string(host.Call("guest-fsfreeze-thaw", nil)))
	host.Close()
	// The agent and its freezer: the agent that init starts next thaws.
	endsFrozen(t, v, freezeAll, "killall -KILL qemu-ga")

	sleeps(v)
	shutsDown(t, v, running)
}
