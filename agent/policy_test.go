package agent

import (
	"encoding/json"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/freeze"
)

// enabledCommands asks guest-info.
func enabledCommands(t *testing.T, c *client) (enabled []string) {
	t.Helper()
	var info agentInfo
	require.NoError(t, json.Unmarshal([]byte(c.call(`{"execute":"guest-info"}`)), &info))
	require.Len(t, info.SupportedCommands, len(table()))
	for _, command := range info.SupportedCommands {
		if command.Enabled {
			enabled = append(enabled, command.Name)
		}
	}
	slices.Reverse(enabled)
	return enabled
}

func TestPolicyLists(t *testing.T) {
	all := Commands()
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(names, n) })
	}
	tests := []struct {
		name         string
		allow, block []string
		want         []string
	}{
		{"no lists", nil, nil, all},
		{"block", nil, []string{"guest-get-time", "no-such-command"}, without("guest-get-time")},
		{"allow", []string{"guest-ping", "guest-info", "no-such"}, nil, []string{"guest-ping", "guest-info"}},
		{"both", []string{"guest-ping", "guest-info"}, []string{"guest-ping"}, []string{"guest-info"}},
		{"names are exact", nil, []string{"Guest-Ping", " guest-ping", "guest-*"}, all},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, newAgent(t, Config{Allow: test.allow, Block: test.block}, freeze.Config{}))
			require.ElementsMatch(t, test.want, enabledCommands(t, c))
		})
	}
}

func TestBlockedCommand(t *testing.T) {
	c := dial(t, newAgent(t, Config{Block: []string{"guest-get-time"}}, freeze.Config{}))
	class, desc := c.fail(`{"execute":"guest-get-time"}`)
	require.Equal(t, "CommandNotFound", class)
	require.Equal(t, "Command guest-get-time has been disabled: the command is not allowed", desc)
	class, desc = c.fail(`{"execute":"guest-get-Time"}`)
	require.Equal(t, "CommandNotFound", class)
	require.Equal(t, "The command guest-get-Time has not been found", desc)
}

// What a host may not run is in the log, if it would have been.
func TestPolicyRefusalsAreLogged(t *testing.T) {
	log := &shared{}
	cfg := Config{Log: slog.New(slog.NewTextHandler(log, nil)), Block: []string{"guest-exec", "guest-get-osinfo"}}
	c := dial(t, newAgent(t, cfg, freeze.Config{}))
	c.fail(`{"execute":"guest-exec","arguments":{"path":"/bin/sh"}}`)
	c.fail(`{"execute":"guest-get-osinfo"}`)
	require.Contains(t, log.String(), `msg="guest-exec, failed: Command guest-exec has been disabled: the command is not allowed" peer="the test"`)
	require.NotContains(t, log.String(), "guest-get-osinfo")
}

// While filesystems are frozen what touches no disk is served, blocked or not,
// and nothing else.
func TestPolicyWhileFrozen(t *testing.T) {
	mounted(t, "/mnt/a")
	safe := []string{
		"guest-sync-delimited", "guest-sync", "guest-ping", "guest-info",
		"guest-fsfreeze-status", "guest-fsfreeze-thaw", "x-fsfreeze-report",
	}
	a := newAgent(t, Config{Block: []string{"guest-ping", "guest-fsfreeze-thaw", "guest-info"}}, freeze.Config{})
	c := dial(t, a)
	c.fail(`{"execute":"guest-ping"}`)
	require.Equal(t, "1", c.call(freezeRequest))
	require.ElementsMatch(t, safe, enabledCommands(t, c))
	require.Equal(t, "{}", c.call(`{"execute":"guest-ping"}`))
	class, desc := c.fail(`{"execute":"guest-get-time"}`)
	require.Equal(t, "CommandNotFound", class)
	// Tests of hosts look for one half of this or the other.
	require.Equal(t, "Command guest-get-time has been disabled: the command is not allowed: the agent is in frozen state", desc)
	require.Equal(t, "1", c.call(thawRequest))
	c.fail(`{"execute":"guest-ping"}`)
}
