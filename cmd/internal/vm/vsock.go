package vm

import (
	"bufio"
	"bytes"
	"errors"
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

// Vsock is the vsock of a host: guests that have a device of it reach the
// host, and one another, as they would with a vsock in the host's kernel. The
// host is seen as CID 2.
type Vsock struct {
	t   testing.TB
	dir string
}

// VsockDevice is one guest's place on a Vsock.
type VsockDevice struct {
	// CID is the guest's context ID.
	CID uint32
	// socket is where QEMU finds the device.
	socket string
}

// vsockModule is the guest's driver of the device.
const vsockModule = "vmw_vsock_virtio_transport"

// StartVsock makes a vsock for guests with these context IDs, all of which may
// reach each other. It ends with the test.
func StartVsock(t testing.TB, cids ...uint32) *Vsock {
	t.Helper()
	program := cached(t, "vsock/vhost-device-vsock", ".ci/setup vsock")
	dir, err := os.MkdirTemp("", "vsock") //nolint:usetesting // t.TempDir can be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	n := &Vsock{t: t, dir: dir}
	var args []string
	for _, cid := range cids {
		args = append(args, "--vm", fmt.Sprintf("guest-cid=%d,socket=%s,uds-path=%s,groups=all", cid, n.Device(cid).socket, n.host(cid)))
	}
	device := exec.Command(program, args...)
	device.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaints bytes.Buffer
	device.Stderr = &complaints
	require.NoError(t, device.Start())
	t.Cleanup(func() {
		_ = device.Process.Kill() // it may have ended by itself
		_ = device.Wait()
		if t.Failed() {
			t.Logf("%s: %s", program, complaints.String())
		}
	})
	return n
}

// Device returns the place of the guest with a context ID.
func (n *Vsock) Device(cid uint32) *VsockDevice {
	return &VsockDevice{CID: cid, socket: filepath.Join(n.dir, fmt.Sprintf("device-%d", cid))}
}

func (n *Vsock) host(cid uint32) string {
	return filepath.Join(n.dir, fmt.Sprintf("host-%d", cid))
}

// Dial connects the host to a port of a guest. The connection ends with the
// test t. Nobody listening there is an error.
func (n *Vsock) Dial(t testing.TB, cid, port uint32) (*Agent, error) {
	t.Helper()
	conn, err := net.Dial("unix", n.host(cid))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	a := &Agent{t: t, conn: conn, lines: bufio.NewReader(conn)}
	require.NoError(t, conn.SetDeadline(time.Now().Add(commandLimit)))
	_, err = fmt.Fprintf(conn, "CONNECT %d\n", port)
	require.NoError(t, err)
	line, err := a.lines.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "OK ") {
		err = errors.New(line)
	}
	return a, errors.Join(err, conn.SetDeadline(time.Time{}))
}

// arguments is what QEMU needs for the device: the guest's memory is shared
// with it.
func (d *VsockDevice) arguments(config Config) []string {
	return []string{
		"-object", fmt.Sprintf("memory-backend-memfd,id=memory,size=%dM,share=on", config.memory()),
		"-machine", "memory-backend=memory",
		"-chardev", "socket,id=vsock,path=" + d.socket,
		"-device", "vhost-user-vsock-pci,chardev=vsock",
	}
}

// Vsock connects to a vsock port from inside the guest and sends a line.
func (v *VM) Vsock(args control.Vsock) control.VsockReply {
	v.t.Helper()
	args.TimeoutMS = milliseconds(commandLimit)
	return call[control.VsockReply](v, commandLimit, control.MethodVsock, args)
}

// VsockRelease closes the connections that Vsock has left open, and tells how
// many there were.
func (v *VM) VsockRelease() int {
	v.t.Helper()
	return call[int](v, 0, control.MethodVsockRelease, struct{}{})
}
