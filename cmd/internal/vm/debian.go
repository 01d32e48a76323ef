package vm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm/control"
)

// Debian is what a full guest is made of: Debian 12 on an ext4 root disk, with
// systemd as process 1, udev, D-Bus, and the kernel of all test guests. Of
// Config, Modules, Programs and Reference are of no use here: udev loads
// modules, and the rest are packages of a Variant.
//
// Config.Files are put into the system when it boots for the first time, with
// the permissions they have on the host; Push and Pull do the same later. What
// AgentFiles returns makes our agent one of its services.
type Debian struct {
	Config
	// Variant is the image the guest starts from. Its own changes stay in an
	// overlay that goes with the test.
	Variant Variant
	// NoWait has StartDebian return when the guest can be called, before
	// systemd has started anything. Ready then waits for the rest.
	NoWait bool
}

// RootDisk is the name of the disk with a Debian guest's system, among the
// names of Snapshot and ImageFile.
const RootDisk = "root"

// systemLimit is how long systemd may take to start everything.
const systemLimit = 10 * time.Minute

// debianCommandLine is the kernel's. A guest that panics stands still, for its
// console to be read.
const debianCommandLine = commandLine + "systemd.show_status=1 "

// StartDebian boots a full guest and waits until systemd has started
// everything, whatever became of it: Ready tells, and so does
// Systemctl("--failed"). The first call for a variant makes its image. The
// calls that StartDebian's guest answers are those of Start's, by a process
// that lies in memory and is none of systemd's services: it answers while
// every filesystem is frozen, from the first moment of a boot to the last of
// a shutdown. It runs as root, under SELinux in the kernel's own domain.
//
// If the test fails, the end of the guest's console and journal is printed.
func StartDebian(t testing.TB, d Debian) *VM {
	t.Helper()
	Tools(t, "qemu-system-x86_64")
	takeTurn(t)
	if d.MemoryMiB == 0 {
		d.MemoryMiB = 1024
	}
	backing := d.Variant.Image(t)
	v, listener := prepare(t, d.Config)
	overlay := &image{
		disk: Disk{Name: RootDisk}, node: RootDisk, path: v.path(RootDisk + ".qcow2"), format: "qcow2",
	}
	runTool(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", "raw", overlay.path)
	v.images[RootDisk] = overlay
	v.debianInitramfs(d)
	v.power(listener, d.Config, "-append", audited(debianCommandLine+d.KernelArgs),
		"-blockdev", toJSON(t, overlay.blockdev()), "-device", toJSON(t, overlay.device()))
	t.Cleanup(v.explain)
	v.boot(Config{})
	if !d.NoWait {
		v.Ready(systemLimit)
		for _, disk := range d.Disks {
			if disk.FS != "" && disk.Device == nil {
				v.Mount(disk)
			}
		}
	}
	return v
}

// debianInitramfs writes what mounts the system.
func (v *VM) debianInitramfs(d Debian) {
	v.t.Helper()
	a := newArchive()
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp"} {
		a.dir(dir)
	}
	a.device("dev/console", 5, 1)
	a.device("dev/null", 1, 3)
	a.file("init", Build(v.t, "./cmd/internal/vm/guestinit"))
	for path, source := range d.Files {
		addTree(v.t, a, filepath.Join(control.Files, path), source)
	}
	modules := addModules(v.t, a, Config{Modules: []string{"ext4"}})
	data, err := json.Marshal(control.BootConfig{Modules: modules, Root: RootDisk})
	require.NoError(v.t, err)
	a.text(control.Boot, string(data))
	require.NoError(v.t, a.save(v.path("initramfs")))
}

// AgentFiles are, for Config.Files, our agent, its unit, enabled, and the
// drop-ins that come with it.
func AgentFiles(t testing.TB) map[string]string {
	t.Helper()
	systemd := filepath.Join(root(), "packaging/systemd")
	unit := filepath.Join(systemd, "qemu-guest-agent.service")
	patient := filepath.Join(systemd, "journal-watchdog.conf")
	wanted := filepath.Join(t.TempDir(), "wanted")
	require.NoError(t, os.Symlink("/etc/systemd/system/qemu-guest-agent.service", wanted))
	return map[string]string{
		AgentPath: Build(t, "./cmd/qemu-ga"),
		"/etc/systemd/system/qemu-guest-agent.service":                         unit,
		"/etc/systemd/system/multi-user.target.wants/qemu-guest-agent.service": wanted,

		"/etc/systemd/system/systemd-journald.service.d/qemu-guest-agent.conf":  patient,
		"/etc/systemd/system/systemd-timesyncd.service.d/qemu-guest-agent.conf": patient,
	}
}

// Ready waits until systemd has started everything and returns its state:
// "running", or "degraded" if a unit has failed.
func (v *VM) Ready(limit time.Duration) string {
	v.t.Helper()
	state := ""
	v.Until(limit, "systemd has started everything", func() bool {
		ran := v.Try(limit, "systemctl", "is-system-running", "--wait")
		state = strings.TrimSpace(ran.Stdout)
		return state == "running" || state == "degraded"
	})
	return state
}

// Systemctl runs systemctl, which must succeed, and returns what it wrote to
// its standard output.
func (v *VM) Systemctl(args ...string) string {
	v.t.Helper()
	ran := v.Try(3*time.Minute, append([]string{"systemctl"}, args...)...)
	require.False(v.t, ran.TimedOut, "systemctl %s does not end", strings.Join(args, " "))
	require.Zero(v.t, ran.Status, "systemctl %s: %s", strings.Join(args, " "), ran.Output)
	return strings.TrimSpace(ran.Stdout)
}

// Reboot reboots a Debian guest as its administrator does, and waits until it
// can be called again; Ready waits for the rest.
func (v *VM) Reboot() {
	v.t.Helper()
	v.Boots(func() { v.Systemctl("reboot", "--no-block") })
}

// Reset boots a guest anew as its reset button does.
func (v *VM) Reset() {
	v.t.Helper()
	v.Boots(func() { v.QMP("system_reset", nil) })
}

// Boots does what has the guest boot anew, and waits until it can be called
// again.
func (v *VM) Boots(reboot func()) {
	v.t.Helper()
	for len(v.control.up) > 0 {
		<-v.control.up // an earlier boot's
	}
	reboot()
	require.NoError(v.t, v.control.greeted(2*bootLimit), "the guest does not boot anew")
}

// Push writes a file in the guest, with the directories above it.
func (v *VM) Push(path string, data []byte, mode os.FileMode) {
	v.t.Helper()
	call[struct{}](v, time.Minute, control.MethodPut, control.File{Path: path, Mode: uint32(mode), Data: data})
}

// PushFile writes a file of the host's into the guest, with its permissions.
func (v *VM) PushFile(path, source string) {
	v.t.Helper()
	data, err := os.ReadFile(source)
	require.NoError(v.t, err)
	info, err := os.Stat(source)
	require.NoError(v.t, err)
	v.Push(path, data, info.Mode().Perm())
}

// Pull reads a file of the guest.
func (v *VM) Pull(path string) []byte {
	v.t.Helper()
	return call[control.File](v, time.Minute, control.MethodGet, control.Path{Path: path}).Data
}

// explain shows what the guest's journal says, if the test has failed.
func (v *VM) explain() {
	if !v.t.Failed() {
		return
	}
	var ran control.Ran
	args := control.Run{Argv: []string{"journalctl", "-b", "--no-pager", "-n", "100"}, TimeoutMS: 10_000}
	if err := v.control.call(2*commandLimit, control.MethodRun, args, &ran); err != nil {
		v.t.Logf("the guest's journal cannot be read: %v", err)
		return
	}
	v.t.Logf("the end of the guest's journal:\n%s", ran.Output)
}
