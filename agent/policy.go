package agent

import (
	"qemu-ga/agent/qapi"
	"qemu-ga/freeze"
)

// policy says which commands may run.
type policy struct {
	// profile and allow are nil where everything is allowed.
	profile, allow, block map[string]bool
}

// newPolicy makes a policy of profiles and of the lists of --allow-rpcs and
// --block-rpcs: what is in no profile is off, with an allow list everything
// else is off, too, and the block list takes from what is left. Names that no
// command has do no harm.
func newPolicy(profiles, allow, block []string) policy {
	set := func(names []string) map[string]bool {
		if names == nil {
			return nil
		}
		m := make(map[string]bool, len(names))
		for _, name := range names {
			m[name] = true
		}
		return m
	}
	return policy{profile: profileCommands(profiles), allow: set(allow), block: set(block)}
}

// disable disables a command for good.
func (p *policy) disable(name string) {
	if p.block == nil {
		p.block = map[string]bool{}
	}
	p.block[name] = true
}

// enabled tells whether c may run now. While filesystems are frozen, or a
// freeze is running, what touches no disk may, and nothing else, whatever the
// lists say: a host that may not ask for the state, or thaw, would be stuck.
func (a *Agent) enabled(c *Command) bool {
	if a.standstill() {
		return c.is(frozenToo)
	}
	return a.policy.permits(c.Name)
}

// Permits tells whether hosts may run a command while nothing is frozen.
func (a *Agent) Permits(command string) bool {
	return a.byName[command] != nil && a.policy.permits(command)
}

// permits tells whether a command may run while nothing is frozen. Nothing
// that a host can ask for changes it.
func (p *policy) permits(name string) bool {
	return !p.block[name] && (p.profile == nil || p.profile[name]) && (p.allow == nil || p.allow[name])
}

// standstill tells whether filesystems are frozen or about to be.
func (a *Agent) standstill() bool {
	s := a.engine.State()
	return s == freeze.Frozen || s == freeze.Freezing
}

// look finds the command that a request names, if it may run.
func (a *Agent) look(req qapi.Request) (*Command, error) {
	c := a.byName[req.Name]
	switch {
	case c == nil:
		return nil, qapi.NotFound(req.Name)
	case a.enabled(c):
		return c, nil
	case a.standstill():
		return nil, qapi.Frozen(req.Name)
	default:
		return nil, qapi.Disabled(req.Name)
	}
}
