package agent

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"qemu-ga/agent/channel"
	"qemu-ga/agent/guest"
	"qemu-ga/freeze"
)

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
	// ExecOutput bounds what guest-exec-status returns of a process's output,
	// in bytes before Base64; of two outputs that are captured separately
	// half of it each. 0 is 7 MiB.
	ExecOutput int
	// FileRead bounds what one guest-file-read returns, in bytes before
	// Base64; a client that asks for more gets so much, and goes on with the
	// next call. 0 is 7 MiB.
	FileRead int
	// Profiles names the profiles whose commands are enabled; none is
	// ProfileFull. See CheckProfiles.
	Profiles []string
	// Allow, when not nil, names the only commands that are enabled.
	Allow []string
	// Block names commands that are disabled.
	Block []string
	// Programs, when not nil, covers the only programs that guest-exec runs;
	// they get the agent's environment and no other. One that covers nothing
	// disables guest-exec.
	Programs *guest.PathList
	// Files, when not nil, says which files guest-file-open opens.
	Files *guest.FilePolicy
	// Network says which interfaces guest-network-get-interfaces tells of.
	Network guest.NetworkView
	// Idle, if not nil, is called when no host has asked for anything for a
	// while, to give memory back; not while filesystems are frozen.
	Idle func()
	// Alive, if not nil, is called every AliveEvery by the loop that serves,
	// frozen or not, as long as the agent is of use: it has then passed
	// through what every command passes through. AliveEvery 0 is never.
	Alive      func()
	AliveEvery time.Duration
	// Log receives the agent's own log; nil is nowhere.
	Log *slog.Logger
}

// maxPayload is how much data a reply has unless configured, in bytes: in Base64
// and with all around it that is 9.4 MiB, and libvirt ends its connection to an
// agent whose reply is longer than 10 MiB.
const maxPayload = 7 << 20

// Agent is the guest agent: the command table, its policy and the sessions
// that serve it. Its methods may be called from any goroutine.
type Agent struct {
	version string
	root    guest.Root
	engine  *freeze.Engine
	policy  policy
	log     *slog.Logger

	files    *fileTable
	network  guest.NetworkView
	paths    *guest.FilePolicy // nil is any
	maxRead  int64             // bytes that one guest-file-read returns
	children *childTable
	clocks   clocks
	keys     fileLocks // of users' keys
	replies  replies

	idle     idle
	beat     beat
	table    []*Command
	byName   map[string]*Command // names are case sensitive
	slots    chan struct{}       // a place for each command that is running
	urgent   chan struct{}       // and for each that freezes or thaws
	large    chan struct{}       // a place for each large request
	freezes  atomic.Uint64       // how many were answered with success
	sessions sync.WaitGroup
}

// New makes an Agent.
func New(cfg Config) *Agent {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{
		version: cfg.Version, root: cfg.Root, engine: cfg.Freeze, log: cfg.Log,
		policy: newPolicy(cfg.Profiles, cfg.Allow, cfg.Block),
		files:  newFileTable(cfg.StateDir), paths: cfg.Files, network: cfg.Network,
		maxRead:  int64(cmp.Or(cfg.FileRead, maxPayload)),
		children: newChildTable(cfg.ExecOutput, cfg.Programs), clocks: clocksOf(cfg.Root),
		table: table(), byName: make(map[string]*Command),
		slots: make(chan struct{}, maxRunning), urgent: make(chan struct{}, maxUrgent),
		large: make(chan struct{}, maxLarge),
		beat:  beat{cfg.Alive, cfg.AliveEvery},
	}
	if cfg.Programs != nil && cfg.Programs.Empty() {
		a.policy.disable("guest-exec")
	}
	if cfg.Files != nil && cfg.Files.Empty() {
		a.policy.disable("guest-file-open")
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
	due, stop := a.beat.start()
	defer stop()
	arrivals := make(chan arrival)
	go accept(ctx, l, arrivals)
	for {
		select {
		case <-due:
			a.alive()
		case got := <-arrivals:
			switch {
			case errors.Is(got.err, net.ErrClosed):
				return nil
			case got.err != nil:
				return got.err
			}
			a.sessions.Go(func() { a.serveConn(ctx, got.conn) })
		case <-ctx.Done():
			return nil
		}
	}
}

// arrival is what Accept returned.
type arrival struct {
	conn channel.Conn
	err  error
}

// accept hands over who comes, until an error, which is the last arrival, or
// until ctx is done.
func accept(ctx context.Context, l channel.Listener, arrivals chan<- arrival) {
	for {
		conn, err := l.Accept(ctx)
		select {
		case arrivals <- arrival{conn, err}:
		case <-ctx.Done():
			if conn != nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}
