package channel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSocketPath is what fits into sun_path beside its final zero.
	maxSocketPath = 107
	// probeTimeout bounds the attempt to find somebody listening already.
	probeTimeout = time.Second
	// lastGasp is how long a socket may outlive the program it belonged to,
	// probePeriod how long between two looks.
	lastGasp    = 200 * time.Millisecond
	probePeriod = 20 * time.Millisecond
)

// listenUnix listens on a unix socket with mode 0777 less the umask. What is
// at the path is removed first, as qemu-ga does, unless somebody answers.
func listenUnix(ctx context.Context, cfg Config) (Listener, error) {
	if len(cfg.Path) > maxSocketPath {
		return nil, fmt.Errorf("UNIX socket path '%s' is too long: choose one of at most %d bytes with --path", cfg.Path, maxSocketPath)
	}
	if err := clearSocketPath(ctx, cfg.Path); err != nil {
		return nil, err
	}
	addr := &net.UnixAddr{Name: cfg.Path, Net: "unix"}
	if addr.Name[0] == '@' {
		addr.Name = "./" + addr.Name // to package net, @ means a name outside the file system
	}
	ln, err := net.ListenUnix("unix", addr)
	if err != nil {
		return nil, fmt.Errorf("Failed to bind socket to %s: %w: choose another path with --path", cfg.Path, errnoOf(err)) //nolint:staticcheck // qemu-ga's words
	}
	// Package net would remove whatever is at the path by then.
	ln.SetUnlinkOnClose(false)
	l := newSocketListener(UnixListen+" "+cfg.Path, ln, cfg.Log, admitUnix)
	if ours, err := os.Lstat(addr.Name); err == nil {
		l.remove = func() {
			if now, err := os.Lstat(addr.Name); err == nil && os.SameFile(now, ours) {
				_ = os.Remove(addr.Name)
			}
		}
	}
	return l, nil
}

// clearSocketPath removes the file or the dead socket at path.
func clearSocketPath(ctx context.Context, path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("Failed to bind socket to %s: %w: choose another path with --path", path, errnoOf(err)) //nolint:staticcheck // qemu-ga's words
	case st.IsDir():
		return fmt.Errorf("Failed to unlink socket %s: Is a directory: choose another path with --path", path) //nolint:staticcheck // qemu-ga's words
	case st.Mode().Type() == fs.ModeSocket:
		if !abandoned(ctx, path) {
			return fmt.Errorf("cannot listen on %s: another program listens there: stop it, or choose another path with --path", path)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Failed to unlink socket %s: %w: remove it, or choose another path with --path", path, errnoOf(err)) //nolint:staticcheck // qemu-ga's words
	}
	return nil
}

// abandoned tells whether nobody listens on the socket at path. It looks for a
// while: a program that was killed between fork and exec keeps the socket a
// moment longer than its parent.
func abandoned(ctx context.Context, path string) bool {
	for end := time.Now().Add(lastGasp); ; {
		err := probe(ctx, path)
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			return true
		}
		if time.Now().After(end) || sleep(ctx, probePeriod) != nil {
			return false
		}
	}
}

// probe connects to a socket and hangs up. The kernel refuses with
// ECONNREFUSED only where nobody listens.
func probe(ctx context.Context, path string) error {
	if path[0] == '@' {
		path = "./" + path
	}
	d := net.Dialer{Timeout: probeTimeout}
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// admitUnix names a client by its credentials; the mode of the socket has
// decided that it may connect.
func admitUnix(c net.Conn) (string, error) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return "", err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return "", err
	}
	if credErr != nil {
		return "", credErr
	}
	return fmt.Sprintf("unix uid %d pid %d", cred.Uid, cred.Pid), nil
}

// errnoOf returns the error number within err: the path and the call that
// err repeats have been named already.
func errnoOf(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
