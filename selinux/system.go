package selinux

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Config says where the kernel shows itself. The zero value is the running
// system.
type Config struct {
	// Proc and Sys are where procfs and sysfs are, as a rule /proc and /sys,
	// which "" stands for.
	Proc, Sys string
}

// System is the kernel as this process sees it. Its methods may be called
// from any goroutine; each looks afresh.
type System struct {
	proc, sys string

	// What a captured tree of plain files cannot do by itself.
	read  func(path string) ([]byte, error)
	link  func(path string) (string, error)
	ask   func(node, question string) (answer string, err error)
	label func(path string, fd int) ([]byte, error)
	stat  func(path string, fd int) (unix.Stat_t, error)
}

// New makes a System.
func New(cfg Config) *System {
	s := &System{
		proc: cfg.Proc, sys: cfg.Sys,
		read: readFile, link: os.Readlink, ask: askNode, label: getLabel, stat: getStat,
	}
	if s.proc == "" {
		s.proc = "/proc"
	}
	if s.sys == "" {
		s.sys = "/sys"
	}
	return s
}

// readFile is os.ReadFile by a single thread. A file below /proc/thread-self
// that a thread has opened can be read by another only with the permission
// getattr on its process, which agents' domains lack.
func readFile(path string) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return os.ReadFile(path)
}

// list names what is in a directory.
func (s *System) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// getLabel reads the label of an open file, or of the file at path if fd is
// negative.
func getLabel(path string, fd int) ([]byte, error) {
	const name = "security.selinux"
	label := make([]byte, maxContext)
	var n int
	var err error
	if fd >= 0 {
		n, err = unix.Fgetxattr(fd, name, label)
	} else {
		n, err = unix.Getxattr(path, name, label)
	}
	if err != nil {
		return nil, err
	}
	return label[:n], nil
}

// getStat looks at an open file, or at the file at path if fd is negative.
func getStat(path string, fd int) (st unix.Stat_t, err error) {
	if fd >= 0 {
		err = unix.Fstat(fd, &st)
		return st, err
	}
	err = unix.Stat(path, &st)
	return st, err
}

// Facts is what Probe finds. All of it is what the kernel said; Diagnose
// concludes.
type Facts struct {
	// Mode is what SELinux does, Selinuxfs how its files are within reach.
	Mode      Mode  `json:"mode"`
	Selinuxfs Mount `json:"selinuxfs"`
	// Foreign tells that all this is not about the process that asks but
	// about the agent that it speaks for.
	Foreign bool `json:"foreign,omitempty"`
	// Domain is the context of this process; "" where SELinux is off.
	Domain Context `json:"domain,omitempty"`
	// Asking says whether the kernel answers what its policy allows.
	Asking Asking `json:"asking"`
	// MayAsk tells that the agent's own domain may ask, as it may with the
	// policy module of this program.
	MayAsk bool `json:"may-ask"`
	// PermissiveDomain tells that denials do not happen to this domain. It is
	// known only where the kernel may be asked.
	PermissiveDomain bool `json:"permissive-domain"`
	// LacksCapabilities are those of the freeze that the policy denies the
	// domain, as far as the kernel says.
	LacksCapabilities []string `json:"lacks-capabilities,omitempty"`
	// Booleans are the policy's switches for guest agents.
	Booleans []Boolean `json:"booleans,omitempty"`
	// Process is what does not depend on SELinux.
	Process Process `json:"process"`
	// Program is the file that this process runs, ProgramLabel its label.
	Program      string  `json:"program,omitempty"`
	ProgramLabel Context `json:"program-label,omitempty"`
	// Lockdown is the kernel's own mode of that name; "" is none.
	Lockdown string `json:"lockdown,omitempty"`
}

// On tells whether SELinux keeps this process from anything.
func (f Facts) On() bool {
	return (f.Mode == Enforcing || f.Mode == ModeUnknown) && !f.PermissiveDomain
}

// Probe finds out about the kernel, its policy and this process.
func (s *System) Probe() Facts {
	f := s.Glance()
	if f.Mode == Disabled {
		return f
	}
	if f.Program, _ = s.link(s.proc + "/thread-self/exe"); f.Program != "" {
		f.Program = strings.TrimSuffix(f.Program, " (deleted)")
		if text, err := s.label(s.proc+"/thread-self/exe", -1); err == nil {
			f.ProgramLabel = parseContext(text)
		}
	}
	return f
}

// Glance is Probe without a look at any file on a disk, for a time when
// filesystems are frozen.
func (s *System) Glance() Facts {
	f := Facts{Process: s.process(), Asking: AskUnavailable}
	s.policy(&f)
	if text, err := s.read(s.sys + "/kernel/security/lockdown"); err == nil {
		f.Lockdown = parseLockdown(string(text))
	}
	switch {
	case f.Selinuxfs == Forbidden:
		f.Asking = AskDenied
	case f.Selinuxfs == Mounted && f.Mode != NoPolicy && f.Domain != "":
		// A question whose answer is of use: the domain's own capabilities.
		var err error
		f.LacksCapabilities, f.PermissiveDomain, err = s.lacks(f.Domain, f.Domain, "capability", "dac_read_search", "sys_admin")
		if f.Asking = asking(err); f.Asking == AskReadOnly {
			f.Selinuxfs = ReadOnly
		}
		f.MayAsk = f.Asking == AskAllowed
	}
	return f
}

// parseLockdown reads the mode in brackets: "none [integrity] confidentiality".
func parseLockdown(text string) string {
	_, rest, _ := strings.Cut(text, "[")
	mode, _, ok := strings.Cut(rest, "]")
	if !ok || mode == "none" {
		return ""
	}
	return mode
}
