package freeze

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// retryPeriod is how often a refused thaw is tried again.
const retryPeriod = time.Second

// hold keeps the freeze until it ends: on request, by the freezer's deadline,
// or because the freezer is gone. The freezer minds the deadline; the agent
// minds it too, a moment later, in case the freezer has been stopped.
func (s *session) hold() {
	deadline := time.NewTimer(time.Until(s.frozenAt.Add(s.deadline + patience)))
	defer deadline.Stop()
	defer time.AfterFunc(collectorPause, s.resume).Stop()
	var retry <-chan time.Time
	if s.stranded() {
		s.drop()
		s.update(func() { s.why = whyUndelivered }) // the freeze has answered an error
		retry = time.After(retryPeriod)
	}
	for {
		var req thawRequest
		select {
		case e, ok := <-s.events():
			switch {
			case !ok:
				s.lose()
				s.child = nil
				req.why = whyFreezer
			case e.Is == isThawed:
				s.absorb(e)
				req.why = e.Why
			default:
				continue
			}
		case req = <-s.requests:
			s.thaw()
		case <-deadline.C:
			if s.child != nil {
				s.lose()
			}
			s.thawSelf()
			req.why = whyDeadline
		case <-retry:
			s.thawSelf()
		}
		if s.why == "" {
			s.update(func() { s.why = req.why })
		}
		if refused := s.refused(); refused != nil {
			s.drop()
			s.logRefused()
			req.answer(0, refused)
			retry = time.After(retryPeriod)
			continue
		}
		s.end(req)
		return
	}
}

// events is the freezer's, or nothing when it is gone.
func (s *session) events() <-chan event {
	if s.child == nil {
		return nil
	}
	return s.child.events
}

// drop lets a freezer go that has nothing left to do.
func (s *session) drop() {
	if s.child != nil {
		s.child.close()
		s.child = nil
	}
}

// thaw has the freezer thaw, and does it in its place if it does not.
func (s *session) thaw() {
	if s.child == nil {
		s.thawSelf()
		return
	}
	s.child.send(order{Do: doThaw})
	limit := time.After(thawPatience + patience)
	for {
		select {
		case e, ok := <-s.child.events:
			if ok && e.Is == isThawed {
				s.absorb(e)
				return
			}
			if !ok {
				s.lose()
				s.child = nil
				return
			}
		case <-limit:
			s.lose()
			return
		}
	}
}

// end finishes a freeze of which nothing is frozen any more, and tells who
// asked for its thaw, or keeps the news for whoever will.
func (s *session) end(req thawRequest) {
	count, err := s.verdict()
	s.release()
	if herr := s.endHooks(false); err == nil {
		err = herr
	}
	s.tellOutput()
	s.e.ended(s, err)
	s.e.keeper.wait()
	req.answer(count, err)
	close(s.over)
}

// answer tells whoever asked for the thaw, if anybody did.
func (r thawRequest) answer(count int, err error) {
	if r.reply != nil {
		r.reply <- thawAnswer{count, err}
	}
}

// verdict counts what this thaw thawed. One that was thawed already by
// somebody else, or whose thaw has not come back, spoils the answer: the
// host must not take the snapshot for good, or the guest for thawed.
func (s *session) verdict() (count int, err error) {
	var foreign, stuck []string
	for i, r := range s.results {
		switch {
		case r.Pending:
			stuck = append(stuck, s.targets[i].point)
		case r.Frozen && r.Thaw == unix.EINVAL && !s.lost:
			foreign = append(foreign, s.targets[i].point)
		case r.Frozen:
			count++
		}
	}
	switch {
	case len(stuck) > 0:
		return count, fmt.Errorf("failed to thaw %s: the kernel has not come back from it; look at its disk", strings.Join(stuck, ", "))
	case len(foreign) > 0:
		return count, fmt.Errorf("fsfreeze is limited to what nobody else thaws: another program had thawed %s before this request; everything is thawed now",
			strings.Join(foreign, ", "))
	default:
		return count, nil
	}
}

// ended takes the Engine out of the state Frozen.
func (e *Engine) ended(s *session, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current, e.lastOf = nil, s
	s.state.Thawed, s.state.Why = s.thawedAt, s.why
	if s.state.Thawed.IsZero() {
		s.state.Thawed = time.Now()
	}
	if s.why == whyAsked || s.why == whyUndelivered || e.cfg.ForgetExpiry {
		e.state = Thawed
		e.keepState()
	} else {
		e.expire(s.state, s.deadline)
	}
	e.last = s.report(e.state)
	if err != nil {
		e.last.Error = err.Error()
	}
	e.cfg.Log.Log(context.Background(), LevelAudit, e.last.summary())
}

// expire goes into the state Expired: the host is owed the news. It ends by
// itself after a while, as some hosts freeze no guest that says "frozen".
func (e *Engine) expire(owed state, stay time.Duration) {
	owed.Phase, owed.Targets, owed.Hooks, owed.RCU = Expired, nil, nil, false
	e.state, e.owed = Expired, owed
	e.keepState()
	e.cfg.Log.Warn(owed.news().Error())
	var timer *time.Timer
	timer = time.AfterFunc(stay, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.expiry == timer {
			e.forget()
		}
	})
	e.expiry = timer
}

// news is what the host is told of a freeze that ended before its thaw. The
// first words are those by which KubeVirt knows a snapshot to be spoilt.
func (s state) news() error {
	var limit string
	switch s.Why {
	case whyDeadline:
		limit = fmt.Sprintf("%g seconds", s.Deadline.Seconds())
		if s.Deadline == time.Second {
			limit = "1 second"
		}
	case whyRestart:
		limit = "the life of the agent, which was restarted"
	case whyStop:
		limit = "the life of the agent, which was stopped"
	case whySignal, whyFreezer:
		limit = "the life of the freezer process, which was ended"
	default:
		return errors.New("fsfreeze is limited: the filesystems were thawed before this request")
	}
	return fmt.Errorf("fsfreeze is limited to %s: the filesystems were thawed at %s, before this request",
		limit, s.Thawed.UTC().Format(time.RFC3339))
}
