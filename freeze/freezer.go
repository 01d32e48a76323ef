package freeze

import (
	"encoding/json"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// freezerName is the name a program is started by to be a freezer.
const freezerName = "qemu-ga-freezer"

// The descriptors that a freezer inherits: the socket pair to its agent, and
// from firstTarget on one for each target.
const (
	ordersFD    = 3
	firstTarget = 4
)

// Init turns the process into a freezer, or into a hook, if it was started as
// one, and then does not return. A program that freezes calls it first thing
// in main.
//
// The freezer is a child of the agent that lives for one freeze. It alone
// calls FIFREEZE, so an ioctl that never returns hangs a thread of the child,
// and it thaws what it froze on the agent's word, when the agent is gone, at
// the deadline, and on SIGTERM, whichever comes first.
func Init() {
	if len(os.Args) > 0 && os.Args[0] == gateName {
		becomeHook(os.Args[1:])
		os.Exit(1)
	}
	if len(os.Args) != 2 || os.Args[0] != freezerName {
		return
	}
	count, err := strconv.Atoi(os.Args[1])
	if err != nil || count < 1 {
		os.Exit(2)
	}
	protect()
	f, err := newFreezer(ordersFD, firstTarget, count)
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	f.run()
	os.Exit(0)
}

// protect keeps the freezer able to thaw when the guest is short of memory:
// the kernel's killer passes over it, and its pages are not taken away. Both
// need privileges that a freezer has wherever freezing works; without them
// it does what it can.
func protect() {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	_ = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
}

// freezer is the state of the child. One thread owns it and waits in the
// kernel for orders, answers and the time; the ioctls run in threads of their
// own, started and parked before the first of them. None of them has to wait
// for Go's scheduler.
type freezer struct {
	agent   *agentConn
	workers []*worker
	answers *mailbox

	phase    phase
	results  []result
	synced   []time.Duration // how long the last sync took; 0 is none
	order    order
	level    int
	waiting  int // ioctls of this level, or rehearsals, that have not returned
	frozenAt time.Time
	thawAt   time.Time
	thaw     *thawing
	why      string
	told     bool // the agent knows that everything but the pending is thawed
	still    *standstill
	rcu      *expedited

	rehearsal rehearsal

	// When something is due; the zero time is never.
	window, deadline, slow, look time.Time
}

type phase int

const (
	idle phase = iota
	freezing
	held
	thawed
)

const (
	// patience is how long the agent and its freezer wait for each other in
	// what takes no time.
	patience = time.Second
	// thawPatience is how long they wait for thaws before those that have not
	// returned count as stuck: a busy disk may take seconds. What can be
	// thawed is thawed meanwhile; only the answer waits, which hosts do for 5
	// seconds as a rule.
	thawPatience = 3 * time.Second
)

func newFreezer(conn, first, count int) (*freezer, error) {
	answers, err := newMailbox(2 * count)
	if err != nil {
		return nil, err
	}
	f := &freezer{
		agent: &agentConn{fd: conn}, answers: answers,
		results: make([]result, count), synced: make([]time.Duration, count), rcu: newExpedited(),
	}
	f.workers, err = startWorkers(first, count, answers)
	return f, err
}

// run serves the agent until nothing is frozen any more.
func (f *freezer) run() {
	runtime.LockOSThread()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	go func() {
		for range signals {
			f.answers.post(answer{kind: doStop})
		}
	}()
	f.tell(event{Is: isReady})
	for f.phase != thawed || f.busy() {
		f.wait()
		for _, a := range f.answers.take() {
			f.returned(a)
		}
		for _, o := range f.agent.take() {
			f.obey(o)
		}
		if f.agent.ended {
			f.giveUp(whyAgent)
		}
		f.expire(time.Now())
	}
	f.calm()
}

// wait waits until there is something to do.
func (f *freezer) wait() {
	fds := []unix.PollFd{{Fd: int32(f.answers.fd), Events: unix.POLLIN}, {Fd: int32(f.agent.fd), Events: unix.POLLIN}}
	if f.agent.ended {
		fds = fds[:1]
	}
	var timeout *unix.Timespec
	for _, due := range []time.Time{f.window, f.deadline, f.slow, f.look} {
		if due.IsZero() {
			continue
		}
		left := unix.NsecToTimespec(max(0, int64(time.Until(due))))
		if timeout == nil || left.Nano() < timeout.Nano() {
			timeout = &left
		}
	}
	_, _ = unix.Ppoll(fds, timeout, nil) // a signal is as good as anything
}

// expire does what is due.
func (f *freezer) expire(now time.Time) {
	due := func(at *time.Time) bool {
		if at.IsZero() || now.Before(*at) {
			return false
		}
		*at = time.Time{}
		return true
	}
	if due(&f.window) {
		f.giveUp(whyWindow)
	}
	if due(&f.look) {
		f.look = now.Add(standstillPeriod)
		if f.still.look(f.freezes) {
			f.giveUp(whyStill)
		}
	}
	if due(&f.deadline) {
		f.giveUp(whyDeadline)
	}
	if due(&f.slow) && !f.told {
		f.tellThawed()
	}
}

func (f *freezer) obey(o order) {
	switch {
	case o.Do == doSync && f.phase == idle && o.Target < len(f.workers):
		f.workers[o.Target].do(syncing)
	case o.Do == doFreeze && f.phase == idle && len(o.Lands) == len(f.workers):
		f.freeze(o)
	case o.Do == doAnswer:
		f.tell(event{Is: isAlive})
	case o.Do == doThaw:
		f.giveUp(whyAsked)
	}
}

// freeze opens the window.
func (f *freezer) freeze(o order) {
	hasten(unix.Gettid(), 1)
	for i, w := range f.workers {
		if i < len(o.Hasten) && o.Hasten[i] {
			hasten(w.tid, 2)
		}
	}
	f.order, f.phase = o, freezing
	f.still = newStandstill(o.Stats, o.Standstill)
	now := time.Now()
	f.window, f.deadline, f.look = now.Add(o.Window), now.Add(o.Deadline), now.Add(standstillPeriod)
	if o.Expedite {
		f.rcu.raise()
	}
	f.rehearse()
}

// beginLevel releases the threads of the next level, or ends the window.
func (f *freezer) beginLevel() {
	if f.level == len(f.order.Levels) {
		f.phase, f.window, f.look = held, time.Time{}, time.Time{}
		f.tell(event{
			Is: isFrozen, Results: f.results, At: time.Now().UnixNano(),
			Rehearsal: f.frozenAt.Sub(f.rehearsal.begun), Window: time.Since(f.frozenAt),
		})
		f.rcu.restore()
		return
	}
	for _, i := range f.order.Levels[f.level] {
		f.results[i].Pending = true
		f.waiting++
		f.workers[i].do(freezingOp)
	}
}

// returned takes note of one system call's end.
func (f *freezer) returned(a answer) {
	r := &f.results[a.target]
	switch a.kind {
	case doStop:
		f.giveUp(whySignal)
	case doSync:
		f.synced[a.target] = a.took
		f.tell(event{Is: isSynced, Target: a.target, Result: result{Freeze: a.errno, Took: a.took}})
	case doRehearse:
		f.rehearsedOne(a.target, a.errno)
	case doFreeze:
		r.Pending, r.Freeze, r.Took, r.Frozen = false, a.errno, a.took, a.errno == 0
		f.frozeOne(a.target)
	case doThaw:
		r.Pending, r.Thaw, r.Thawed = false, a.errno, isThaw(a.errno)
		f.thaw.finished(a.target, a.errno)
		f.thawOn()
	}
}

// frozeOne goes on after a FIFREEZE has returned.
func (f *freezer) frozeOne(i int) {
	if f.phase == thawed { // too late: given up meanwhile
		if !f.results[i].Frozen {
			f.thaw.drop(i)
		}
		f.thawOn()
		return
	}
	f.waiting--
	if errno := f.results[i].Freeze; errno != 0 && errno != unix.EOPNOTSUPP && errno != unix.EBUSY {
		f.giveUp(whyError)
		return
	}
	if f.waiting == 0 {
		f.level++
		f.beginLevel()
	}
}

// giveUp thaws everything that is frozen, and what is still being frozen as
// soon as its ioctl returns.
func (f *freezer) giveUp(why string) {
	if f.phase == thawed {
		return
	}
	early := f.phase == freezing
	f.phase, f.why = thawed, why
	f.window, f.look, f.deadline = time.Time{}, time.Time{}, time.Time{}
	left := make([]bool, len(f.results))
	for i, r := range f.results {
		left[i] = r.Frozen || r.Pending
	}
	lands := f.order.Lands
	if lands == nil {
		lands = make([][]int, len(f.results)) // nothing was frozen yet
	}
	f.thawAt = time.Now()
	f.slow = f.thawAt.Add(thawPatience)
	f.thaw = newThawing(lands, left, func(i int) {
		f.results[i].Pending = true
		f.workers[i].do(thawingOp)
	})
	f.thaw.next(f.ready)
	if early {
		f.rcu.restore()
		f.tell(event{Is: isFailed, Why: why, Results: f.results, Window: f.thawAt.Sub(f.frozenAt)})
	}
	f.thawOn()
}

// freezes tells whether the FIFREEZE of target i is under way.
func (f *freezer) freezes(i int) bool { return f.results[i].Pending }

// ready tells whether target i can be thawed: its FIFREEZE has returned.
func (f *freezer) ready(i int) bool { return f.results[i].Frozen && !f.results[i].Pending }

// thawOn begins the thaws that can begin, and reports when only pending
// freezes are left and when nothing is.
func (f *freezer) thawOn() {
	f.thaw.next(f.ready)
	if !f.busy() || f.phaseOver() && !f.told {
		f.tellThawed()
	}
}

func (f *freezer) tellThawed() {
	f.told = true
	f.tell(event{Is: isThawed, Why: f.why, Results: f.results, Thaw: time.Since(f.thawAt), At: time.Now().UnixNano()})
}

// phaseOver tells whether no FITHAW is under way.
func (f *freezer) phaseOver() bool {
	for _, r := range f.results {
		if r.Pending && r.Frozen {
			return false
		}
	}
	return true
}

// busy tells whether a system call has not returned.
func (f *freezer) busy() bool {
	for _, r := range f.results {
		if r.Pending {
			return true
		}
	}
	return false
}

// tell reports to the agent, if it still listens.
func (f *freezer) tell(e event) {
	text, err := json.Marshal(e)
	if err == nil {
		f.agent.answer(append(text, '\n'))
	}
}
