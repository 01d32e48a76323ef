package vm

import (
	"context"
	_ "embed"
	"encoding/xml"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
)

// Domain is a guest that runs under libvirt. It has no QMP of its own.
type Domain struct {
	*VM
}

// domainName is the name of the one domain there is.
const domainName = "scratch"

//go:embed libvirtd.sh
var libvirtdScript string

//go:embed domain.xml
var domainXML string

// StartDomain boots a guest by a libvirt of its own: libvirtd runs in
// namespaces that end, with all in them, when the test does. A disk with a
// Device is one of a virtio-scsi controller, with that scsi-id and lun.
func StartDomain(t testing.TB, config Config) *Domain {
	t.Helper()
	Tools(t, "libvirtd", "virsh", "qemu-system-x86_64")
	if os.Geteuid() != 0 {
		missing(t, "root, which libvirtd needs,", "the tests as root")
	}
	takeTurn(t)
	v, listener := prepare(t, config)
	initramfs(t, config, v.path("initramfs"))
	d := &Domain{VM: v}
	libvirtd := exec.Command("/bin/sh", "-euc", libvirtdScript, "libvirtd", v.dir)
	libvirtd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
	}
	v.launch(libvirtd)
	v.Until(commandLimit, "libvirtd answers", func() bool {
		_, err := d.virsh("version")
		return err == nil
	})
	require.NoError(t, os.WriteFile(v.path("domain.xml"), []byte(d.xml(config)), 0o600))
	d.Virsh("create", v.path("domain.xml"))
	conn, err := accept(listener, bootLimit)
	require.NoError(t, err, "QEMU does not start")
	v.control = newCaller(conn)
	v.boot(config)
	return d
}

// In returns the same guest for a subtest.
func (d *Domain) In(t testing.TB) *Domain {
	return &Domain{VM: d.VM.In(t)}
}

// xml describes the guest to libvirt.
func (d *Domain) xml(config Config) string {
	d.t.Helper()
	parsed, err := template.New("domain").Funcs(template.FuncMap{"xml": escape}).Parse(domainXML)
	require.NoError(d.t, err)
	type disk struct {
		Serial, Path, Target string
		SCSI                 map[string]any // its scsi-id and lun
	}
	var disks []disk
	for i, which := range config.Disks {
		bus := "vd"
		if which.Device != nil {
			bus = "sd"
		}
		disks = append(disks, disk{which.Name, d.images[which.Name].path, bus + string(rune('a'+i)), which.Device})
	}
	var text strings.Builder
	require.NoError(d.t, parsed.Execute(&text, map[string]any{
		"Name": domainName, "Memory": config.memory(), "Kernel": config.kernel(d.t),
		"Initrd": d.path("initramfs"), "CommandLine": commandLine, "Disks": disks,
		"Agent": d.path("agent"), "Control": d.path("control"), "Console": d.path("console"),
	}))
	return text.String()
}

func escape(s string) (string, error) {
	var text strings.Builder
	err := xml.EscapeText(&text, []byte(s))
	return text.String(), err
}

// Virsh runs a command of virsh that must succeed and returns what it prints.
func (d *Domain) Virsh(args ...string) string {
	d.t.Helper()
	output, err := d.virsh(args...)
	require.NoError(d.t, err, "virsh %s: %s", strings.Join(args, " "), output)
	return output
}

// VirshDomain runs a command of virsh on the guest.
func (d *Domain) VirshDomain(command string, args ...string) string {
	d.t.Helper()
	return d.Virsh(append([]string{command, domainName}, args...)...)
}

// ShutDown has libvirt shut the guest down through the agent. The guest is off
// at once, and libvirt may then miss its agent before it notices that.
func (d *Domain) ShutDown() {
	d.t.Helper()
	if output, err := d.virsh("shutdown", domainName, "--mode", "agent"); err != nil {
		require.Contains(d.t, output, "End of file from agent socket")
	}
}

// Connected waits until libvirt has found the agent.
func (d *Domain) Connected() {
	d.t.Helper()
	d.Until(commandLimit, "libvirt finds the agent", func() bool {
		_, err := d.virsh("qemu-agent-command", domainName, `{"execute":"guest-ping"}`)
		return err == nil
	})
}

func (d *Domain) virsh(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	uri := "qemu:///system?socket=" + d.path("libvirt-sock")
	output, err := exec.CommandContext(ctx, "virsh", append([]string{"-c", uri}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(output)), err
}
