package selinux

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The ioctls of linux/fs.h that freeze and thaw a filesystem.
const (
	ioctlFreeze = 0xc0045877
	ioctlThaw   = 0xc0045878
)

// Op is what the kernel has refused, or would.
type Op string

// The operations of a freeze and a trim.
const (
	OpOpen   Op = "open"
	OpFreeze Op = "freeze"
	OpThaw   Op = "thaw"
	OpTrim   Op = "trim"
)

// Denial is one refusal of the kernel's; the zero Denial is none.
type Denial struct {
	Op    Op
	Errno unix.Errno
}

// Try finds out for each open file whether the kernel would let this process
// freeze and thaw its filesystem, and does neither.
//
// An ioctl is judged by the security module first and by the capability
// CAP_SYS_ADMIN second. So it is called by a thread that has put that
// capability down: EACCES means that the security module denies it, and EPERM
// that it would not. FITHAW alone would tell as much of a filesystem that
// nobody has frozen (EINVAL), but thaw one that another program has frozen,
// which cannot be known before. The capability itself is tried on a pipe,
// which cannot be frozen.
//
// Where the policy keeps a thread from putting capabilities down, what cannot
// be tried counts as allowed: the kernel will say.
func (s *System) Try(fds []int) []Denial {
	denials := make([]Denial, len(fds))
	if len(fds) == 0 {
		return denials
	}
	r, w, err := os.Pipe()
	if err != nil {
		return denials
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	pipe := int(r.Fd())
	if unix.IoctlSetInt(pipe, ioctlThaw, 0) == unix.EPERM {
		for i := range denials {
			denials[i] = Denial{OpFreeze, unix.EPERM}
		}
		return denials
	}
	if s.mayDrop() {
		s.without(pipe, func() {
			for i, fd := range fds {
				denials[i] = try(fd)
			}
		})
	}
	return denials
}

// try is called without the capability to freeze.
func try(fd int) Denial {
	switch err := unix.IoctlSetInt(fd, ioctlFreeze, 0); {
	case err == nil:
		// It cannot come to this: no filesystem on a disk belongs to another
		// user namespace. If one ever does, it is as it was.
		_ = unix.IoctlSetInt(fd, ioctlThaw, 0)
	case errors.Is(err, unix.EACCES):
		return Denial{OpFreeze, unix.EACCES}
	}
	if err := unix.IoctlSetInt(fd, ioctlThaw, 0); errors.Is(err, unix.EACCES) {
		return Denial{OpThaw, unix.EACCES}
	}
	return Denial{}
}

// mayDrop tells whether a thread may be denied nothing by trying to put a
// capability down. A domain that may not read selinuxfs is one that nobody has
// taught our needs, and would be denied setcap, with a line in the audit log.
func (s *System) mayDrop() bool {
	_, err := s.read(s.node("enforce"))
	return !errors.Is(err, unix.EACCES)
}

// without runs f in a thread that has no CAP_SYS_ADMIN in effect, if there
// can be one. The pipe proves it to be so.
func (s *System) without(pipe int, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		had, err := setAdmin(false)
		if err == nil && unix.IoctlSetInt(pipe, ioctlThaw, 0) == unix.EPERM {
			f()
		}
		if err == nil && had {
			_, err = setAdmin(true)
		}
		if err == nil || !had {
			runtime.UnlockOSThread() // else the thread ends with the goroutine
		}
	}()
	<-done
}

// setAdmin takes CAP_SYS_ADMIN up or puts it down for the calling thread, and
// tells whether it was up.
func setAdmin(up bool) (was bool, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, err
	}
	const bit = 1 << capSysAdmin
	was = data[0].Effective&bit != 0
	if was == up {
		return was, nil
	}
	data[0].Effective ^= bit
	return was, unix.Capset(&header, &data[0])
}
