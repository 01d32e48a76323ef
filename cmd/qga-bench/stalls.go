package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"
)

// scenario is what is frozen while writers write.
type scenario struct {
	fsType string
	kind   string // of writers
	count  int    // filesystems
	dirty  int    // MiB on each, written just before the freeze
	rounds int
}

// stalls are the longest writes of a scenario's rounds, in milliseconds.
type stalls struct {
	scenario
	pairs
	// calm is the longest write in the moment before each freeze: what the
	// machine does by itself.
	calm []float64
	// rehearsal, window, held and thaw are what this agent says of each freeze.
	rehearsal, window, held, thaw []float64
	// floor is the longest write when no agent freezes, but this program, and
	// synced the longest when it only writes out what is dirty.
	floor, synced []float64
	// skipped says why there are no figures.
	skipped string
}

// The targets of the median ratio.
const (
	idleTarget  = 0.02
	dirtyTarget = 0.1
)

// scenarios is the whole grid, or the short one.
func scenarios(short bool) []scenario {
	var all []scenario
	for _, fsType := range []string{"ext4", "xfs", "btrfs"} {
		for _, kind := range []string{buffered, fsyncing} {
			if short && (kind == fsyncing && fsType != "ext4") {
				continue
			}
			rounds := map[int]int{1: 21, 4: 15, 16: 9, 64: 5}
			for _, count := range []int{1, 4, 16, 64} {
				all = append(all, scenario{fsType, kind, count, 0, rounds[count]})
			}
			all = append(all, scenario{fsType, kind, 4, 64, 7}, scenario{fsType, kind, 16, 64, 3}, scenario{fsType, kind, 4, 512, 3})
			if kind == buffered || fsType == "ext4" {
				all = append(all, scenario{fsType, kind, 16, 512, 2})
			}
		}
	}
	if !short {
		return all
	}
	var few []scenario
	for _, s := range all {
		if (s.dirty < 512 || s.fsType == "ext4") && (s.count < 64 || s.kind == buffered) {
			s.rounds = s.rounds/3 + 1
			few = append(few, s)
		}
	}
	return few
}

// measureStalls goes through the scenarios.
func measureStalls(short bool, match string) ([]*stalls, error) {
	agents, err := startBoth()
	if err != nil {
		return nil, err
	}
	var all []*stalls
	for _, sc := range scenarios(short) {
		if !strings.Contains(sc.String(), match) {
			continue
		}
		s := &stalls{scenario: sc, pairs: pairs{unit: "ms", target: sc.target()}}
		if err := sc.room(); err != nil {
			s.skipped = err.Error()
			say("%-28s left out: %s", sc, s.skipped)
			all = append(all, s)
			continue
		}
		if err := s.measure(agents); err != nil {
			return nil, fmt.Errorf("%s: %w", sc, err)
		}
		say("%-28s %8s ms %8s ms  ratio %s, calm %s ms, rehearsal %s window %s held %s thaw %s, floor %s synced %s  %s", sc, number(median(s.values[ours])),
			number(median(s.values[theirs])), spread(s.ratios()), number(median(s.calm)), number(median(s.rehearsal)), number(median(s.window)), number(median(s.held)), number(median(s.thaw)),
			number(median(s.floor)), number(median(s.synced)), s.verdict())
		all = append(all, s)
	}
	for _, a := range agents {
		if err := a.stop(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s scenario) target() float64 {
	if s.dirty == 0 {
		return idleTarget
	}
	return dirtyTarget
}

// String names the scenario.
func (s scenario) String() string {
	if s.dirty == 0 {
		return fmt.Sprintf("%s ×%d idle, %s", s.fsType, s.count, s.kind)
	}
	return fmt.Sprintf("%s ×%d %d MiB dirty, %s", s.fsType, s.count, s.dirty, s.kind)
}

// measure does the rounds of one scenario, in an order that changes, so that
// neither agent always comes first.
func (s *stalls) measure(agents [both]*agent) error {
	dirs, unmount, err := s.mount()
	if err != nil {
		return err
	}
	if s.count*s.dirty >= manyDirty {
		restore, err := holdDirty(int64(s.count*s.dirty)<<20, dirs)
		if err != nil {
			return err
		}
		defer func() { _ = restore() }()
	}
	w, err := startWriters(s.kind, dirs)
	if err != nil {
		return err
	}
	for round := range s.rounds + 1 {
		for turn := range agents {
			which := (turn + round) % both
			if err := agents[which].bound(); err != nil {
				return err
			}
			calm, stall, err := s.once(agents[which], w, dirs)
			if err != nil {
				return err
			}
			if round > 0 { // the first is for everybody to warm up
				s.calm = append(s.calm, calm)
				s.add(which, stall)
			}
			if round > 0 && which == ours {
				if err := s.ask(agents[ours]); err != nil {
					return err
				}
				if err := s.bare(w, dirs); err != nil {
					return err
				}
			}
		}
	}
	if err := w.stop(); err != nil {
		return err
	}
	return unmount()
}

// ask takes down what this agent reports of the freeze.
func (s *stalls) ask(a *agent) error {
	var report freeze.Report
	if err := a.call(&report, "x-fsfreeze-report", nil); err != nil {
		return err
	}
	s.rehearsal = append(s.rehearsal, ms(time.Duration(report.Times.Rehearsal)))
	s.window = append(s.window, ms(time.Duration(report.Times.Window)))
	s.held = append(s.held, ms(time.Duration(report.Times.Held)))
	s.thaw = append(s.thaw, ms(time.Duration(report.Times.Thaw)))
	return nil
}

// settleTime lets what was written to the filesystems' journals come to rest.
const settleTime = 30 * time.Millisecond

// once freezes and thaws, and tells how long writers waited for it.
func (s *stalls) once(a *agent, w *writers, dirs []string) (calm, stall float64, err error) {
	if err := makeDirty(dirs, s.dirty); err != nil {
		return 0, 0, err
	}
	if _, err := w.worst(); err != nil {
		return 0, 0, err
	}
	time.Sleep(settleTime)
	before, err := w.worst()
	if err != nil {
		return 0, 0, err
	}
	if err := cycle(a, len(dirs)); err != nil {
		return 0, 0, err
	}
	worst, err := w.worst()
	return ms(before), ms(worst), err
}

// freezeRequest and thawRequest are made before anything is timed.
var (
	freezeRequest = request("guest-fsfreeze-freeze", nil)
	thawRequest   = request("guest-fsfreeze-thaw", nil)
)

// cycle is a freeze and at once its thaw.
func cycle(a *agent, want int) error {
	var answers [2][]byte
	for i, r := range [2][]byte{freezeRequest, thawRequest} {
		line, err := a.exchange(r)
		if err != nil {
			return err
		}
		answers[i] = append(answers[i], line...) // understood when nobody waits
	}
	for _, line := range answers {
		var count int
		if err := parse(line, &count); err != nil {
			return err
		}
		if count != want {
			return fmt.Errorf("%d filesystems were frozen or thawed, not %d", count, want)
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// imageMiB is the size of a filesystem that is to have dirty data.
func (s scenario) imageMiB() int { return 320 + 3*s.dirty }

// mount makes the scenario's filesystems.
func (s scenario) mount() (dirs []string, unmount func() error, err error) {
	for i := range s.count {
		f := freezetest.FS{Type: s.fsType, Dir: fmt.Sprintf("/bench/%d", i), Image: fmt.Sprintf("/image-%d", i)}
		if s.dirty > 0 {
			f.Size = int64(s.imageMiB()) << 20
		}
		if err := freezetest.Mount(f); err != nil {
			return nil, nil, err
		}
		dirs = append(dirs, f.Dir)
	}
	return dirs, func() error {
		for i, dir := range dirs {
			if err := freezetest.Unmount(dir); err != nil {
				return err
			}
			if err := os.Remove(fmt.Sprintf("/image-%d", i)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
