package guest

import (
	"os"

	"golang.org/x/sys/unix"
)

// Kernel names the running kernel, as uname(2) does.
type Kernel struct {
	// Release is uname -r: "6.1.0-18-amd64".
	Release string
	// Version is uname -v: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1".
	Version string
	// Machine is uname -m: "x86_64".
	Machine string
}

// ReadKernel asks the kernel its name. It is asked and not read from
// /proc/sys/kernel because a system call needs no SELinux permission.
func ReadKernel() (Kernel, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Kernel{}, os.NewSyscallError("uname", err)
	}
	return Kernel{
		Release: unix.ByteSliceToString(u.Release[:]),
		Version: unix.ByteSliceToString(u.Version[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]),
	}, nil
}

// ReadHostName returns the guest's host name, up to the 64 characters that
// the kernel allows.
func ReadHostName() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", os.NewSyscallError("uname", err)
	}
	return unix.ByteSliceToString(u.Nodename[:]), nil
}
