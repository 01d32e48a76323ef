package agent

import (
	"log/slog"

	"qemu-ga/agent/guest"
	"qemu-ga/freeze"
)

// Config is what an Agent is made of. Nothing below cmd/ reads flags, files
// or the environment to configure itself.
type Config struct {
	// Root is where the guest's /proc, /sys, /etc and /run are found.
	Root guest.Root
	// Freeze is the guest's one freeze engine.
	Freeze *freeze.Engine
	// Allow, when not nil, names the only commands that are enabled.
	Allow []string
	// Block names commands that are disabled.
	Block []string
	// Log receives the agent's own log.
	Log *slog.Logger
}

// Agent is the guest agent: the command table, its policy and the sessions
// that serve it.
type Agent struct {
	root   guest.Root
	engine *freeze.Engine
	log    *slog.Logger
}
