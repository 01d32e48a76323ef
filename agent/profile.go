package agent

import (
	"fmt"
	"slices"
	"strings"
)

// The profiles: what a host may ask for, in three sizes.
const (
	// ProfileFreezeOnly is for snapshots alone.
	ProfileFreezeOnly = "freeze-only"
	// ProfileInfo only tells what the guest looks like. Nothing in it changes
	// the guest, or shows what not every user of it could see.
	ProfileInfo = "info"
	// ProfileFull is every command.
	ProfileFull = "full"
)

// profiles names the commands of each profile but the full one. A command that
// is in none is new, or not for everybody: it is in the full profile only.
var profiles = map[string][]string{
	ProfileFreezeOnly: {
		"guest-sync", "guest-sync-delimited", "guest-ping", "guest-info",
		"guest-fsfreeze-status", "guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list",
		"guest-fsfreeze-thaw", "x-fsfreeze-report", "x-fsfreeze-check",
	},
	ProfileInfo: {
		"guest-sync", "guest-sync-delimited", "guest-ping", "guest-info",
		"guest-get-time", "guest-get-timezone", "guest-get-host-name",
		"guest-get-osinfo", "guest-get-users", "guest-get-load",
		"guest-get-cpustats", "guest-get-diskstats", "guest-get-vcpus",
		"guest-get-memory-blocks", "guest-get-memory-block-info",
		"guest-get-disks", "guest-get-fsinfo",
		"guest-network-get-interfaces", "guest-network-get-route",
		"guest-fsfreeze-status", "x-fsfreeze-report", "x-fsfreeze-check",
	},
}

// CheckProfiles returns an error if one of the names is no profile's.
func CheckProfiles(names []string) error {
	known := []string{ProfileFreezeOnly, ProfileInfo, ProfileFull}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%q is not a profile: use %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// profileCommands returns the commands of several profiles together; nil is
// all commands. A name that is no profile's has no commands.
func profileCommands(names []string) map[string]bool {
	if len(names) == 0 || slices.Contains(names, ProfileFull) {
		return nil
	}
	commands := map[string]bool{}
	for _, name := range names {
		for _, command := range profiles[name] {
			commands[command] = true
		}
	}
	return commands
}
