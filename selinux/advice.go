package selinux

import (
	"slices"
	"strings"
)

// Advice is one thing that an administrator can do.
type Advice struct {
	// Kind is "relabel", "module", "boolean", "relabel-agent", "unit" or
	// "look": see the Advise constants.
	Kind string `json:"kind"`
	// Text says what to do and what it brings.
	Text string `json:"text"`
	// Command does it, run by root in the guest; "" where no single command
	// can.
	Command string `json:"command,omitempty"`
}

// The kinds of advice.
const (
	// AdviseRelabel: give the directory the label the policy has for it.
	AdviseRelabel = "relabel"
	// AdviseModule: load the policy module that this program brings.
	AdviseModule = "module"
	// AdviseBoolean: switch a boolean of the policy.
	AdviseBoolean = "boolean"
	// AdviseProgram: give the agent's own file its label.
	AdviseProgram = "relabel-agent"
	// AdviseUnit: change the agent's unit.
	AdviseUnit = "unit"
	// AdviseLook: nothing but to find out more.
	AdviseLook = "look"
)

// InstallModule is the command that loads the policy module of this program.
const InstallModule = "qemu-ga policy --install"

// unit is the agent's unit, by the name that everybody has for it.
const unit = "qemu-guest-agent"

// unlabeled is the type of a file that has never been given one, or has lost
// it: a new filesystem that nobody has labelled.
const unlabeled = "unlabeled_t"

// rootAdvice says what to do about a root that is refused.
func rootAdvice(f Facts, r Root, c Cause) []Advice {
	switch c {
	case CauseType:
		return typeAdvice(f, r)
	case CauseIoctl, CauseDAC, CauseAdmin:
		if a := domainAdvice(f); a != nil {
			return a
		}
		return []Advice{module}
	case CauseCapability, CauseMode:
		return []Advice{{
			AdviseUnit, "let the agent run as root with " + capabilityFor(r) + " (CapabilityBoundingSet=, User= of its unit)",
			"systemctl edit " + unit,
		}}
	case CauseNamespace:
		return []Advice{{AdviseUnit, "run the agent in the guest itself, or in a container without a user namespace (--privileged --userns=host)", ""}}
	case CauseAppArmor:
		return []Advice{{AdviseUnit, "change the AppArmor profile, or let it only complain", "aa-complain " + quote(f.Process.AppArmor)}}
	case CauseSeccomp:
		return []Advice{{AdviseUnit, "let the agent's unit allow ioctl (SystemCallFilter=)", "systemctl edit " + unit}}
	case CauseDaemon:
		return []Advice{{AdviseLook, "look for a permission daemon, and let it trust " + program(f), ""}}
	default:
		if !f.On() || strings.HasPrefix(r.Type, "fuse") {
			return nil // and nobody to ask
		}
		return []Advice{{AdviseLook, "look who denies it", "ausearch -m avc -ts recent"}}
	}
}

// typeAdvice: what the label is decides.
func typeAdvice(f Facts, r Root) []Advice {
	relabel := Advice{AdviseRelabel, "give the filesystem its labels, of which it has none", "restorecon -R " + quote(r.Point)}
	switch wrong := domainAdvice(f); {
	case wrong != nil:
		return wrong
	case r.From == FromMount:
		return []Advice{module, {AdviseRelabel, "or mount it with another label (the options context= and rootcontext=)", ""}}
	case r.Label.Type() == unlabeled, r.From == LabelGarbled:
		return []Advice{relabel, module}
	case f.MayAsk && f.confined():
		// The domain has our module, or as much as it brings.
		return []Advice{
			{
				AdviseRelabel, "the label is one that the module leaves alone because its files are secrets of the system: give the mount point another",
				"semanage fcontext -a -t default_t " + quote(r.Point) + " && restorecon -v " + quote(r.Point),
			},
			module,
		}
	case r.From == LabelHidden:
		relabel.Text = "if its label is unlabeled_t: give the filesystem its labels"
		return append([]Advice{module, relabel}, booleanAdvice(f)...)
	default:
		return append([]Advice{module}, booleanAdvice(f)...)
	}
}

// module is the cure for everything that the vendor's policy leaves out.
var module = Advice{
	AdviseModule, "load the policy module that comes with qemu-ga: it opens the roots of filesystems, and no file", InstallModule,
}

// booleanAdvice offers the vendor's switch, which opens more than is needed.
func booleanAdvice(f Facts) []Advice {
	const name = "virt_qemu_ga_read_nonsecurity_files"
	if f.Domain.Type() != agentDomains[0] || slices.Contains(f.Booleans, Boolean{name, "on"}) {
		return nil
	}
	return []Advice{{AdviseBoolean, "or switch a boolean, which lets the host read nearly every file of the guest, too", "setsebool -P " + name + " on"}}
}

// domainAdvice is for an agent that SELinux keeps from something in a domain
// that is not its own; nil if the domain is not the fault.
func domainAdvice(f Facts) []Advice {
	switch {
	case f.Domain == "" || f.confined():
		return nil
	case f.Process.NoNewPrivileges:
		return []Advice{{
			AdviseUnit,
			"take NoNewPrivileges=yes (and what implies it) out of the agent's unit: it keeps the agent in " + f.Domain.Type() + " instead of its own domain",
			"systemctl edit " + unit,
		}}
	case len(f.Booleans) == 0 && f.Selinuxfs == Mounted:
		// The policy has never heard of guest agents.
		return []Advice{{
			AdviseModule, "load the policy module that comes with qemu-ga: it gives the agent a domain of its own",
			InstallModule + " && systemctl restart " + unit,
		}}
	case !isAgentProgram(f.ProgramLabel):
		return programAdvice(f)
	default:
		return []Advice{{AdviseUnit, "let systemd start the agent, which gives it its domain", "systemctl restart " + unit}}
	}
}

// programAdvice is for an agent whose file does not have the label that gives
// it its domain.
func programAdvice(f Facts) []Advice {
	path := program(f)
	a := Advice{AdviseProgram, "the agent's file is not labelled as a guest agent's", ""}
	if f.ProgramLabel != "" {
		a.Text += " but " + f.ProgramLabel.Type()
	}
	a.Command = "restorecon -v " + quote(path) + " && systemctl restart " + unit
	if path != installed {
		a.Text += ", and policies know it as " + installed
		a.Command = "install " + quote(path) + " " + installed + " && restorecon -v " + installed
	}
	return []Advice{a}
}

// installed is the path that policies have a label for.
const installed = "/usr/bin/qemu-ga"

func program(f Facts) string {
	if f.Program == "" {
		return installed
	}
	return f.Program
}

// isAgentProgram tells whether a label gives a program the agent's domain.
func isAgentProgram(label Context) bool {
	return label == "" || slices.Contains([]string{"virt_qemu_ga_exec_t", "qemu_ga_exec_t"}, label.Type())
}

// agentAdvice is about the agent itself, blocked or not: in a domain that may
// do everything it is not confined at all.
func agentAdvice(f Facts) []Advice {
	if f.state() != StateUnconfined {
		return nil
	}
	return domainAdvice(f)
}

// appendAdvice adds what is not there yet.
func appendAdvice(list []Advice, more ...Advice) []Advice {
	for _, a := range more {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}
