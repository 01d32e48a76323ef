package selinux

import (
	"slices"
	"strings"
)

// Need is what a command of a guest agent does that a policy may deny, beside
// the freeze.
type Need struct {
	// What is what it does, as in "the policy must let the agent …".
	What string
	// Vendor and Own are the booleans that allow it, in the policies of Fedora
	// and its kin and in our module's domain for the reference policy.
	Vendor, Own []string
	// VendorLabel and OwnLabel are what a file must be labelled for it, in the
	// same two; "" is nothing.
	VendorLabel, OwnLabel string
	// Module says what of it the policy module of this program opens in the
	// vendor's domain; "" is nothing.
	Module string
	// Confined tells that an agent in another domain than its own has it.
	Confined bool
	// Lockdown says what a kernel that is locked down forbids of it; "" is
	// nothing.
	Lockdown string
}

// The needs of the protocol's commands.
var (
	// NeedNothing is allowed by every policy that has a domain for the agent.
	NeedNothing = Need{}
	// NeedFreeze is what the module brings, and a hook that can be run.
	NeedFreeze = Need{
		What:   "open the roots of filesystems, and look at the hook and run it",
		Module: "it opens the roots, and has links among the hooks followed", VendorLabel: "virt_qemu_ga_unconfined_exec_t",
		OwnLabel: "qemu_ga_hook_exec_t",
	}
	// NeedHook is what a hook does itself, which the vendor's policy runs in the
	// agent's domain, and both in it if the hook has not its label.
	NeedHook = Need{
		What: "do what the hook does, if that runs in the same domain", Vendor: []string{"virt_qemu_ga_run_unconfined"},
		VendorLabel: "virt_qemu_ga_unconfined_exec_t", OwnLabel: "qemu_ga_hook_exec_t", Confined: true,
	}
	// NeedFiles is about files of anybody's.
	NeedFiles = Need{
		What: "open the file", Vendor: []string{"virt_qemu_ga_read_nonsecurity_files", "virt_rw_qemu_ga_data"},
		Own: []string{"qemu_ga_read_nonsecurity_files", "qemu_ga_manage_nonsecurity_files"}, VendorLabel: "virt_qemu_ga_data_t",
	}
	// NeedKeys is about ~/.ssh/authorized_keys.
	NeedKeys = Need{
		What: "change the users' authorized_keys", Vendor: []string{"virt_qemu_ga_manage_ssh"},
		Own: []string{"qemu_ga_manage_ssh"},
	}
	// NeedPrograms is about programs of anybody's.
	NeedPrograms = Need{
		What: "run the program, which it then does in its own domain", Vendor: []string{"virt_qemu_ga_run_unconfined"},
		Own: []string{"qemu_ga_run_unconfined"}, VendorLabel: "virt_qemu_ga_unconfined_exec_t",
	}
	// NeedPassword is about chpasswd(8).
	NeedPassword = Need{What: "run chpasswd in the domain passwd_t"}
	// NeedClock is about the clocks.
	NeedClock = Need{What: "set the clock, and run hwclock (capability sys_time)"}
	// NeedPower is about systemctl(1), shutdown(8) and /sys/power.
	NeedPower = Need{What: "have init or logind stop the guest, or write /sys/power"}
	// NeedHibernation is NeedPower, and leave to write the memory to a disk.
	NeedHibernation = Need{What: NeedPower.What, Lockdown: "suspending to disk"}
	// NeedSysfs is about switching processors and memory.
	NeedSysfs = Need{What: "write to sysfs"}
	// NeedChannel is about virtio ports, serial lines and sockets.
	NeedChannel = Need{What: "open the channel", Module: "it lets the agent listen on vsock"}
)

// Booleans are those that open the need in a policy that calls the agent's
// domain so.
func (n Need) booleans(domain string) []string {
	if domain == agentDomains[0] {
		return n.Vendor
	}
	return n.Own
}

// lacksModule tells whether the agent is in a domain that the module has not
// taught to ask the kernel.
func (f Facts) lacksModule() bool {
	return f.confined() && (f.Selinuxfs == Forbidden || f.Asking == AskDenied)
}

// label is what a file must be labelled there.
func (n Need) label(domain string) string {
	if domain == agentDomains[0] {
		return n.VendorLabel
	}
	return n.OwnLabel
}

// Explain says what SELinux has to do with a command's EACCES or EPERM; "" if
// it has nothing to do with it.
func (n Need) Explain(f Facts) string {
	if n.Lockdown != "" && f.Lockdown != "" {
		return "not SELinux: the kernel is locked down (" + f.Lockdown + "), which forbids " + n.Lockdown
	}
	if !f.On() || n.What == "" || n.Confined && !f.confined() {
		return ""
	}
	text := "SELinux may deny it: the policy must let the agent's domain " + domainWords(f) + " " + n.What
	if !f.confined() {
		if a := domainAdvice(f); len(a) > 0 {
			text += "; " + AdviceText(a[:1])
		}
		return text
	}
	domain := f.Domain.Type()
	var opens []string
	if n.Module != "" && f.lacksModule() {
		opens = append(opens, InstallModule+" (the policy module that comes with qemu-ga: "+n.Module+")")
	}
	for _, name := range n.booleans(domain) {
		opens = append(opens, "setsebool -P "+name+" on"+alreadyOn(f, name))
	}
	if label := n.label(domain); label != "" {
		opens = append(opens, "a file labelled "+label+" (semanage fcontext, restorecon)")
	}
	if len(opens) > 0 {
		text += "; what opens it: " + strings.Join(opens, ", or ")
	}
	return text
}

// alreadyOn says so of a boolean, where that can be read.
func alreadyOn(f Facts, name string) string {
	if slices.Contains(f.Booleans, Boolean{name, "on"}) {
		return " (it is on)"
	}
	return ""
}

// AdviceText puts advice into one line.
func AdviceText(list []Advice) string {
	var words []string
	for _, a := range list {
		word := a.Text
		if a.Command != "" {
			word = a.Command + " (" + a.Text + ")"
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return ""
	}
	return "As root in the guest: " + strings.Join(words, "; ")
}
