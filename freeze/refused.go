package freeze

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// stranded tells whether something is frozen that the kernel has refused to
// thaw: its access control has changed since the check before the freeze.
func (s *session) stranded() bool {
	for _, r := range s.results {
		if r.Frozen && !r.Thawed && !r.Pending && r.Thaw != 0 {
			return true
		}
	}
	return false
}

// refused names the filesystems that the kernel would not thaw: they are
// frozen still.
func (s *session) refused() error {
	var names []string
	var first unix.Errno
	var errs []error
	for i, r := range s.results {
		if r.Frozen && !r.Thawed && !r.Pending {
			names = append(names, s.targets[i].point)
			if first == 0 {
				first = r.Thaw
			}
			errs = append(errs, s.targets[i].refuse(OpThaw, r.Thaw))
		}
	}
	if len(names) == 0 {
		return nil
	}
	if s.advice == "" {
		s.advice = s.e.advise(errs)
	}
	text := fmt.Sprintf("it is frozen still and tried again every %v (fsfreeze -u thaws by hand)", retryPeriod)
	return fmt.Errorf("failed to thaw %s: %w; %s", strings.Join(names, ", "), spell(first), explained(text, s.advice))
}

// advise says why thaws are refused and what to do about it, while filesystems
// stand still.
func (e *Engine) advise(errs []error) string {
	advice := e.explain(errs, true)
	var reasons []string
	for _, err := range errs {
		if r, ok := errors.AsType[*refusal](err); ok && r.reason != "" {
			reasons = append(reasons, r.mount.Point+": "+r.reason)
		}
	}
	return explained(strings.Join(reasons, "; "), advice)
}

// unsettled marks what may be frozen when everything else has ended.
func (s *session) unsettled() []bool {
	left := make([]bool, len(s.targets))
	for i, r := range s.results {
		left[i] = r.Pending || r.Frozen && !r.Thawed
	}
	return left
}

// logRefused tells the log of a thaw that is refused, once.
func (s *session) logRefused() {
	if text := s.refused().Error(); text != s.logged {
		s.logged = text
		s.e.cfg.Log.Error(text)
	}
}
