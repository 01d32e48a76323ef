package freeze

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// session is one freeze, from its request until nothing of it is frozen. Up
// to the answer the goroutine that runs Freeze owns it, from then on hold.
type session struct {
	e        *Engine
	by       string
	points   []string
	since    time.Time
	deadline time.Duration
	cancel   context.CancelFunc // ends a running freeze
	answered chan struct{}      // closed when Freeze has its answer
	requests chan thawRequest
	over     chan struct{} // closed when nothing is held any more

	plan   plan
	child  *child          // nil when it is gone
	gone   <-chan struct{} // closed when no thread of the freezer is left
	rcu    *expedited
	state  state
	hooks  hookSet // to be run
	owed   hookSet // those that were run with "freeze" and not with "thaw"
	quiet  bool
	resume func()         // turns garbage collection on again; nil is on
	known  bool           // the freezer has said what it froze
	lost   bool           // the freezer died or was ended
	ghost  bool           // and a thread of it is still in the kernel
	late   <-chan outcome // thaws of our own that have not returned

	mu       sync.Mutex // guards what a report reads
	targets  []target
	results  []result
	runs     []HookRun
	times    Times
	frozenAt time.Time
	thawedAt time.Time
	why      string
	advice   string // about a thaw that is refused
	logged   string // what the log was last told of one
}

// thawRequest asks the goroutine that holds a freeze to end it.
type thawRequest struct {
	why   string
	reply chan<- thawAnswer
}

// thawAnswer is what a thaw comes to.
type thawAnswer struct {
	count int
	err   error
}

func newSession(e *Engine, req Request, cancel context.CancelFunc) *session {
	s := &session{
		e: e, by: req.By, points: req.Mountpoints, since: time.Now(), deadline: e.cfg.Timeout,
		cancel: cancel, answered: make(chan struct{}), requests: make(chan thawRequest), over: make(chan struct{}),
	}
	if req.Timeout > 0 {
		s.deadline = req.Timeout
	}
	return s
}

// freeze goes the whole way to frozen filesystems. Whatever it began is
// undone when it returns an error, or freezes nothing.
func (s *session) freeze(ctx context.Context) (err error) {
	s.rcu = newExpedited()
	defer func() {
		switch {
		case err != nil && s.stranded():
			err = fmt.Errorf("%w; %w", err, s.refused())
		case err != nil || s.count() == 0:
			err = s.undo(err)
		}
	}()
	cfg := &s.e.cfg
	if err := s.prepare(); err != nil || len(s.targets) == 0 {
		return err
	}
	if s.hooks, err = cfg.findHooks(); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := s.freezeHooks(ctx); err != nil {
		return err
	}
	if len(s.owed.programs) > 0 {
		if err := s.presync(ctx); err != nil { // what the hooks have written
			return err
		}
	}
	err = s.window(ctx, standstillLimit)
	if waited, slow := errors.AsType[*standstillError](err); slow && !s.stranded() {
		cfg.Log.Warn(waited.Error() + "; everything was thawed, and is frozen once more")
		err = s.again(ctx, waited)
	}
	return err
}

// ready starts a freezer and has it sync.
func (s *session) ready(ctx context.Context) (err error) {
	if s.child, err = startChild(s.e.cfg.Program, s.targets); err != nil {
		return err
	}
	s.gone = s.child.gone
	return s.presync(ctx)
}

// window has the freezer freeze. limit is how long the disks may stand still
// meanwhile.
func (s *session) window(ctx context.Context, limit time.Duration) error {
	if ctx.Err() != nil {
		return errStopped
	}
	cfg := &s.e.cfg
	o := order{
		Do: doFreeze, Lands: s.plan.lands, Levels: s.plan.levels, Standstill: limit,
		Window: cfg.WindowTimeout, Deadline: s.deadline, Expedite: !cfg.NoExpedite,
	}
	rehearsable := mayRehearse(s.targets)
	for _, t := range s.targets {
		o.Stats = append(o.Stats, t.statFiles(cfg.Sys))
		o.Rehearse = append(o.Rehearse, rehearsable(t.Type))
		o.Hasten = append(o.Hasten, mayHasten(t.Type))
	}
	s.mark(Frozen)
	s.quiet = true
	s.resume = pauseCollector()
	cfg.Quiet(true)
	s.update(func() { s.frozenAt = time.Now() })
	s.child.send(o)
	return s.await(ctx)
}

// again freezes once more after a disk stood still in the window and went on
// later: it was slow and not hung. What made it wait is written out by now,
// and if it waits again it may do so for twice as long.
func (s *session) again(ctx context.Context, waited *standstillError) error {
	s.child.close()
	s.resume()
	s.known = false
	s.update(func() { s.results = make([]result, len(s.targets)) })
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.window(ctx, max(standstillLimit, 2*waited.took))
}

// prepare finds out what to freeze and opens all of it, before anything is
// frozen: an open between two freezes can wait for ever on a permission
// daemon whose own disk stands still.
func (s *session) prepare() error {
	p, targets, err := s.e.prepare(s.points)
	s.update(func() { s.plan, s.targets, s.results = p, targets, make([]result, len(targets)) })
	return err
}

// prepare makes the plan and opens its targets. When one is refused, the
// error names every one that is.
func (e *Engine) prepare(points []string) (plan, []target, error) {
	mounts, all, err := e.survey()
	if err != nil {
		return plan{}, nil, err
	}
	sel := selection{points: points, exclude: e.cfg.Exclude}
	p, err := makePlan(all, mounts, sel)
	if err != nil {
		return p, nil, err
	}
	var targets []target
	var refused []error
	admitted, errs, advice := e.admit(p.targets)
	defer releaseAll(errs)
	for i, f := range p.targets {
		switch {
		case errors.Is(errs[i], errUnreachable):
			sel.unreachable = append(sel.unreachable, f)
		case errs[i] != nil:
			refused = append(refused, errs[i])
		default:
			targets = append(targets, admitted[i])
		}
	}
	if len(sel.unreachable) > 0 { // the plan's numbers are no longer ours
		p, err = makePlan(all, mounts, sel)
	}
	if err == nil {
		err = refuseWith("", refused, advice)
	}
	if err != nil {
		closeAll(targets)
		return p, nil, err
	}
	return p, targets, nil
}

// survey reads the mount table and what the block devices are made of.
func (e *Engine) survey() ([]mountinfo.Mount, []*filesystem, error) {
	mounts, err := mountinfo.Read(e.cfg.Mounts)
	if err != nil {
		return nil, nil, err
	}
	topo := topology{sys: e.cfg.Sys, dev: e.cfg.Dev}
	all := fold(mounts)
	for _, f := range all {
		if f.onDisk() {
			topo.describe(f)
		}
	}
	return mounts, all, nil
}

// presync runs the pre-sync, unless it is turned off. A freezer that hangs in
// it holds nothing and is let go.
func (s *session) presync(ctx context.Context) error {
	cfg := &s.e.cfg
	if cfg.NoPresync {
		return nil
	}
	begun, before := time.Now(), written(cfg.Sys, s.targets)
	passes, err := preSync(ctx, s.child, s.targets, cfg.Sys, cfg.StallTimeout)
	after := written(cfg.Sys, s.targets)
	s.update(func() {
		s.times.Passes += passes
		s.times.Presync += int64(time.Since(begun))
		s.times.PresyncBytes += max(after, before) - before // a disk may have gone
	})
	if err != nil {
		s.child.kill()
		s.e.mourn(s.child)
		s.child = nil
	}
	return err
}

// mourn counts a freezer that was killed in a sync until it is gone, which
// its disk can put off.
func (e *Engine) mourn(c *child) {
	count := func(by int) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.hung += by
	}
	count(1)
	go func() {
		<-c.gone
		count(-1)
	}()
}

// mark leaves word for a restarted agent, before what it speaks of is done:
// in the phase Freezing which hooks are owed a "thaw", in the phase Frozen
// which filesystems are frozen, too.
func (s *session) mark(phase State) {
	s.state = state{
		Phase: phase, Boot: bootID(), Since: s.since, Deadline: s.deadline, By: s.by,
		Hooks: s.owed.programs, HookDirs: s.owed.own,
	}
	if phase == Frozen {
		s.state.Freezer = findProcess(s.child.cmd.Process.Pid)
		s.state.RCU = !s.e.cfg.NoExpedite && s.rcu.off()
		for i, t := range s.targets {
			s.state.Targets = append(s.state.Targets, stateTarget{
				Dev: t.Dev, Type: t.Type, Source: t.Source, Point: t.point, Lands: s.plan.lands[i],
			})
		}
	}
	s.e.keeper.save(s.state)
	s.e.keeper.wait()
}

// disown takes what somebody else had frozen before out of the state file, and
// the freeze's caller hears of nothing before: a later process must not thaw
// it. It is not written again for less, as filesystems are frozen by now.
func (s *session) disown() {
	others := func(r result) bool { return r.Freeze == unix.EBUSY }
	if !slices.ContainsFunc(s.results, others) {
		return
	}
	amended := s.state
	amended.Targets = slices.Clone(s.state.Targets)
	for i, r := range s.results {
		if others(r) {
			amended.Targets[i] = stateTarget{} // the others' numbers stay
		}
	}
	s.e.keeper.amend(amended)
	s.e.keeper.wait()
}

// undo takes back what was begun, after a failure or when there was nothing
// to freeze. What the freezer held it has thawed.
func (s *session) undo(err error) error {
	s.release()
	if herr := s.endHooks(true); err == nil {
		err = herr
	}
	s.tellOutput()
	return err
}

// update changes what a report reads.
func (s *session) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// count is how many filesystems the freeze holds.
func (s *session) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.results {
		if r.Frozen && !r.Thawed {
			n++
		}
	}
	return n
}

// descriptors gives the targets' numbers for ioctls.
func descriptors(targets []target) []int {
	fds := make([]int, len(targets))
	for i, t := range targets {
		fds[i] = int(t.file.Fd())
	}
	return fds
}

func closeAll(targets []target) {
	for _, t := range targets {
		_ = t.file.Close()
	}
}
