package selinux

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// ForAgent is Probe for an administrator: the facts are those of the agent
// that runs, or that systemd would start from this program's file, as far as
// this process may ask for it. Where it may not, they are its own.
func (s *System) ForAgent() Facts {
	own := s.Probe()
	if own.Mode != Enforcing || own.confined() || own.Asking != AskAllowed {
		return own
	}
	f := own
	f.Foreign = true
	if pid := s.running(); pid != "" {
		text, err := s.read(filepath.Join(s.proc, pid, "attr/current"))
		if f.Domain = parseContext(text); err != nil || f.Domain == "" {
			return own
		}
		if text, err := s.read(filepath.Join(s.proc, pid, "status")); err == nil {
			f.Process = parseStatus(string(text))
		}
	} else if f.Domain = s.transition(own.ProgramLabel); f.Domain == "" {
		return own
	}
	var err error
	f.LacksCapabilities, f.PermissiveDomain, err = s.lacks(f.Domain, f.Domain, "capability", "dac_read_search", "sys_admin")
	if f.Asking = asking(err); f.Asking != AskAllowed {
		return own
	}
	f.MayAsk = s.mayAsk(f.Domain)
	return f
}

// mayAsk asks whether a domain may ask.
func (s *System) mayAsk(domain Context) bool {
	text, err := s.label(s.node("enforce"), -1)
	if err != nil {
		return false
	}
	missing, _, err := s.lacks(domain, parseContext(text), "security", "compute_av")
	return err == nil && len(missing) == 0
}

// running finds another process that runs this program's file.
func (s *System) running() (pid string) {
	own, err := os.Stat(s.proc + "/thread-self/exe")
	if err != nil {
		return ""
	}
	pids, err := s.list(s.proc)
	if err != nil {
		return ""
	}
	for _, pid := range pids {
		if n, err := strconv.Atoi(pid); err != nil || n == os.Getpid() {
			continue
		}
		if exe, err := os.Stat(filepath.Join(s.proc, pid, "exe")); err == nil && os.SameFile(own, exe) {
			return pid
		}
	}
	return ""
}

// transition asks which domain init starts a file with this label in.
func (s *System) transition(label Context) Context {
	init, err := s.read(s.proc + "/1/attr/current")
	from := parseContext(init)
	c, cerr := s.class("process")
	if err != nil || cerr != nil || from == "" || label == "" {
		return ""
	}
	answer, err := s.ask(s.node("create"), fmt.Sprintf("%s %s %d", from, label, c.number))
	if err != nil {
		return ""
	}
	return parseContext([]byte(answer))
}

// predict concludes from the kernel's answers what it would refuse a process
// that is not the one that asks.
func predict(f Facts, r Root) Denial {
	switch {
	case len(r.Lacks) > 0:
		return Denial{OpOpen, unix.EACCES}
	case r.Known && closedTo(f.Process.UID, r) && slices.Contains(f.LacksCapabilities, "dac_read_search"):
		return Denial{OpOpen, unix.EACCES}
	case slices.Contains(f.LacksCapabilities, "sys_admin"), !f.Process.can(capSysAdmin):
		return Denial{OpFreeze, unix.EPERM}
	default:
		return Denial{}
	}
}
