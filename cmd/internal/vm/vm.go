package vm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm/control"
)

// Config is what a guest is made of.
type Config struct {
	// MemoryMiB is 512 if 0, and 1024 for a Debian guest.
	MemoryMiB int
	// CPUs is 2 if 0.
	CPUs int
	// Disks are there when the guest boots.
	Disks []Disk
	// Controllers are what disks with a Device are plugged into, as QEMU's
	// device_add has them.
	Controllers []map[string]any
	// Modules are kernel modules to load beyond what the disks need.
	Modules []string
	// Programs are programs of the host that the guest has, too.
	Programs []string
	// Reference makes the real qemu-ga the guest's agent instead of ours.
	Reference bool
	// Files are files and directories of the host by their path in the guest.
	Files map[string]string
	// NoAgentPort leaves the agent's port out until HotPlugPort.
	NoAgentPort bool
	// Vsock is the guest's vsock device, if it has one.
	Vsock *VsockDevice
	// KernelArgs are further words for the kernel's command line, such as
	// "security=selinux enforcing=1" or "systemd.mask=foo.service".
	KernelArgs string
	// Init is a program of a scratch guest, with its arguments, that is its
	// process 1 instead of ours. Nobody then makes links to the ports by their
	// names, and the guest may reboot.
	Init []string
	// BzImage boots the kernel as a boot loader would: slower, but needed to
	// suspend the guest.
	BzImage bool
}

// VM is a running guest, as one test sees it.
type VM struct {
	*machine
	t testing.TB
}

// machine is a running guest.
type machine struct {
	dir        string
	hypervisor *exec.Cmd
	exited     chan struct{}
	monitor    *monitor
	control    *caller
	images     map[string]*image
	shots      int
	// agent is the agent's program in the guest.
	agent    string
	agentPID int
}

// bootLimit is how long a guest may take to boot on a busy machine.
const bootLimit = 5 * time.Minute

// translatedMiB bounds the code that QEMU keeps translated. What an earlier boot
// has left there is looked through with each write over it, for minutes if
// there is much; less than this makes the first boot slower.
const translatedMiB = 128

// commandLine leaves out of the boot what costs time and tests nothing here.
// The kernel must go on checking its clocks, though: on a busy machine it
// measures the TSC wrongly and has to find out. The one check left out is of the
// timer's interrupt, which has to come in time there, or the guest panics.
const commandLine = "console=ttyS0 quiet no_timer_check mitigations=off nokaslr audit=0 " +
	"random.trust_cpu=on cryptomgr.notests rdinit=/init "

// Start boots a guest and waits until its init answers and its disks are
// mounted. The guest ends with the test.
func Start(t testing.TB, config Config) *VM {
	t.Helper()
	Tools(t, "qemu-system-x86_64")
	takeTurn(t)
	v, listener := prepare(t, config)
	initramfs(t, config, v.path("initramfs"))
	options := []string{"-no-reboot", "-append", audited(commandLine + "panic=-1 " + config.KernelArgs)}
	if len(config.Init) > 0 {
		options = []string{"-append", audited(commandLine + config.KernelArgs)}
	}
	v.power(listener, config, options...)
	v.boot(config)
	return v
}

// power starts QEMU, with some more options, and connects to its ports.
func (v *VM) power(listener net.Listener, config Config, options ...string) {
	v.t.Helper()
	v.launch(exec.Command("qemu-system-x86_64", append(v.arguments(v.t, config), options...)...))
	conn, err := accept(listener, bootLimit)
	require.NoError(v.t, err, "QEMU does not start")
	v.monitor = dialMonitor(v.t, v.path("qmp"))
	v.control = newCaller(conn)
}

// prepare makes the disks of a guest that is not running yet, and listens for
// its control port.
func prepare(t testing.TB, config Config) (*VM, net.Listener) {
	t.Helper()
	Tools(t, "qemu-img", "busybox")
	dir, err := os.MkdirTemp("", "vm") //nolint:usetesting // t.TempDir can be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	m := &machine{dir: dir, images: map[string]*image{}, exited: make(chan struct{}), agent: AgentPath}
	if config.Reference {
		m.agent = referencePath + "/qemu-ga"
	}
	for _, disk := range config.Disks {
		m.images[disk.Name] = makeImage(t, dir, disk)
	}
	listener, err := net.Listen("unix", m.path("control"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return &VM{machine: m, t: t}, listener
}

// boot sees a guest through its boot.
func (v *VM) boot(config Config) {
	v.t.Helper()
	require.NoError(v.t, v.control.greeted(bootLimit), "the guest does not boot")
	for _, disk := range config.Disks {
		if disk.FS != "" && disk.Device == nil {
			v.Mount(disk)
		}
	}
}

// In returns the same guest for a subtest, whose failures are then its own.
func (v *VM) In(t testing.TB) *VM {
	return &VM{machine: v.machine, t: t}
}

func (m *machine) path(name string) string {
	return filepath.Join(m.dir, name)
}

func kernelDir(t testing.TB) string {
	t.Helper()
	return filepath.Dir(cached(t, "kernel/release", ".ci/setup kernel"))
}

// kernel is the file that QEMU boots.
func (c Config) kernel(t testing.TB) string {
	t.Helper()
	kernel := filepath.Join(kernelDir(t), "vmlinux")
	if _, err := os.Stat(kernel); err != nil || c.BzImage {
		kernel = filepath.Join(kernelDir(t), "bzImage")
	}
	return kernel
}

func (c Config) memory() int {
	if c.MemoryMiB == 0 {
		return 512
	}
	return c.MemoryMiB
}

func (c Config) cpus() int {
	if c.CPUs == 0 {
		return 2
	}
	return c.CPUs
}

// arguments is QEMU's command line, but for what it boots.
func (m *machine) arguments(t testing.TB, config Config) []string {
	t.Helper()
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "pc", "-accel", fmt.Sprintf("tcg,tb-size=%d", translatedMiB), "-cpu", "qemu64,+rdrand", "-smp", fmt.Sprint(config.cpus()),
		"-m", fmt.Sprint(config.memory()),
		"-kernel", config.kernel(t), "-initrd", m.path("initramfs"),
		"-serial", "file:" + m.path("console"),
		"-qmp", "unix:" + m.path("qmp") + ",server=on,wait=off",
		"-device", "virtio-serial-pci,id=serial",
		"-chardev", "socket,id=control,path=" + m.path("control"),
		"-device", "virtserialport,bus=serial.0,nr=1,chardev=control,name=" + control.Port,
		"-chardev", "socket,id=agent,server=on,wait=off,path=" + m.path("agent"),
	}
	if !config.NoAgentPort {
		args = append(args, "-device", toJSON(t, agentPort))
	}
	if config.Vsock != nil {
		args = append(args, config.Vsock.arguments(config)...)
	}
	for _, controller := range config.Controllers {
		args = append(args, "-device", toJSON(t, controller))
	}
	for _, disk := range config.Disks {
		image := m.images[disk.Name]
		args = append(args, "-blockdev", toJSON(t, image.blockdev()), "-device", toJSON(t, image.device()))
	}
	return args
}

func toJSON(t testing.TB, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	return string(data)
}

// launch starts QEMU, or what starts QEMU, and sees to its end.
func (v *VM) launch(hypervisor *exec.Cmd) {
	v.t.Helper()
	var complaints bytes.Buffer
	hypervisor.Stderr = &complaints
	if hypervisor.SysProcAttr == nil {
		hypervisor.SysProcAttr = &syscall.SysProcAttr{}
	}
	// Should the test be killed, its guest goes with it.
	hypervisor.SysProcAttr.Pdeathsig = syscall.SIGKILL
	v.hypervisor = hypervisor
	require.NoError(v.t, hypervisor.Start())
	go func() {
		_ = hypervisor.Wait()
		close(v.exited)
	}()
	v.t.Cleanup(func() {
		v.Stop()
		if v.t.Failed() {
			v.t.Logf("%s: %s\nconsole:\n%s", hypervisor.Path, complaints.String(), v.Console())
		}
	})
}

// Console returns the end of what the guest's kernel and init wrote.
func (v *VM) Console() string {
	data, err := os.ReadFile(v.path("console"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.ReplaceAll(string(data), "\r", ""), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// Stop ends the guest as a power cut does.
func (v *VM) Stop() {
	_ = v.hypervisor.Process.Kill() // it may have ended by itself
	<-v.exited
	if v.monitor != nil {
		v.monitor.close()
	}
	if v.control != nil {
		v.control.close()
	}
}

// Until waits for a condition; what names it for the failure.
func (v *VM) Until(limit time.Duration, what string, condition func() bool) {
	v.t.Helper()
	end := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(end) {
			v.t.Fatalf("after %v still not: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func accept(listener net.Listener, limit time.Duration) (net.Conn, error) {
	if unix, ok := listener.(*net.UnixListener); ok {
		if err := unix.SetDeadline(time.Now().Add(limit)); err != nil {
			return nil, err
		}
	}
	return listener.Accept()
}
