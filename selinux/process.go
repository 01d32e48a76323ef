package selinux

import (
	"strconv"
	"strings"
)

// The capabilities that a freeze uses, as numbers of linux/capability.h.
const (
	capDACOverride   = 1
	capDACReadSearch = 2
	capSysAdmin      = 21
)

// Process is what the kernel says of this process.
type Process struct {
	// UID is its effective user.
	UID int `json:"uid"`
	// Capabilities are its effective ones, a bit for each number of
	// capabilities(7); 0 with Unknown.
	Capabilities uint64 `json:"capabilities"`
	// NoNewPrivileges is set by the unit's option of that name and by what
	// implies it (PR_SET_NO_NEW_PRIVS of prctl(2)): neither the unit's program
	// nor one that it starts changes its domain.
	NoNewPrivileges bool `json:"no-new-privileges"`
	// Seccomp tells that a filter judges its system calls.
	Seccomp bool `json:"seccomp"`
	// UserNamespace tells that its root is not the guest's: it is in a
	// container with users of its own.
	UserNamespace bool `json:"user-namespace"`
	// AppArmor names the profile of that security module that confines it; ""
	// is none.
	AppArmor string `json:"apparmor,omitempty"`
	// Unknown tells that /proc did not say.
	Unknown bool `json:"unknown,omitempty"`
}

// can tells whether the process has a capability.
func (p Process) can(number uint) bool { return p.Unknown || p.Capabilities&(1<<number) != 0 }

// ignoresModes tells whether mode bits do not bind the process when it reads a
// directory.
func (p Process) ignoresModes() bool { return p.can(capDACOverride) || p.can(capDACReadSearch) }

// process reads /proc/thread-self: a thread may read its own files there
// without the permission getattr on its process, which /proc/self wants of
// every thread but the first.
func (s *System) process() Process {
	p := Process{Unknown: true}
	if text, err := s.read(s.proc + "/thread-self/status"); err == nil {
		p = parseStatus(string(text))
	}
	if text, err := s.read(s.proc + "/thread-self/uid_map"); err == nil {
		p.UserNamespace = !wholeMap(string(text))
	}
	if text, err := s.read(s.proc + "/thread-self/attr/apparmor/current"); err == nil {
		p.AppArmor = parseProfile(string(text))
	}
	return p
}

// parseStatus reads the lines of /proc/PID/status (proc_pid_status(5)), as
//
//	Uid:	0	0	0	0
//	CapEff:	000001ffffffffff
//	NoNewPrivs:	0
//	Seccomp:	0
func parseStatus(text string) Process {
	p := Process{Unknown: true}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "Uid":
			if ids := strings.Fields(value); len(ids) > 1 {
				p.UID, _ = strconv.Atoi(ids[1])
			}
		case "CapEff":
			var err error
			p.Capabilities, err = strconv.ParseUint(value, 16, 64)
			p.Unknown = err != nil
		case "NoNewPrivs":
			p.NoNewPrivileges = value == "1"
		case "Seccomp":
			p.Seccomp = value == "2"
		}
	}
	return p
}

// wholeMap tells whether a uid_map maps every user to itself, as that of the
// first user namespace does:
//
//	0          0 4294967295
func wholeMap(text string) bool {
	f := strings.Fields(text)
	return len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == "4294967295"
}

// parseProfile reads AppArmor's attr/current: "unconfined", or
// "/usr/bin/qemu-ga (enforce)". A profile that only complains does not confine.
func parseProfile(text string) string {
	text = strings.TrimRight(text, "\n\x00")
	name, mode, ok := strings.Cut(text, " (")
	if !ok || mode != "enforce)" {
		return ""
	}
	return name
}
