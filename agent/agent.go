package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"qemu-ga/agent/channel"
	"qemu-ga/agent/guest"
	"qemu-ga/freeze"
)

// LevelAudit is the level at which the log tells what a host had the guest
// do: above what is only of use when looking for a fault.
const LevelAudit = freeze.LevelAudit

// Config is what an Agent is made of. Nothing below cmd/ reads flags, files
// or the environment to configure itself.
type Config struct {
	// Version is what guest-info tells: that of the qemu-ga whose protocol
	// this is.
	Version string
	// Root is where the guest's /proc, /sys, /etc and /run are found.
	Root guest.Root
	// Freeze is the guest's one freeze engine, ready for use.
	Freeze *freeze.Engine
	// StateDir is where the file handles' counter is kept; empty is nowhere.
	StateDir string
	// ExecOutput bounds what is kept of each output of a process that
	// guest-exec starts, in bytes; 0 is 16 MiB, as in qemu-ga. A host that is
	// libvirt refuses replies of more than 10 MiB, which 3.5 MiB of each
	// output stay below.
	ExecOutput int
	// Allow, when not nil, names the only commands that are enabled.
	Allow []string
	// Block names commands that are disabled.
	Block []string
	// Idle, if not nil, is called when no host has asked for anything for a
	// while, to give memory back; not while filesystems are frozen.
	Idle func()
	// Log receives the agent's own log; nil is nowhere.
	Log *slog.Logger
}

// Agent is the guest agent: the command table, its policy and the sessions
// that serve it. Its methods may be called from any goroutine.
type Agent struct {
	version string
	root    guest.Root
	engine  *freeze.Engine
	policy  policy
	log     *slog.Logger

	files    *fileTable
	children *childTable
	clocks   clocks
	keys     sync.Mutex // held while a user's keys change

	idle     idle
	table    []*Command
	byName   map[string]*Command // names are case sensitive
	slots    chan struct{}       // a place for each command that is running
	sessions sync.WaitGroup
}

// New makes an Agent.
func New(cfg Config) *Agent {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{
		version: cfg.Version, root: cfg.Root, engine: cfg.Freeze, log: cfg.Log,
		policy: newPolicy(cfg.Allow, cfg.Block),
		files:  newFileTable(cfg.StateDir), children: newChildTable(cfg.ExecOutput), clocks: clocksOf(cfg.Root),
		table: table(), byName: make(map[string]*Command),
		slots: make(chan struct{}, maxRunning),
	}
	a.idle.begun = time.Now()
	if cfg.Idle != nil {
		a.idle.do = func() {
			if !a.standstill() {
				cfg.Idle()
			}
		}
	}
	for _, c := range a.table {
		a.byName[c.Name] = c
	}
	return a
}

// Serve serves every host that comes over l, until ctx is done. It returns
// when its sessions have ended; nil after ctx was done, or why the channel
// can serve nobody any more.
func (a *Agent) Serve(ctx context.Context, l channel.Listener) error {
	defer a.sessions.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.idle.touch() // the start leaves memory to give back, too
	for {
		conn, err := l.Accept(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			if conn != nil {
				_ = conn.Close()
			}
			return nil
		case err != nil:
			return err
		}
		a.sessions.Go(func() { a.serveConn(ctx, conn) })
	}
}

// audit tells the log what a host has the guest do.
func (a *Agent) audit(ctx context.Context, text string) {
	a.log.Log(ctx, LevelAudit, text)
}
