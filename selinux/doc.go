// Package selinux finds out, before a freeze, what SELinux and its kin keep a
// program from, says why, and says what to do about it. It knows nothing of
// freezing's plans nor of any protocol.
//
//	system := selinux.New(selinux.Config{})
//	facts := system.Probe()                    // the kernel, the policy, this process
//	roots := system.Roots(mounts)              // each mount's root, tried
//	found := selinux.Diagnose(facts, roots)    // pure: verdicts and advice
//
// # How the kernel is asked
//
// Whether a filesystem can be frozen and thawed through a mount is decided by
// trying, which needs no policy's leave and is never wrong: its root is opened
// (root.go), and FIFREEZE and FITHAW are called by a thread that has put its
// CAP_SYS_ADMIN down, so that the kernel asks SELinux, extended permissions
// included, and then refuses (trial.go). What is missing is named by the
// kernel's access query where the policy lets it be asked (access.go), and
// else concluded from the error, the mode bits and the process's capabilities
// (cause.go).
//
// # What stays quiet
//
// A denial is logged by the kernel, and administrators read that log. So what
// is known to be denied is not tried: a domain that may not read selinuxfs
// (Fedora's virt_qemu_ga_t, which is not audited for it) is asked for nothing
// more there, and keeps its capabilities, as setcap is denied it, too. Names
// of processes are read through /proc/thread-self, which needs no permission
// that any domain lacks.
//
// A policy module for the agent's domain therefore gives it, beside the roots
// of filesystems (dir: getattr search open read ioctl) and the capabilities
// sys_admin and dac_read_search:
//
//	process        setcap          the trial of a thaw before a freeze
//	security_t     dir, file read  mode, booleans, class numbers
//	security_t     file write      the access query,
//	security       compute_av      and its answer
//
// github.com/opencontainers/selinux is not used: it has no access query, it
// takes a mode that may not be read for "disabled", its CurrentLabel is denied
// and logged in a confined domain, and it is larger than this package.
package selinux
