package freeze

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// LevelAudit is the level at which the log tells that a hook is run: between
// Info and Warn.
const LevelAudit = slog.Level(2)

// State is what an Engine is doing.
type State string

// The states of an Engine.
const (
	// Thawed: nothing is frozen by this Engine, and no news are owed.
	Thawed State = "thawed"
	// Freezing: a freeze has been asked for and not answered.
	Freezing State = "freezing"
	// Frozen: filesystems stand still.
	Frozen State = "frozen"
	// Expired: a freeze ended before its thaw was asked for, and whoever
	// asked for it has not been told.
	Expired State = "expired"
)

// The limits that hold where a Config leaves them out.
const (
	DefaultTimeout       = 5 * time.Minute
	DefaultWindowTimeout = 30 * time.Second
	DefaultStallTimeout  = 15 * time.Second
	DefaultHookTimeout   = time.Minute
)

// maxHung is how many freezers may be waiting for a disk to sync that were
// killed long ago: each holds memory until the disk answers.
const maxHung = 4

// Config is what an Engine is made of. The zero value works, in a program
// whose main calls Init.
type Config struct {
	// Mounts is the file that holds the mount table, Sys and Dev are where
	// sysfs and the device nodes are; as a rule /proc/self/mountinfo, /sys
	// and /dev, which "" stands for.
	Mounts, Sys, Dev string
	// StateDir is a directory, best on a tmpfs, where a freeze leaves word
	// for a restarted program; "" leaves none.
	StateDir string
	// Program is the file that is run as the freezer; its main calls Init.
	// "" is the running program.
	Program string
	// Timeout is how long filesystems may stay frozen, counted by the clock
	// that stops with the guest; WindowTimeout how long freezing all of them
	// may take. Zero means the default.
	Timeout, WindowTimeout time.Duration
	// StallTimeout is after how long without a completed write a disk counts
	// as hung, HookTimeout how long one run of a hook may take. Zero means
	// the default.
	StallTimeout, HookTimeout time.Duration
	// NoPresync leaves out the sync before the freeze, NoExpedite the
	// expedited RCU grace periods.
	NoPresync, NoExpedite bool
	// ForgetExpiry makes a freeze that ended by itself count as thawed at
	// once, as qemu-ga would have it: nobody is told.
	ForgetExpiry bool
	// Exclude holds patterns, as path.Match has them, of what is never
	// frozen: mount points if they begin with "/", else filesystem types.
	Exclude []string
	// Hook is a program that is run with "freeze" before the filesystems are
	// frozen and with "thaw" after they are thawed; "" is none. A directory
	// stands for the scripts in it, and so does the name of a file that is not
	// there while there is a directory of that name with ".d": they are run in
	// the order of their names for "freeze" and backwards for "thaw", and a
	// freeze that fails calls each that was started with "freeze-failed" and
	// then with "thaw".
	Hook string
	// HookDirs are further directories of such scripts, looked at only if Hook
	// stands for one. A script hides those of its name in later ones.
	HookDirs []string
	// Quiet, if not nil, is called with true before the first filesystem is
	// frozen and with false when all are thawed: in between, the program
	// must not touch a file on a disk.
	Quiet func(bool)
	// Guard, if not nil, is asked before anything is frozen whether the kernel
	// would allow it, and explains refusals.
	Guard Guard
	// Log receives what happens; nil is nowhere.
	Log *slog.Logger
}

// Engine freezes and thaws the filesystems of one guest. There is one for a
// guest: a freeze belongs to the guest and not to whoever asked for it. Its
// methods may be called from any goroutine.
type Engine struct {
	cfg    Config
	keeper keeper

	mu      sync.Mutex
	state   State
	current *session      // while Freezing or Frozen
	stuck   []stateTarget // those whose ioctl has not returned
	hung    int           // freezers that died in a sync and are not gone
	owed    state         // while Expired: what the host has to be told
	expiry  *time.Timer   // while Expired: ends it
	last    Report
	lastOf  *session // what last describes; nil is an earlier process's

	recovering sync.Mutex // held by Recover
	left       error      // what an earlier process left frozen cannot be thawed
}

// New makes an Engine. Recover is to be called before its first use.
func New(cfg Config) *Engine {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	limit := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&cfg.Mounts, "/proc/self/mountinfo")
	set(&cfg.Sys, "/sys")
	set(&cfg.Dev, "/dev")
	set(&cfg.Program, "/proc/self/exe")
	limit(&cfg.Timeout, DefaultTimeout)
	limit(&cfg.WindowTimeout, DefaultWindowTimeout)
	limit(&cfg.StallTimeout, DefaultStallTimeout)
	limit(&cfg.HookTimeout, DefaultHookTimeout)
	if cfg.Quiet == nil {
		cfg.Quiet = func(bool) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{
		cfg: cfg, keeper: keeper{dir: cfg.StateDir, log: cfg.Log},
		state: Thawed, last: Report{State: Thawed},
	}
}

// State tells what the Engine is doing.
func (e *Engine) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left != nil {
		return Frozen
	}
	return e.state
}

// Request asks for a freeze.
type Request struct {
	// Mountpoints are the filesystems to freeze, each named by any of its
	// mount points; nil means all. A name that is no mount point is an error.
	Mountpoints []string
	// Timeout overrides the Config's for this freeze; zero leaves it.
	Timeout time.Duration
	// By says who asks, for the report.
	By string
}

// Freeze freezes filesystems and returns how many. An error, or 0, means that
// none is frozen (one whose ioctl is stuck in the kernel is thawed when that
// returns, and no freeze begins before). The freeze ends by Thaw or by its
// deadline. When ctx ends first, what is frozen is thawed and the error says
// so.
func (e *Engine) Freeze(ctx context.Context, req Request) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := e.begin(req, cancel)
	if err != nil {
		return 0, err
	}
	count, err := e.settle(s, s.freeze(ctx))
	if count == 0 {
		e.keeper.wait()
	}
	return count, err
}

// begin takes the Engine into the state Freezing.
func (e *Engine) begin(req Request, cancel context.CancelFunc) (*session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch e.state {
	case Freezing:
		return nil, errors.New("cannot freeze: a freeze is running")
	case Frozen:
		return nil, errors.New("cannot freeze: filesystems are frozen; thaw them first")
	}
	if e.left != nil {
		return nil, e.left
	}
	if len(e.stuck) > 0 {
		return nil, fmt.Errorf("cannot freeze: an earlier freeze of %s has not come back from the kernel; look at its disk", strings.Join(points(e.stuck), ", "))
	}
	if e.hung >= maxHung {
		return nil, fmt.Errorf("cannot freeze: the syncs of %d earlier freezes have not come back from the kernel; look at the disks", e.hung)
	}
	e.forget()
	s := newSession(e, req, cancel)
	e.state, e.current = Freezing, s
	return s, nil
}

// settle ends the state Freezing.
func (e *Engine) settle(s *session, err error) (int, error) {
	count := s.count()
	if err != nil {
		count = 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	defer close(s.answered)
	if count > 0 {
		e.state = Frozen
		e.cfg.Log.Debug("filesystems are frozen", "count", count)
		go s.hold()
		return count, nil
	}
	if err != nil && s.stranded() {
		// The kernel began to refuse in the middle of the freeze.
		e.state = Frozen
		go s.hold()
		return 0, err
	}
	e.state, e.current = Thawed, nil
	e.last, e.lastOf = s.report(Thawed), s
	e.keepState()
	if err != nil {
		e.last.Error = err.Error()
	}
	close(s.over)
	return 0, err
}

// forget ends the state Expired.
func (e *Engine) forget() {
	if e.state != Expired {
		return
	}
	e.state, e.owed = Thawed, state{}
	e.last.State = Thawed
	e.expiry.Stop()
	e.keepState()
}

// keepState leaves in the state directory what a later process has to know
// when no freeze runs: that the host is owed the news, and which filesystems
// are frozen, or will be, when their disks answer.
func (e *Engine) keepState() {
	if e.state == Freezing || e.state == Frozen {
		return // the session's own
	}
	s := e.owed
	s.Targets = e.stuck
	if len(e.stuck) > 0 {
		s.Freezer = e.stuck[0].Freezer
	}
	if s.Phase == "" && len(s.Targets) == 0 {
		e.keeper.remove()
		return
	}
	if s.Phase == "" {
		s.Phase, s.Boot = Thawed, bootID()
	}
	e.keeper.save(s)
}
