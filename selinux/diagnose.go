package selinux

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// State is one word for what SELinux does to this process.
type State string

// The states.
const (
	// StateOff: no SELinux, or no policy: it keeps nobody from anything.
	StateOff State = "off"
	// StatePermissive: what the policy denies is logged and happens.
	StatePermissive State = "permissive"
	// StatePermissiveDomain: so it is, for this domain alone.
	StatePermissiveDomain State = "permissive-domain"
	// StateUnconfined: the domain is one that a policy lets do everything.
	StateUnconfined State = "unconfined"
	// StateConfined: the domain may do what the policy says.
	StateConfined State = "confined"
	// StateUnknown: SELinux is on, and more cannot be told.
	StateUnknown State = "unknown"
)

// Verdict is what is known of freezing and thawing by one mount.
type Verdict struct {
	Root
	// Allowed is "yes", "no", or "unknown" where trying gave no answer.
	Allowed string `json:"freeze-and-thaw"`
	// Cause says what keeps the mount from it, Missing which permissions,
	// as "dir { read open ioctl }", Reason says it in words.
	Cause   Cause  `json:"cause,omitempty"`
	Missing string `json:"missing,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Advice says what to do about it, the best first.
	Advice []Advice `json:"advice,omitempty"`
}

// Diagnosis is what the facts come to.
type Diagnosis struct {
	// State says in one word what SELinux does to the agent.
	State State `json:"state"`
	// Summary says the state in words.
	Summary string `json:"summary"`
	// Findings are further things worth knowing, in words.
	Findings []string `json:"findings,omitempty"`
	// Mounts has a verdict for each root.
	Mounts []Verdict `json:"mounts"`
	// Advice is what to do for all of them and for the agent itself: each
	// thing once, the best first.
	Advice []Advice `json:"advice,omitempty"`
}

// Diagnose concludes from what was found. It looks at nothing else, so the
// same facts give the same words.
func Diagnose(f Facts, roots []Root) Diagnosis {
	d := Diagnosis{State: f.state(), Mounts: []Verdict{}}
	d.Summary = f.summary(d.State)
	d.Findings = f.findings()
	for _, r := range roots {
		v := judge(f, r)
		if r.From == LabelGarbled {
			d.Findings = append(d.Findings, "cannot tell what the policy allows on "+r.Point+": its label is no context; freezing is tried instead")
		}
		d.Mounts = append(d.Mounts, v)
		d.Advice = appendAdvice(d.Advice, v.Advice...)
	}
	d.Advice = appendAdvice(d.Advice, agentAdvice(f)...)
	return d
}

// Blocked tells whether any root cannot be frozen and thawed.
func (d Diagnosis) Blocked() bool {
	return slices.ContainsFunc(d.Mounts, func(v Verdict) bool { return v.Allowed == "no" })
}

// judge gives the verdict on one root.
func judge(f Facts, r Root) Verdict {
	v := Verdict{Root: r, Allowed: "yes", Cause: cause(f, r)}
	if v.Cause == CauseNone {
		if f.On() && f.Selinuxfs == Forbidden {
			v.Allowed = "unknown" // it was opened; the ioctls could not be tried
			v.Reason = "it can be opened; what the ioctls are allowed, this domain may not ask"
		}
		return v.remark(f)
	}
	v.Allowed = "no"
	v.Missing = missingPermissions(r, v.Cause)
	v.Reason = reason(f, r, v)
	v.Advice = rootAdvice(f, r, v.Cause)
	return v
}

// remark says of a root that is not refused what is worth knowing.
func (v Verdict) remark(f Facts) Verdict {
	switch {
	case v.From == LabelGarbled:
		v.Reason = "cannot tell what the policy allows, as its label is no context; trying it succeeded"
	case len(v.Lacks) > 0 && !f.On():
		v.Missing = missingPermissions(v.Root, CauseType)
		v.Reason = "SELinux would deny " + v.Missing + " if it were enforced: the label is " + string(v.Label)
	}
	return v
}

// missingPermissions names what a rule of the policy would have to allow.
func missingPermissions(r Root, c Cause) string {
	switch {
	case c == CauseType && len(r.Lacks) > 0:
		return "dir { " + strings.Join(r.Lacks, " ") + " }"
	case c == CauseType && r.From == LabelHidden:
		return "dir { getattr read open ioctl }"
	case c == CauseType:
		return "dir { read open ioctl }"
	case c == CauseIoctl && r.Denial.Op == OpThaw:
		return "dir { ioctl }, extended permission 0x5878 (FITHAW)"
	case c == CauseIoctl && r.Denial.Op == OpTrim:
		return "dir { ioctl }, extended permission 0x5879 (FITRIM)"
	case c == CauseIoctl:
		return "dir { ioctl }, extended permission 0x5877 (FIFREEZE)"
	case c == CauseDAC:
		return "capability { dac_read_search }"
	case c == CauseAdmin:
		return "capability { sys_admin }"
	default:
		return ""
	}
}

// reason says why one root is refused.
func reason(f Facts, r Root, v Verdict) string {
	if v.Cause.bySELinux() {
		return selinuxReason(f, r, v)
	}
	switch v.Cause {
	case CauseMode:
		return fmt.Sprintf("not SELinux: mode %04o of user %d closes the directory to user %d", r.Mode, r.Owner, f.Process.UID)
	case CauseCapability:
		return "not SELinux: the agent runs without the capability " + capabilityFor(r)
	case CauseNamespace:
		return "not SELinux: the agent runs in a user namespace (a container), whose capabilities do not reach this filesystem"
	case CauseAppArmor:
		return "not SELinux: the AppArmor profile " + f.Process.AppArmor + " confines the agent"
	case CauseSeccomp:
		return "not SELinux: a seccomp filter judges the agent's system calls"
	case CauseDaemon:
		return "not SELinux, which answers otherwise: a permission daemon (fapolicyd, a virus scanner) or the filesystem itself refuses it"
	default:
		return unknownWords(f, r)
	}
}

// selinuxReason names both labels and the permission.
func selinuxReason(f Facts, r Root, v Verdict) string {
	who := "SELinux"
	if f.Mode == ModeUnknown {
		who = "probably SELinux, whose mode cannot be told,"
	}
	text := fmt.Sprintf("%s denies the agent's domain %s the permission %s", who, domainWords(f), v.Missing)
	switch v.Cause {
	case CauseDAC:
		return text + fmt.Sprintf(", which it needs as mode %04o of user %d closes the directory, labelled %s", r.Mode, r.Owner, r.Label)
	case CauseAdmin:
		return text
	default:
		return text + " on the directory, whose label " + labelWords(r)
	}
}

// unknownWords: what remains when nothing known explains the refusal.
func unknownWords(f Facts, r Root) string {
	switch {
	case strings.HasPrefix(r.Type, "fuse"):
		return "not SELinux: a FUSE filesystem lets nobody in but its owner (allow_root)"
	case !f.On():
		return "not SELinux, which is " + string(f.Mode) + "; a mount on the way, another security module or the filesystem refuses it"
	case f.Lockdown != "" && r.Denial.Errno == unix.EPERM:
		return "cannot tell what refuses it; the kernel is locked down (" + f.Lockdown + "), which does not forbid this"
	default:
		return "cannot tell whether SELinux refuses it: its policy allows the directory itself"
	}
}

// capabilityFor names what the process itself lacks.
func capabilityFor(r Root) string {
	if r.Denial.Op == OpOpen {
		return "CAP_DAC_READ_SEARCH"
	}
	return "CAP_SYS_ADMIN"
}

// labelWords names a root's label, or says why not.
func labelWords(r Root) string {
	switch {
	case r.Label != "":
		return "is " + string(r.Label)
	case r.From == LabelHidden:
		return "is hidden from that domain, too (ls -dZ " + quote(r.Point) + " shows it)"
	case r.From == LabelGarbled:
		return "is no context"
	default:
		return "cannot be told"
	}
}

func domainWords(f Facts) string {
	if f.Domain == "" {
		return "(unknown)"
	}
	return string(f.Domain)
}
