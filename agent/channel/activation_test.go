package channel

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// activatedEnv makes the test binary serve one client of descriptor 3.
const activatedEnv = "CHANNEL_TEST_ACTIVATED"

func TestMain(m *testing.M) {
	if os.Getenv(activatedEnv) != "" {
		if err := serveActivated(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveActivated does what the agent does with a socket of systemd's.
func serveActivated(w io.Writer) error {
	// A starter knows the child's ID only after the fork.
	if os.Getenv("LISTEN_PID") == "self" {
		if err := os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())); err != nil {
			return err
		}
	}
	method, err := Activation(os.Getenv, os.Getpid())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "method %q\n", method)
	if method == "" {
		return nil
	}
	l, err := Open(context.Background(), Config{Method: method, Activated: true})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s %q\n", l, os.Getenv("LISTEN_FDS"))
	c, err := l.Accept(context.Background())
	if err != nil {
		return err
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	return l.Close()
}

// activate runs serveActivated with a descriptor 3.
func activate(t *testing.T, pid, fds string, f *os.File) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), activatedEnv+"=1", "LISTEN_PID="+pid, "LISTEN_FDS="+fds)
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func socketFile(t *testing.T, l interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := l.File()
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestActivation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	unixLn, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	defer unixLn.Close()
	tcpLn, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer tcpLn.Close()
	dialed := dial(t, path)
	regular, err := os.Open("activation_test.go")
	require.NoError(t, err)
	defer regular.Close()

	out, err := activate(t, "self", "1", socketFile(t, unixLn))
	require.NoError(t, err, out)
	require.Equal(t, "method \"unix-listen\"\nunix-listen by socket activation \"\"\n", out)
	require.Equal(t, "hello", readString(t, dialed, 5))
	require.FileExists(t, path) // it is systemd's

	for _, env := range [][2]string{{"1", "1"}, {"", "1"}, {"me", "1"}, {"self", ""}, {"self", "0"}, {"self", "-1"}, {"self", "x"}} {
		out, err := activate(t, env[0], env[1], socketFile(t, unixLn))
		require.NoError(t, err)
		require.Equal(t, "method \"\"\n", out)
	}
	for _, tt := range []struct {
		fds  string
		f    *os.File
		want string
	}{
		{"2", socketFile(t, unixLn), "passed 2 sockets: the agent serves one"},
		{"1", socketFile(t, tcpLn.(*net.TCPListener)), "neither a unix nor a vsock socket"},
		{"1", socketFile(t, dialed), "does not listen: use ListenStream"},
		{"1", regular, "it must be a listening socket"},
	} {
		out, err := activate(t, "self", tt.fds, tt.f)
		require.Error(t, err)
		require.Contains(t, out, tt.want)
	}
}

func TestActivationByVsock(t *testing.T) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("%v: this kernel has no vsock; try: modprobe vsock", err)
	}
	f := os.NewFile(uintptr(fd), "vsock")
	defer f.Close()
	require.NoError(t, unix.Bind(fd, &unix.SockaddrVM{CID: cidAny, Port: cidAny}))
	require.NoError(t, unix.Listen(fd, 1))
	method, err := socketMethod(fd)
	require.NoError(t, err)
	require.Equal(t, VsockListen, method)
}
