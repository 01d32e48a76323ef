package channel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
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

const (
	// ownMode is the mode of a socket that serves root and the agent's user,
	// openMode that of one for other users, too, who are told apart by their
	// credentials.
	ownMode  = 0o600
	openMode = 0o666
)

// listenUnix listens on a unix socket that only those may connect to who are
// served. What is at the path is removed first, as qemu-ga does, unless
// somebody answers.
func listenUnix(ctx context.Context, cfg Config) (Listener, error) {
	if len(cfg.Path) > maxSocketPath {
		return nil, fmt.Errorf("UNIX socket path '%s' is too long: choose one of at most %d bytes with --path", cfg.Path, maxSocketPath)
	}
	if err := clearSocketPath(ctx, cfg.Path); err != nil {
		return nil, err
	}
	name := cfg.Path
	if name[0] == '@' {
		name = "./" + name // to package net, @ means a name outside the file system
	}
	ln, err := bindUnix(ctx, name, cfg.AllowUIDs)
	if err != nil {
		return nil, fmt.Errorf("Failed to bind socket to %s: %w: choose another path with --path", cfg.Path, errnoOf(err)) //nolint:staticcheck // qemu-ga's words
	}
	// Package net would remove whatever is at the path by then.
	ln.SetUnlinkOnClose(false)
	l := newSocketListener(UnixListen+" "+cfg.Path, ln, cfg.Log, admitUnix(cfg.AllowUIDs))
	// A daemon changes its directory.
	if whole, err := filepath.Abs(name); err == nil {
		name = whole
	}
	if ours, err := os.Lstat(name); err == nil {
		l.remove = func() {
			if now, err := os.Lstat(name); err == nil && os.SameFile(now, ours) {
				_ = os.Remove(name)
			}
		}
	}
	return l, nil
}

// bindUnix makes the listening socket. The kernel makes its file with the mode
// that the socket has by then, less the umask: so at no time is it open to
// more users than in the end.
func bindUnix(ctx context.Context, name string, uids []uint32) (*net.UnixListener, error) {
	mode := uint32(ownMode)
	if len(uids) > 0 {
		mode = openMode
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), mode) }), err)
	}}
	ln, err := lc.Listen(ctx, "unix", name)
	if err != nil {
		return nil, err
	}
	if len(uids) > 0 { // whatever the umask
		if err := chmodSocket(name, openMode); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
	}
	return ln.(*net.UnixListener), nil
}

// chmodSocket sets the mode of a socket, and of nothing else: in a directory
// that others can change, a link to another file may be in its place by now.
func chmodSocket(name string, mode uint32) error {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || int(st.Uid) != os.Geteuid() {
		return unix.EADDRINUSE // it is not the one that was just made
	}
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
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

// admitUnix serves the programs of root, of the agent's own user and of the
// users given, and names them by their credentials: those at the time of their
// connect(2). The socket's mode alone is no guard where a socket unit or a
// careless umask has made it.
func admitUnix(uids []uint32) func(net.Conn) (string, error) {
	own := uint32(os.Geteuid())
	return func(c net.Conn) (string, error) {
		cred, err := credentials(c)
		if err != nil {
			return "", err
		}
		if cred.Uid != 0 && cred.Uid != own && !slices.Contains(uids, cred.Uid) {
			return "", fmt.Errorf("unix uid %d pid %d is not allowed (unix-allow-uids)", cred.Uid, cred.Pid)
		}
		return fmt.Sprintf("unix uid %d pid %d", cred.Uid, cred.Pid), nil
	}
}

// credentials asks the kernel who connected.
func credentials(c net.Conn) (cred *unix.Ucred, err error) {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.New("it is on no unix socket")
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(controlErr, err)
}

// errnoOf returns the error number within err: the path and the call that
// err repeats have been named already.
func errnoOf(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
