package channel

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
)

// firstListenFD is where systemd's handed-over descriptors begin
// (SD_LISTEN_FDS_START of sd_listen_fds(3)).
const firstListenFD = 3

// Activation tells the method of the socket that systemd (or another starter
// that follows sd_listen_fds(3)) has passed to the process pid, by what
// LISTEN_PID and LISTEN_FDS say. It returns "" where they do not name this
// process, and an error where what they promise cannot be served.
func Activation(getenv func(string) string, pid int) (method string, err error) {
	if p, err := strconv.Atoi(getenv("LISTEN_PID")); err != nil || p != pid {
		return "", nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	switch {
	case err != nil || n <= 0:
		return "", nil
	case n > 1:
		return "", fmt.Errorf("socket activation passed %d sockets: the agent serves one, so give the socket unit one Listen line", n)
	}
	return socketMethod(firstListenFD)
}

// socketMethod tells which method serves the listening socket fd.
func socketMethod(fd int) (string, error) {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return "", fmt.Errorf("socket activation: descriptor %d: %w: it must be a listening socket", fd, err)
	}
	if listening == 0 {
		return "", fmt.Errorf("socket activation: descriptor %d does not listen: use ListenStream and Accept=no", fd)
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	switch {
	case err != nil:
		return "", fmt.Errorf("socket activation: descriptor %d: %w", fd, err)
	case family == unix.AF_UNIX:
		return UnixListen, nil
	case family == unix.AF_VSOCK:
		return VsockListen, nil
	}
	return "", fmt.Errorf("socket activation: descriptor %d is neither a unix nor a vsock socket: use one of these", fd)
}

// openActivated takes over the socket that Activation has found. The
// environment of hooks and of commands must not promise it any more.
func openActivated(cfg Config) (Listener, error) {
	f := os.NewFile(firstListenFD, "LISTEN_FD_3")
	defer func() { _ = f.Close() }() // the listener has its own copy
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	name := cfg.Method + " by socket activation"
	if cfg.Method == VsockListen {
		ln, err := vsock.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("socket activation: %w", err)
		}
		return newVsockListener(name, ln, cfg.AllowCIDs, cfg.Log), nil
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("socket activation: %w", err)
	}
	unixLn, ok := ln.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("socket activation: descriptor %d is no unix socket", firstListenFD), ln.Close())
	}
	return newSocketListener(name, unixLn, cfg.Log, admitUnix(cfg.AllowUIDs)), nil
}
