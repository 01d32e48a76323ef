package freeze

import (
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The three ioctls of linux/fs.h: _IOWR('X', 119, int), _IOWR('X', 120, int)
// and _IOWR('X', 121, struct fstrim_range). Their numbers are the same on
// every architecture, as both ways of encoding "read and write" give the same
// top bits.
const (
	ioctlFreeze = 0xc0045877
	ioctlThaw   = 0xc0045878
	ioctlTrim   = 0xc0185879
)

// fifreeze freezes the filesystem that fd belongs to: it returns when every
// write to it is on the disk and every new one waits. EBUSY: it is frozen
// already. EOPNOTSUPP: its type has no freeze operation.
func fifreeze(fd int) error { return unix.IoctlSetInt(fd, ioctlFreeze, 0) }

// fithaw undoes one FIFREEZE. EINVAL: the filesystem is not frozen.
func fithaw(fd int) error { return unix.IoctlSetInt(fd, ioctlThaw, 0) }

// trimRange is struct fstrim_range; lengths are bytes.
type trimRange struct {
	start, length, minimum uint64
}

// fitrim discards the unused blocks of the filesystem that fd belongs to and
// leaves in r what the kernel trimmed and the minimum it used.
func fitrim(fd int, r *trimRange) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlTrim, uintptr(unsafe.Pointer(r)))
	if errno != 0 {
		return errno
	}
	return nil
}

// words gives an errno the C library's words: hosts and their logs show them,
// and Go's differ from them by the first letter alone.
func words(errno syscall.Errno) string {
	s := errno.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}
