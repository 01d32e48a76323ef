package freeze

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A filesystem that was unmounted lazily while frozen has no mount any more,
// and its freeze keeps it in the kernel. Whoever held it open can still thaw
// it; when all of them were killed, nobody can. Mounting its device again
// gives the same superblock, as the kernel knows only one for a device.

// errGone marks a filesystem of which the kernel has nothing any more.
var errGone = errors.New("it is not mounted any more")

// reattach mounts the filesystem that s names where nobody sees it, and opens
// it. It gives errGone when the kernel has nothing of it any more: a
// device that nobody uses is left alone, as it would be mounted anew.
func (t topology) reattach(s stateTarget) (target, error) {
	path := t.devicePath(s)
	if path == "" || s.Type == "" {
		return target{}, errGone
	}
	switch inUse, err := inUse(path); {
	case err != nil:
		return target{}, fmt.Errorf("cannot open %s: %w", path, spell(err))
	case !inUse:
		return target{}, errGone
	}
	fd, err := mountUnseen(s.Type, path)
	if errors.Is(err, unix.EBUSY) { // something else uses the device
		return target{}, errGone
	}
	if err != nil {
		return target{}, fmt.Errorf("cannot mount %s, which was unmounted from %s: %w", path, s.Point, spell(err))
	}
	defer func() { _ = unix.Close(fd) }()
	root, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return target{}, fmt.Errorf("cannot open %s, which was unmounted from %s: %w", path, s.Point, spell(err))
	}
	f := &filesystem{Dev: s.Dev, Type: s.Type, Source: path}
	return target{filesystem: f, file: os.NewFile(uintptr(root), s.Point), point: s.Point}, nil
}

// devicePath gives the node of the device that the filesystem lies on; "" is
// none that is known.
func (t topology) devicePath(s stateTarget) string {
	if s.Dev.Major == 0 { // btrfs, which has a number of its own
		if d, ok := t.node(s.Source); ok && d != (device{}) {
			return filepath.Join(t.dev, strings.TrimPrefix(s.Source, "/dev/"))
		}
		return ""
	}
	text, err := os.ReadFile(filepath.Join(t.sys, "dev/block", s.Dev.String(), "uevent"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		// DEVNAME=dm-0
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
			return filepath.Join(t.dev, name)
		}
	}
	return ""
}

// inUse tells whether a block device belongs to somebody, as it does to a
// filesystem that is mounted from it.
func inUse(path string) (bool, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_EXCL|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EBUSY) {
		return true, nil
	}
	if err == nil {
		_ = unix.Close(fd)
	}
	return false, err
}

// mountUnseen mounts a device that is in use, in no directory. The mount ends
// with the descriptor and whatever was opened through it. Linux can do this
// since 5.2; before, such a filesystem stays as it is.
func mountUnseen(fsType, path string) (int, error) {
	fs, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(fs) }()
	if err := unix.FsconfigSetString(fs, "source", path); err != nil {
		return -1, err
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}
