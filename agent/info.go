package agent

import (
	"context"
	"slices"
)

// agentInfo is the answer to guest-info.
type agentInfo struct {
	// Version is that of the qemu-ga whose protocol this is.
	Version string `json:"version"`
	// SupportedCommands is spelt with an underscore, unlike all else.
	SupportedCommands []commandInfo `json:"supported_commands"`
}

// commandInfo is a command in the answer to guest-info.
type commandInfo struct {
	// Name is the command's name.
	Name string `json:"name"`
	// Enabled tells whether it would run now: neither the lists nor frozen
	// filesystems forbid it.
	Enabled bool `json:"enabled"`
	// SuccessResponse is false for a command that answers errors alone.
	SuccessResponse bool `json:"success-response"`
}

// info answers guest-info. Tells which commands there are and which may run. As in qemu-ga the list is the table backwards.
func (a *Agent) info(context.Context, noArgs) (agentInfo, error) {
	info := agentInfo{Version: a.version}
	for _, c := range slices.Backward(a.table) {
		info.SupportedCommands = append(info.SupportedCommands, commandInfo{c.Name, a.enabled(c), !c.is(silent)})
	}
	return info, nil
}
