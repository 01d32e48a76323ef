package agent

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
)

// newFileMode is what a file gets that guest-file-open creates, whatever the
// agent's umask: as a daemon it has 077.
const newFileMode = 0o666

// openFlags returns the flags of open(2) for a mode of fopen(3).
func openFlags(mode string) (flags int, ok bool) {
	switch mode {
	case "r", "rb":
		return unix.O_RDONLY, true
	case "w", "wb":
		return unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC, true
	case "a", "ab":
		return unix.O_WRONLY | unix.O_CREAT | unix.O_APPEND, true
	case "r+", "rb+", "r+b":
		return unix.O_RDWR, true
	case "w+", "wb+", "w+b":
		return unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC, true
	case "a+", "ab+", "a+b":
		return unix.O_RDWR | unix.O_CREAT | unix.O_APPEND, true
	}
	return 0, false
}

// openStream opens a file so that neither that nor any later use can wait for
// a peer: a FIFO without a writer, a terminal that says nothing.
//
// policy, if not nil, says which files may be opened.
func openStream(policy *guest.FilePolicy, path, mode string) (*stream, error) {
	flags, ok := openFlags(mode)
	if !ok {
		return nil, fmt.Errorf("invalid file open mode '%s'", mode)
	}
	flags |= unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	open := createOrOpen
	if policy != nil {
		open = func(path string, flags int) (int, error) { return openAllowed(policy, path, flags) }
	}
	fd, err := open(path, flags)
	if err != nil {
		return nil, fmt.Errorf("failed to open file '%s' (mode: '%s'): %w", path, mode, guest.Worded(err))
	}
	return newStream(fd, flags), nil
}

// createOrOpen tells a file that it makes, whose mode it sets, from one that
// was there, whose mode is left alone. So it does not create the target of a
// dangling symlink.
func createOrOpen(path string, flags int) (int, error) {
	if flags&unix.O_CREAT == 0 {
		return openRetry(path, flags)
	}
	fd, err := openRetry(path, flags|unix.O_EXCL)
	if errors.Is(err, unix.EEXIST) {
		return openRetry(path, flags&^unix.O_CREAT)
	}
	if err != nil {
		return -1, err
	}
	if err := unix.Fchmod(fd, newFileMode); err != nil {
		_ = unix.Close(fd)
		_ = unix.Unlink(path)
		return -1, err
	}
	return fd, nil
}

// openAllowed is createOrOpen under a policy.
func openAllowed(policy *guest.FilePolicy, path string, flags int) (int, error) {
	fd, created, err := policy.Open(path, flags)
	if err != nil || !created {
		return fd, err
	}
	if err := unix.Fchmod(fd, newFileMode); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openRetry opens with mode 0: nobody else sees a new file before its time.
func openRetry(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
