package channel

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openPTY makes a pseudo-terminal: its master is the host of the serial line
// that its slave is.
func openPTY(t *testing.T) (master *os.File, slave string) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	master = os.NewFile(uintptr(fd), "master")
	t.Cleanup(func() { master.Close() })
	require.NoError(t, master.SetDeadline(time.Now().Add(soon)))
	return master, fmt.Sprintf("/dev/pts/%d", n)
}

func TestSerialCarriesBytesAsTheyAre(t *testing.T) {
	noLeaks(t)
	master, slave := openPTY(t)
	l := open(t, Config{Method: ISASerial, Path: slave})
	conn := accept(t, l)
	require.Equal(t, "host over isa-serial", conn.Peer())

	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	_, err := master.Write(all)
	require.NoError(t, err)
	require.Equal(t, string(all), readString(t, conn, len(all)))
	_, err = conn.Write(all)
	require.NoError(t, err)
	require.Equal(t, string(all), readString(t, master, len(all)))
}

// TestSerialHangUp is what leaves qemu-ga deaf.
func TestSerialHangUp(t *testing.T) {
	noLeaks(t)
	var log logged
	path := filepath.Join(t.TempDir(), "ttyS0")
	plug := func() *os.File {
		master, slave := openPTY(t)
		require.NoError(t, os.Symlink(slave, path+".next"))
		require.NoError(t, os.Rename(path+".next", path))
		return master
	}
	master := plug()
	l := open(t, Config{Method: ISASerial, Path: path, Log: log.logger()})
	conn := accept(t, l)
	for range 3 {
		_, err := io.WriteString(master, "hello")
		require.NoError(t, err)
		require.Equal(t, "hello", readString(t, conn, 5))

		ch := acceptAside(t.Context(), l)
		requirePending(t, ch) // one stay at a time
		require.NoError(t, master.Close())
		_, err = conn.Read(make([]byte, 10))
		require.ErrorIs(t, err, io.EOF)
		_, err = io.WriteString(conn, "anybody?")
		require.ErrorIs(t, err, ErrHostAway)
		require.ErrorIs(t, conn.SetWriteDeadline(time.Now()), net.ErrClosed)
		requirePending(t, ch)

		master = plug()
		conn = requireAccepted(t, ch)
		_, err = io.WriteString(conn, "back")
		require.NoError(t, err)
		require.Equal(t, "back", readString(t, master, 4))
	}
	require.Contains(t, log.String(), "the channel is gone")
}

// TestPortComesLater makes every part of the path late: the directory, the
// link and the device, in the order of udev and in another.
func TestPortComesLater(t *testing.T) {
	for _, linkFirst := range []bool{false, true} {
		noLeaks(t)
		var log logged
		_, slave := openPTY(t)
		dev := t.TempDir()
		dir, node := filepath.Join(dev, "a", "virtio-ports"), filepath.Join(dev, "vport1p1")
		path := filepath.Join(dir, "org.qemu.guest_agent.0")
		l := open(t, Config{Method: VirtioSerial, Path: path, Retry: true, Log: log.logger()})
		require.Contains(t, log.String(), "waiting for the channel")
		ch := acceptAside(t.Context(), l)

		steps := []func() error{
			func() error { return os.Symlink(slave, node) },
			func() error { return os.Symlink("../../vport1p1", path) },
		}
		if linkFirst {
			steps[0], steps[1] = steps[1], steps[0]
		}
		requirePending(t, ch)
		require.NoError(t, os.WriteFile(filepath.Join(dev, "something else"), nil, 0o600))
		requirePending(t, ch)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		for _, step := range steps {
			requirePending(t, ch)
			require.NoError(t, step())
		}
		require.Equal(t, "host over virtio-serial", requireAccepted(t, ch).Peer())
		require.NoError(t, l.Close())
	}
}

// Where nobody makes links, a port is found by the name that the kernel has
// for it, which it may get after its device has come.
func TestPortWithoutLinks(t *testing.T) {
	noLeaks(t)
	root := t.TempDir()
	ports := portDirs{links: root + "/dev/virtio-ports", class: root + "/class", devices: root + "/dev"}
	require.NoError(t, os.Mkdir(ports.devices, 0o700))
	_, slave := openPTY(t)
	l := open(t, Config{Method: VirtioSerial, Path: ports.links + "/agent", Retry: true, ports: ports})
	ch := acceptAside(t.Context(), l)
	plug := func(port string) {
		require.NoError(t, os.MkdirAll(filepath.Join(ports.class, port), 0o700))
		require.NoError(t, os.Symlink(slave, filepath.Join(ports.devices, port)))
	}
	name := func(port, name string) {
		require.NoError(t, os.WriteFile(filepath.Join(ports.class, port, "name"), []byte(name+"\n"), 0o600))
	}
	requirePending(t, ch)
	plug("vport0p0") // a console, which has no name
	plug("vport0p1")
	name("vport0p1", "another")
	requirePending(t, ch)
	plug("vport0p2")
	requirePending(t, ch)
	name("vport0p2", "agent")
	require.Equal(t, "host over virtio-serial", requireAccepted(t, ch).Peer())
	require.NoError(t, l.Close())

	// It is there when the agent starts.
	l = open(t, Config{Method: VirtioSerial, Path: ports.links + "/agent", ports: ports})
	accept(t, l)
	// Only names are looked up.
	_, err := Open(t.Context(), Config{Method: VirtioSerial, Path: root + "/agent", ports: ports})
	require.ErrorIs(t, err, unix.ENOENT)
}

func TestPortCloseEndsTheStay(t *testing.T) {
	noLeaks(t)
	_, slave := openPTY(t)
	l := open(t, Config{Method: ISASerial, Path: slave})
	conn := accept(t, l)
	read := make(chan error)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	time.Sleep(20 * time.Millisecond)
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-read, net.ErrClosed)
	_, err := l.Accept(t.Context())
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestOpenAdvice(t *testing.T) {
	for err, want := range map[error]string{
		unix.EBUSY:  "another program has it open: stop that one",
		unix.EACCES: "run the agent as root",
		unix.EIO:    "check --method and --path",
	} {
		got := openAdvice(Config{Method: VirtioSerial, Path: "/dev/p"}, err)
		require.ErrorContains(t, got, "error opening channel '/dev/p': "+err.Error()+": "+want)
	}
}
