package selinux

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Mode is what SELinux does with what its policy denies.
type Mode string

// The modes.
const (
	// Disabled: this kernel runs without SELinux.
	Disabled Mode = "disabled"
	// NoPolicy: SELinux is on and no policy has been loaded: all is allowed.
	NoPolicy Mode = "no-policy"
	// Permissive: denials are logged and do not happen.
	Permissive Mode = "permissive"
	// Enforcing: denials happen.
	Enforcing Mode = "enforcing"
	// ModeUnknown: SELinux is on, and its mode cannot be told.
	ModeUnknown Mode = "unknown"
)

// Mount says how the kernel's files of SELinux are within reach.
type Mount string

// The ways.
const (
	// Absent: selinuxfs is not mounted where this process sees it.
	Absent Mount = "absent"
	// ReadOnly: it can be read, and the kernel cannot be asked.
	ReadOnly Mount = "read-only"
	// Mounted: it is there. What may be read depends on the domain.
	Mounted Mount = "mounted"
	// Forbidden: it is there and this domain may not read it.
	Forbidden Mount = "forbidden"
)

// selinuxfs is where it is mounted, below /sys.
const selinuxfs = "/fs/selinux"

// policy reads the mode, and how it is to be had.
func (s *System) policy(f *Facts) {
	f.Mode, f.Selinuxfs = Disabled, Absent
	text, err := s.read(s.node("enforce"))
	switch {
	case err == nil:
		f.Selinuxfs = Mounted
		f.Mode = parseMode(text)
	case errors.Is(err, unix.EACCES):
		// The file is readable by everybody but for SELinux: it enforces, and
		// on this domain.
		f.Mode, f.Selinuxfs = Enforcing, Forbidden
	case s.known():
		f.Mode = ModeUnknown // a container without selinuxfs
	default:
		return
	}
	if text, err := s.read(s.proc + "/thread-self/attr/current"); err == nil {
		f.Domain = parseContext(text)
		if string(bytes.TrimRight(text, "\x00\n")) == "kernel" { // until a policy is loaded
			f.Mode = NoPolicy
		}
	}
	if f.Selinuxfs != Mounted || f.Mode == NoPolicy {
		return
	}
	if classes, err := s.list(s.node("class")); err == nil && len(classes) == 0 {
		f.Mode = NoPolicy
	}
	f.Booleans = s.booleans()
}

// known tells whether the kernel runs with SELinux: it then knows the type
// of filesystem. A line of /proc/filesystems is "nodev	selinuxfs".
func (s *System) known() bool {
	text, err := s.read(s.proc + "/filesystems")
	if err != nil {
		return false
	}
	return slices.Contains(strings.Fields(string(text)), "selinuxfs")
}

// parseMode reads the file enforce.
func parseMode(text []byte) Mode {
	switch strings.TrimRight(string(text), "\n") {
	case "1":
		return Enforcing
	case "0":
		return Permissive
	default:
		return ModeUnknown
	}
}

// Boolean is a switch of the policy.
type Boolean struct {
	// Name is what setsebool(8) calls it.
	Name string `json:"name"`
	// State is "on", "off", or "hidden" where this domain may not read it.
	State string `json:"state"`
}

// booleans reads those that are about guest agents. One that may not be read
// stands for all: each try would be one more line in the audit log.
func (s *System) booleans() []Boolean {
	names, err := s.list(s.node("booleans"))
	if err != nil {
		return nil
	}
	var found []Boolean
	hidden := false
	for _, name := range names {
		if !strings.Contains(name, "qemu_ga") {
			continue
		}
		state := "hidden"
		if !hidden {
			text, err := s.read(s.node("booleans/" + name))
			hidden = errors.Is(err, unix.EACCES)
			state = booleanState(text)
		}
		found = append(found, Boolean{name, state})
	}
	return found
}

// booleanState reads a boolean's file: its value now, and the one that waits
// to be committed, as "0 1".
func booleanState(text []byte) string {
	switch now, _, _ := strings.Cut(string(text), " "); now {
	case "0":
		return "off"
	case "1":
		return "on"
	default:
		return "hidden"
	}
}

// node names a file of selinuxfs.
func (s *System) node(name string) string { return s.sys + selinuxfs + "/" + name }
