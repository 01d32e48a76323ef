package freeze

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Report is the plain truth about the running freeze, or else the last one.
// Times are Unix times in nanoseconds, durations nanoseconds; 0 stands for
// what has not happened. The JSON names are those of x-fsfreeze-report.
type Report struct {
	// State is what the Engine is doing now.
	State State `json:"state"`
	// AskedBy says who asked for the freeze.
	AskedBy string `json:"asked-by,omitempty"`
	// Since is when it was asked for, Frozen when the first filesystem was
	// frozen, Deadline when it ends by itself if the guest runs on, Thawed
	// when it ended.
	Since    int64 `json:"since,omitempty"`
	Frozen   int64 `json:"frozen,omitempty"`
	Deadline int64 `json:"deadline,omitempty"`
	Thawed   int64 `json:"thawed,omitempty"`
	// EndedBy says what ended it: "asked" is the host's thaw; "deadline",
	// "freezer" (it died), "signal", "stop" or "restart" (of the agent),
	// "undelivered" (nobody took the answer) is something else.
	EndedBy string `json:"ended-by,omitempty"`
	// Error is what the host was or will be told went wrong.
	Error string `json:"error,omitempty"`
	// Times are its durations.
	Times Times `json:"times,omitzero"`
	// Slowest is the mount point whose FIFREEZE took longest.
	Slowest string `json:"slowest,omitempty"`
	// Filesystems has every filesystem that holds files, frozen or not.
	Filesystems []FilesystemReport `json:"filesystems"`
	// Hooks are the runs of the hooks, in their order.
	Hooks []HookRun `json:"hooks,omitempty"`
}

// Times are the durations of a freeze, in nanoseconds.
type Times struct {
	// Presync is the sync before the freeze, in so many Passes, in which
	// PresyncBytes were written to the filesystems' devices by anybody; 0 where
	// these count nothing.
	Presync      int64  `json:"presync"`
	Passes       int    `json:"presync-passes"`
	PresyncBytes uint64 `json:"presync-bytes"`
	// Rehearsal is the time before the window in which each filesystem was
	// frozen and thawed by itself, so that the window is short.
	Rehearsal int64 `json:"rehearsal"`
	// Window is from the first FIFREEZE to the last one's return.
	Window int64 `json:"window"`
	// Held is from the first FIFREEZE to the thaw.
	Held int64 `json:"held"`
	// Thaw is from the first FITHAW to the last one's return.
	Thaw int64 `json:"thaw"`
}

// What became of a filesystem.
const (
	// OutcomeFrozen: it stands still.
	OutcomeFrozen = "frozen"
	// OutcomeThawed: it was frozen and has been thawed.
	OutcomeThawed = "thawed"
	// OutcomeWouldFreeze: nothing is known against freezing it.
	OutcomeWouldFreeze = "would-freeze"
	// OutcomeSkipped: it is left alone, for Reason.
	OutcomeSkipped = "skipped"
	// OutcomeUnsupported: its type cannot be frozen. It was synced.
	OutcomeUnsupported = "unsupported"
	// OutcomeBusy: somebody else has frozen it; it stays so after the thaw.
	OutcomeBusy = "frozen-by-others"
	// OutcomeBlocked: it cannot be opened, so nothing is frozen.
	OutcomeBlocked = "blocked"
	// OutcomeFailed: freezing or thawing it gave an error.
	OutcomeFailed = "failed"
	// OutcomeStuck: its ioctl has not returned from the kernel.
	OutcomeStuck = "stuck"
)

// FilesystemReport is what became of one filesystem.
type FilesystemReport struct {
	// Mountpoint is where it is mounted first, Mountpoints everywhere.
	Mountpoint  string   `json:"mountpoint"`
	Mountpoints []string `json:"mountpoints,omitempty"`
	// Device is its superblock's number, Type and Source as in the mount
	// table.
	Device string `json:"device"`
	Type   string `json:"type"`
	Source string `json:"source"`
	// Outcome is one of the Outcome constants, Reason says why.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	// Level is its place in the order of freezing: those of one level are
	// frozen together.
	Level int `json:"level"`
	// Took is how long FIFREEZE took, in nanoseconds.
	Took int64 `json:"took,omitempty"`
}

// Report describes the running freeze, or else the last one.
func (e *Engine) Report() Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current != nil {
		return e.current.report(e.state)
	}
	return e.last
}

// summary says in a line how long what took, for the log:
//
//	2 filesystems were frozen for 504ms: pre-sync 7ms, 12.5 MiB in 1 pass; window 3.61ms, longest /srv 2.5ms; thaw 1.38ms
func (r Report) summary() string {
	count, longest := 0, ""
	for _, f := range r.Filesystems {
		if f.Outcome == OutcomeThawed {
			count++
		}
		if f.Mountpoint == r.Slowest {
			longest = fmt.Sprintf(", longest %s %v", f.Mountpoint, rounded(f.Took))
		}
	}
	t := r.Times
	presync := "none"
	if t.Passes > 0 {
		presync = fmt.Sprintf("%v, %.1f MiB in %s", rounded(t.Presync), float64(t.PresyncBytes)/(1<<20), plural(t.Passes, "pass", "passes"))
	}
	were := "were"
	if count == 1 {
		were = "was"
	}
	return fmt.Sprintf("%s %s frozen for %v: pre-sync %s; window %v%s; thaw %v",
		plural(count, "filesystem", "filesystems"), were, rounded(t.Held), presync, rounded(t.Window), longest, rounded(t.Thaw))
}

// rounded gives nanoseconds the digits that mean something.
func rounded(ns int64) time.Duration {
	d := time.Duration(ns)
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond)
	default:
		return d.Round(10 * time.Microsecond)
	}
}

// plural counts things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// amend brings the last report up to date when something stuck has come back.
func (e *Engine) amend(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lastOf == s {
		e.last.Filesystems = s.report(e.last.State).Filesystems
	}
}

// report describes the session.
func (s *session) report(now State) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{
		State: now, AskedBy: s.by, Since: s.since.UnixNano(), EndedBy: s.why, Times: s.times, Hooks: s.runs,
		Filesystems: []FilesystemReport{},
	}
	if !s.frozenAt.IsZero() {
		r.Frozen, r.Deadline = s.frozenAt.UnixNano(), s.frozenAt.Add(s.deadline).UnixNano()
	}
	if !s.thawedAt.IsZero() {
		r.Thawed = s.thawedAt.UnixNano()
		r.Times.Held = r.Thawed - r.Frozen
	}
	if i := slowest(s.results); i >= 0 {
		r.Slowest = s.targets[i].point
	}
	level := s.plan.level()
	for i, t := range s.targets {
		f := t.describe()
		f.Level, f.Took = level[i], int64(s.results[i].Took)
		f.Outcome, f.Reason = s.results[i].outcome(t.Type)
		r.Filesystems = append(r.Filesystems, f)
	}
	for _, skipped := range s.plan.skipped {
		r.Filesystems = append(r.Filesystems, skipped.describe())
	}
	return r
}

// slowest finds the target whose FIFREEZE took longest; -1 is none.
func slowest(results []result) int {
	worst := -1
	for i, r := range results {
		if r.Took > 0 && (worst < 0 || r.Took > results[worst].Took) {
			worst = i
		}
	}
	return worst
}

// level gives each target's place in the order of freezing.
func (p *plan) level() []int {
	level := make([]int, len(p.targets))
	for n, members := range p.levels {
		for _, i := range members {
			level[i] = n
		}
	}
	return level
}

// describe begins the report of a filesystem.
func (f *filesystem) describe() FilesystemReport {
	r := FilesystemReport{Mountpoint: f.name(), Device: f.Dev.String(), Type: f.Type, Source: f.Source}
	if points := f.points(); len(points) > 1 {
		r.Mountpoints = points
	}
	return r
}

func (s skip) describe() FilesystemReport {
	r := s.fs.describe()
	r.Outcome, r.Reason = OutcomeSkipped, s.reason
	return r
}

// outcome tells what became of a target of the type fsType.
func (r result) outcome(fsType string) (outcome, reason string) {
	switch {
	case r.Pending:
		return OutcomeStuck, "its ioctl has not come back from the kernel: look at its disk"
	case r.Thawed && r.Thaw == unix.EINVAL:
		return OutcomeThawed, "another program had thawed it"
	case r.Thawed:
		return OutcomeThawed, ""
	case r.Frozen && r.Thaw != 0:
		return OutcomeFailed, "thaw: " + words(r.Thaw)
	case r.Frozen:
		return OutcomeFrozen, ""
	case r.Freeze == unix.EOPNOTSUPP:
		return OutcomeUnsupported, notFreezable(fsType)
	case r.Freeze == unix.EBUSY:
		return OutcomeBusy, "another program had frozen it before"
	case r.Freeze != 0:
		return OutcomeFailed, "freeze: " + words(r.Freeze)
	default:
		return OutcomeSkipped, "the freeze ended before its turn"
	}
}

// report describes a freeze of an earlier process, of which only its state
// file is left.
func (s state) report() Report {
	r := Report{State: Expired, AskedBy: s.By, EndedBy: s.Why, Error: s.news().Error(), Filesystems: []FilesystemReport{}}
	if !s.Since.IsZero() {
		r.Since = s.Since.UnixNano()
	}
	if !s.Thawed.IsZero() {
		r.Thawed = s.Thawed.UnixNano()
	}
	for _, t := range s.Targets {
		r.Filesystems = append(r.Filesystems, FilesystemReport{
			Mountpoint: t.Point, Device: t.Dev.String(), Outcome: OutcomeThawed,
		})
	}
	return r
}
