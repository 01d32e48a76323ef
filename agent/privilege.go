package agent

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Capability is one of capabilities(7), by its number.
type Capability int

// freezing is what a freeze and a thaw need: the ioctls themselves; mount
// points below directories that are closed to others; and for the freezer to
// be scheduled at once, to be the last to die of want of memory, and to be in
// memory as a whole, so that it never waits for a disk.
var freezing = []Capability{
	unix.CAP_SYS_ADMIN, unix.CAP_DAC_READ_SEARCH,
	unix.CAP_SYS_NICE, unix.CAP_SYS_RESOURCE, unix.CAP_IPC_LOCK,
}

// needs lists the commands for which it is not enough to be the user root
// without any capability: root owns the files that the others read or write.
// No list stands for all of them: the command runs programs of the guest, or
// does with its files whatever the host wants.
var needs = map[string][]Capability{
	"guest-exec":              nil,
	"guest-file-open":         nil,
	"guest-set-user-password": nil,
	"guest-shutdown":          nil,
	"guest-suspend-disk":      nil,
	"guest-suspend-ram":       nil,
	"guest-suspend-hybrid":    nil,

	"guest-fsfreeze-freeze":      freezing,
	"guest-fsfreeze-freeze-list": freezing,
	"guest-fstrim":               {unix.CAP_SYS_ADMIN, unix.CAP_DAC_READ_SEARCH},
	"guest-set-time":             {unix.CAP_SYS_TIME},
	// What lies below directories that are closed to others.
	"guest-get-fsinfo": {unix.CAP_DAC_READ_SEARCH},
	"x-fsfreeze-check": {unix.CAP_DAC_READ_SEARCH},
	// The files are the users', in their directories.
	"guest-ssh-get-authorized-keys":    {unix.CAP_DAC_READ_SEARCH},
	"guest-ssh-add-authorized-keys":    {unix.CAP_DAC_OVERRIDE, unix.CAP_CHOWN, unix.CAP_FOWNER},
	"guest-ssh-remove-authorized-keys": {unix.CAP_DAC_OVERRIDE, unix.CAP_CHOWN, unix.CAP_FOWNER},
}

// Capabilities returns, in the order of their numbers, the only capabilities
// that the commands need which the policy enables. all says that they may need
// any: then none can be given up.
func (a *Agent) Capabilities() (needed []Capability, all bool) {
	for _, c := range a.table {
		list, known := needs[c.Name]
		if !known || !a.policy.permits(c.Name) {
			continue
		}
		if list == nil {
			return nil, true
		}
		needed = append(needed, list...)
	}
	slices.Sort(needed)
	return slices.Compact(needed), false
}

// FreezeCapabilities returns what freezing and thawing needs, also when no
// host may ask for it: the agent thaws what an earlier one left frozen.
func FreezeCapabilities() []Capability { return slices.Clone(freezing) }
