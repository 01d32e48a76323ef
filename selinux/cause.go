package selinux

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Cause is what keeps a filesystem from being frozen.
type Cause string

// The causes.
const (
	// CauseNone: nothing does.
	CauseNone Cause = ""
	// CauseType: the policy denies the domain the root, by its label.
	CauseType Cause = "selinux-label"
	// CauseIoctl: the policy lets the root be opened, and denies the ioctl.
	CauseIoctl Cause = "selinux-ioctl"
	// CauseDAC: the policy denies the capability to pass over mode bits.
	CauseDAC Cause = "selinux-dac_read_search"
	// CauseAdmin: the policy denies the capability sys_admin.
	CauseAdmin Cause = "selinux-sys_admin"
	// CauseMode: mode bits close the root to this process.
	CauseMode Cause = "file-mode"
	// CauseCapability: the process has not the capability.
	CauseCapability Cause = "missing-capability"
	// CauseNamespace: the process has capabilities in its container alone.
	CauseNamespace Cause = "user-namespace"
	// CauseAppArmor: an AppArmor profile confines the process.
	CauseAppArmor Cause = "apparmor"
	// CauseSeccomp: a filter of system calls does.
	CauseSeccomp Cause = "seccomp"
	// CauseDaemon: a permission daemon does, which answers EPERM.
	CauseDaemon Cause = "permission-daemon"
	// CauseUnknown: something does that cannot be told.
	CauseUnknown Cause = "unknown"
)

// bySELinux tells whether a rule of SELinux's policy would help.
func (c Cause) bySELinux() bool {
	return c == CauseType || c == CauseIoctl || c == CauseDAC || c == CauseAdmin
}

// cause concludes why the kernel refuses a root. What needs no security module
// comes first: the kernel judges in this order, too.
func cause(f Facts, r Root) Cause {
	switch d := r.Denial; {
	case d.Errno == 0:
		return CauseNone
	case d.Op == OpOpen && d.Errno == unix.EACCES:
		return openDenied(f, r)
	case d.Op == OpOpen && d.Errno == unix.EPERM:
		return CauseDaemon
	case d.Errno == unix.EACCES:
		return ioctlDenied(f)
	case d.Errno == unix.EPERM:
		return adminDenied(f)
	default:
		return CauseUnknown
	}
}

// openDenied: the label, or the mode bits for want of a capability.
func openDenied(f Facts, r Root) Cause {
	closed := r.Known && closedTo(f.Process.UID, r)
	switch {
	case closed && !f.Process.ignoresModes() && f.Process.UserNamespace:
		return CauseNamespace
	case closed && !f.Process.ignoresModes() && f.Process.UID == 0:
		return CauseCapability
	case closed && !f.Process.ignoresModes():
		return CauseMode
	case !f.On() && f.Process.AppArmor != "":
		return CauseAppArmor
	case !f.On():
		return CauseUnknown
	case len(r.Lacks) > 0:
		return CauseType
	case closed && (r.Asked != AskAllowed || slices.Contains(f.LacksCapabilities, "dac_read_search")):
		return CauseDAC
	case r.Asked == AskAllowed:
		return CauseUnknown // the policy allows the root itself: a directory on the way, or another module
	default:
		return CauseType
	}
}

// ioctlDenied: mode bits do not bind ioctls, and of the security modules only
// SELinux judges those of directories.
func ioctlDenied(f Facts) Cause {
	switch {
	case f.On():
		return CauseIoctl
	case f.Process.Seccomp:
		return CauseSeccomp
	default:
		return CauseUnknown
	}
}

// adminDenied: EPERM is what a missing capability gives, whoever withholds it.
func adminDenied(f Facts) Cause {
	switch {
	case f.Process.UserNamespace:
		return CauseNamespace
	case !f.Process.can(capSysAdmin):
		return CauseCapability
	case f.On() && (f.Asking != AskAllowed || slices.Contains(f.LacksCapabilities, "sys_admin")):
		return CauseAdmin
	case f.Process.AppArmor != "":
		return CauseAppArmor
	case f.Process.Seccomp:
		return CauseSeccomp
	default:
		return CauseUnknown
	}
}

// closedTo tells whether a directory's mode bits keep a user, whose groups do
// not matter, from reading it.
func closedTo(uid int, r Root) bool {
	const readAndSearch = 0o5
	bits := r.Mode
	if uid == r.Owner {
		bits >>= 6
	}
	return bits&readAndSearch != readAndSearch
}
