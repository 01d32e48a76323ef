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
	// MemoryMiB is 512 if 0.
	MemoryMiB int
	// Disks are there when the guest boots.
	Disks []Disk
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
	dir     string
	qemu    *exec.Cmd
	exited  chan struct{}
	monitor *monitor
	control *caller
	images  map[string]*image
	shots   int
	// agent is the agent's program in the guest.
	agent    string
	agentPID int
}

// bootLimit is how long a guest may take to boot on a busy machine.
const bootLimit = 90 * time.Second

// commandLine leaves out of the boot what costs time and tests nothing here.
// The kernel must go on checking its clocks, though: on a busy machine it
// measures the TSC wrongly and has to find out.
const commandLine = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr audit=0 " +
	"random.trust_cpu=on cryptomgr.notests rdinit=/init"

// Start boots a guest and waits until its init answers and its disks are
// mounted. The guest ends with the test.
func Start(t testing.TB, config Config) *VM {
	t.Helper()
	Tools(t, "qemu-system-x86_64", "qemu-img", "busybox")
	dir, err := os.MkdirTemp("", "vm") //nolint:usetesting // t.TempDir can be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	m := &machine{dir: dir, images: map[string]*image{}, exited: make(chan struct{}), agent: AgentPath}
	if config.Reference {
		m.agent = referencePath + "/qemu-ga"
	}
	v := &VM{machine: m, t: t}
	listener, err := net.Listen("unix", m.path("control"))
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	initramfs(t, config, m.path("initramfs"))
	v.launch(m.arguments(t, config))

	conn, err := accept(listener, bootLimit)
	require.NoError(t, err, "QEMU does not start")
	m.control = newCaller(conn)
	m.monitor = dialMonitor(t, m.path("qmp"))
	require.NoError(t, m.control.greeted(bootLimit), "the guest does not boot")
	for _, disk := range config.Disks {
		if disk.FS != "" {
			v.Mount(disk)
		}
	}
	return v
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

// arguments is QEMU's command line.
func (m *machine) arguments(t testing.TB, config Config) []string {
	t.Helper()
	kernel := filepath.Join(kernelDir(t), "vmlinux")
	if _, err := os.Stat(kernel); err != nil || config.BzImage {
		kernel = filepath.Join(kernelDir(t), "bzImage")
	}
	memory := config.MemoryMiB
	if memory == 0 {
		memory = 512
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-machine", "pc", "-accel", "tcg", "-cpu", "qemu64,+rdrand", "-smp", "2",
		"-m", fmt.Sprint(memory),
		"-kernel", kernel, "-initrd", m.path("initramfs"), "-append", commandLine,
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
	for _, disk := range config.Disks {
		image := makeImage(t, m.dir, disk)
		m.images[disk.Name] = image
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

// launch starts QEMU and sees to its end.
func (v *VM) launch(args []string) {
	v.t.Helper()
	var complaints bytes.Buffer
	v.qemu = exec.Command("qemu-system-x86_64", args...)
	v.qemu.Stderr = &complaints
	// Should the test be killed, its guest goes with it.
	v.qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(v.t, v.qemu.Start())
	go func() {
		_ = v.qemu.Wait()
		close(v.exited)
	}()
	v.t.Cleanup(func() {
		if v.t.Failed() {
			v.t.Logf("QEMU: %s\nconsole:\n%s", complaints.String(), v.Console())
		}
		v.Stop()
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
	_ = v.qemu.Process.Kill() // it may have ended by itself
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
