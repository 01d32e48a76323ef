package freeze

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// target is a filesystem that a freeze holds open: everything that is done to
// it from here on goes through the descriptor, so no name has to be looked up
// and no permission daemon asked while filesystems stand still.
type target struct {
	*filesystem
	// file is an open directory of the filesystem, or a file where only
	// files of it are mounted.
	file *os.File
	// point is the mount point that file was opened by.
	point string
}

// errUnreachable marks a filesystem none of whose mounts can be reached by
// name: each is hidden under another mount or has gone.
var errUnreachable = errors.New("hidden under another mount")

// openTarget opens f by the first of its mounts that lets it. The error is
// errUnreachable, or a refusal of the first mount that is not hidden.
func openTarget(f *filesystem) (target, error) {
	var first error
	for _, m := range f.Mounts {
		file, err := openMount(m, f)
		if err == nil {
			return target{filesystem: f, file: file, point: m.Point}, nil
		}
		if !errors.Is(err, errUnreachable) {
			err = &refusal{mount: m, op: OpOpen, err: err}
		}
		if first == nil || errors.Is(first, errUnreachable) {
			first = err
		}
	}
	return target{}, first
}

// openMount opens the root of one mount and makes sure that it is that
// mount: another may have been put on top, or in its place. O_NONBLOCK and
// the look before the leap keep it from waiting for a FIFO's other end.
func openMount(m mountinfo.Mount, f *filesystem) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Open(m.Point, flags|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOTDIR) {
		var st unix.Stat_t
		if serr := unix.Stat(m.Point, &st); serr == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			fd, err = unix.Open(m.Point, flags, 0)
		}
	}
	if errors.Is(err, unix.ENOENT) {
		return nil, errUnreachable
	}
	if err != nil {
		return nil, fmt.Errorf("failed to open %s: %w", m.Point, spell(err))
	}
	id, err := mountID(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("failed to open %s: %w", m.Point, spell(err))
	}
	for _, own := range f.Mounts {
		if own.ID == id {
			return os.NewFile(uintptr(fd), m.Point), nil
		}
	}
	_ = unix.Close(fd)
	return nil, errUnreachable
}

// mountID tells which mount a descriptor belongs to: by statx(2) since Linux
// 5.8, before that by /proc/self/fdinfo.
func mountID(fd int) (int, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err == nil && st.Mask&unix.STATX_MNT_ID != 0 {
		return int(st.Mnt_id), nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var id int
		if _, err := fmt.Sscanf(line, "mnt_id: %d", &id); err == nil {
			return id, nil
		}
	}
	return 0, errors.New("its mount cannot be told")
}

// spelled is an errno that prints in the C library's words.
type spelled struct{ unix.Errno }

func (s spelled) Error() string { return words(s.Errno) }
func (s spelled) Unwrap() error { return s.Errno }

// spell gives err the C library's words where it is an errno.
func spell(err error) error {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return spelled{errno}
	}
	return err
}
