package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze"
)

func TestProfiles(t *testing.T) {
	for name, commands := range profiles {
		for _, command := range commands {
			require.Contains(t, Commands(), command, name)
		}
	}
	changing := map[string]bool{} // those whose use the log tells of
	for _, c := range table() {
		changing[c.Name] = c.is(privileged)
	}
	for _, command := range profiles[ProfileInfo] {
		require.False(t, changing[command], "%s: the profile only tells", command)
	}
	require.NoError(t, CheckProfiles([]string{"freeze-only", "info", "full"}))
	require.EqualError(t, CheckProfiles([]string{"info", "Full"}), `"Full" is not a profile: use freeze-only, info, full`)
}

// A profile takes away, and so do the lists; none gives back.
func TestProfileWithLists(t *testing.T) {
	both := append(slices.Clone(profiles[ProfileFreezeOnly]), profiles[ProfileInfo]...)
	slices.Sort(both)
	for _, test := range []struct {
		name                   string
		profiles, allow, block []string
		want                   []string
	}{
		{"none", nil, nil, nil, Commands()},
		{"full", []string{"full"}, nil, nil, Commands()},
		{"freeze-only", []string{"freeze-only"}, nil, nil, profiles[ProfileFreezeOnly]},
		{"info", []string{"info"}, nil, nil, profiles[ProfileInfo]},
		{"two", []string{"info", "freeze-only"}, nil, nil, slices.Compact(both)},
		{"unknown", []string{"ful"}, nil, nil, nil},
		{"allow", []string{"info"}, []string{"guest-info", "guest-exec", "guest-get-time"}, nil, []string{"guest-info", "guest-get-time"}},
		{"block", []string{"freeze-only"}, nil, []string{"guest-fsfreeze-freeze-list"}, slices.DeleteFunc(slices.Clone(profiles[ProfileFreezeOnly]),
			func(name string) bool { return name == "guest-fsfreeze-freeze-list" })},
		{"all three", []string{"full"}, []string{"guest-info", "guest-exec"}, []string{"guest-exec"}, []string{"guest-info"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAgent(t, Config{Profiles: test.profiles, Allow: test.allow, Block: test.block}, freeze.Config{})
			var enabled []string
			for _, c := range a.table {
				require.Equal(t, a.enabled(c), a.Permits(c.Name))
				if a.enabled(c) {
					enabled = append(enabled, c.Name)
				}
			}
			require.ElementsMatch(t, test.want, enabled)
			if slices.Contains(enabled, "guest-info") {
				require.ElementsMatch(t, test.want, enabledCommands(t, dial(t, a)))
			}
		})
	}
}

// However a host writes the name of a command that its profile does not have,
// it does not run, and what is enabled stays the same.
func TestProfileCannotBeWidened(t *testing.T) {
	for _, profile := range []string{ProfileFreezeOnly, ProfileInfo} {
		c := dial(t, newAgent(t, Config{Profiles: []string{profile}}, freeze.Config{}))
		before := enabledCommands(t, c)
		for _, name := range Commands() {
			if slices.Contains(profiles[profile], name) {
				continue
			}
			class, desc := c.fail(fmt.Sprintf(`{"execute":"%s"}`, name))
			require.Equal(t, "CommandNotFound", class)
			require.Equal(t, "Command "+name+" has been disabled: the command is not allowed", desc)
			escaped := strings.ReplaceAll(name, "e", `\u0065`)
			_, desc = c.fail(fmt.Sprintf(`{"arguments":{},"id":{"execute":"guest-ping"},"execute":"%s"}`, escaped))
			require.Equal(t, "Command "+name+" has been disabled: the command is not allowed", desc)
			for _, near := range []string{strings.ToUpper(name), " " + name, name + " ", name + `\u0000`, `\u0000` + name} {
				class, _ := c.fail(fmt.Sprintf(`{"execute":"%s"}`, near))
				require.Equal(t, "CommandNotFound", class)
			}
			c.fail(fmt.Sprintf(`{"execute":"guest-ping","execute":"%s"}`, name))
			c.fail(fmt.Sprintf(`{"exec-oob":"%s"}`, name))
		}
		c.fail(`{"execute":"guest-info","arguments":{"profile":"full"}}`)
		require.Equal(t, before, enabledCommands(t, c))
	}
}

func TestCapabilities(t *testing.T) {
	frozen := []Capability{unix.CAP_DAC_READ_SEARCH, unix.CAP_IPC_LOCK, unix.CAP_SYS_ADMIN, unix.CAP_SYS_NICE, unix.CAP_SYS_RESOURCE}
	for _, test := range []struct {
		name string
		cfg  Config
		want []Capability
		all  bool
	}{
		{"full", Config{}, nil, true},
		{"freeze-only", Config{Profiles: []string{ProfileFreezeOnly}}, frozen, false},
		{"info", Config{Profiles: []string{ProfileInfo}}, []Capability{unix.CAP_DAC_READ_SEARCH}, false},
		{"both", Config{Profiles: []string{ProfileFreezeOnly, ProfileInfo}}, frozen, false},
		{"by a list", Config{Allow: []string{"guest-ping", "guest-set-time"}}, []Capability{unix.CAP_SYS_TIME}, false},
		{"nothing", Config{Allow: []string{}}, nil, false},
		{"one that runs programs", Config{Allow: []string{"guest-ping", "guest-shutdown"}}, nil, true},
	} {
		got, all := New(test.cfg).Capabilities()
		require.Equal(t, test.want, got, test.name)
		require.Equal(t, test.all, all, test.name)
	}
	for name := range needs {
		require.Contains(t, Commands(), name)
	}
}
