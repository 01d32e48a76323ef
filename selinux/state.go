package selinux

import (
	"fmt"
	"slices"
	"strings"
)

// fullDomains are the types that policies run services of no domain of their
// own in, which may do nearly everything.
var fullDomains = []string{"unconfined_service_t", "unconfined_t", "initrc_t", "init_t", "kernel_t", "sysadm_t"}

// agentDomains are the types of the guest agent: of Fedora and its kin, and of
// our module for the reference policy.
var agentDomains = []string{"virt_qemu_ga_t", "qemu_ga_t"}

// confined tells whether the agent runs in the domain meant for it.
func (f Facts) confined() bool { return slices.Contains(agentDomains, f.Domain.Type()) }

func (f Facts) state() State {
	switch {
	case f.Mode == Disabled, f.Mode == NoPolicy:
		return StateOff
	case f.Mode == Permissive:
		return StatePermissive
	case f.PermissiveDomain:
		return StatePermissiveDomain
	case f.Mode == ModeUnknown, f.Domain == "":
		return StateUnknown
	case slices.Contains(fullDomains, f.Domain.Type()):
		return StateUnconfined
	default:
		return StateConfined
	}
}

func (f Facts) summary(s State) string {
	switch s {
	case StateOff:
		if f.Mode == NoPolicy {
			return "SELinux is on, and no policy has been loaded: it denies nothing"
		}
		return "SELinux is off"
	case StatePermissive:
		return "SELinux is permissive: what it would deny the agent is logged and happens"
	case StatePermissiveDomain:
		return "SELinux is enforcing, and permissive for the agent's domain " + f.Domain.Type()
	case StateUnconfined:
		return "SELinux is enforcing, and the agent runs in " + f.Domain.Type() + ", which is not a guest agent's domain"
	case StateConfined:
		return "SELinux is enforcing, and confines the agent to " + f.Domain.Type()
	default:
		return "SELinux is on; cannot tell its mode or the agent's domain"
	}
}

// findings says what else is worth knowing.
func (f Facts) findings() []string {
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if f.Mode == Disabled || f.Mode == NoPolicy {
		return nil
	}
	if f.Foreign {
		add("this is about the agent that runs, or that init would start, and not about this command")
	}
	switch {
	case f.Selinuxfs == Forbidden:
		add("the agent's domain may not read selinuxfs: that SELinux enforces is concluded from this, and freezing is tried instead of asked")
	case f.Selinuxfs == Absent:
		add("selinuxfs is not mounted where the agent runs: cannot tell the mode")
	case f.Selinuxfs == ReadOnly:
		add("selinuxfs is mounted read-only (ProtectKernelTunables=, or a container): the kernel cannot be asked, and freezing is tried instead")
	case f.Asking == AskDenied:
		add("the agent's domain may not ask the kernel what the policy allows: freezing is tried instead")
	case f.Asking == AskGarbled:
		add("cannot tell what the policy allows: the kernel's answer has not the known form, or the policy not the known classes; freezing is tried instead")
	}
	if f.Selinuxfs != Absent && f.Mode == ModeUnknown {
		add("cannot tell the mode: the file enforce has not the known form")
	}
	if f.Domain == "" {
		add("cannot tell the agent's domain: /proc does not name a context")
	}
	return found
}

// quote makes a path one word for a shell.
func quote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@,", r)
	}
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
