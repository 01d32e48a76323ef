package freeze

import (
	"context"
	"slices"
	"strings"
)

// Thaw thaws what the last Freeze froze, and nothing else, and returns how
// many filesystems that were. A freeze that is running is given up first;
// then, and when nothing is frozen, the answer is 0. A freeze that ended
// before this call gives an error that says when and why, once. When ctx ends
// first, the thaw goes on without its caller.
func (e *Engine) Thaw(ctx context.Context) (int, error) {
	return e.thaw(ctx, whyAsked)
}

// Undo thaws because the answer to the freeze reached nobody.
func (e *Engine) Undo(ctx context.Context) error {
	_, err := e.thaw(ctx, whyUndelivered)
	return err
}

// Close gives up a running freeze, thaws what is frozen and leaves word in
// the state directory that it did, for the program's next start.
func (e *Engine) Close(ctx context.Context) error {
	if e.State() == Expired {
		return nil // the word is left already
	}
	_, err := e.thaw(ctx, whyStop)
	return err
}

func (e *Engine) thaw(ctx context.Context, why string) (int, error) {
	if err := e.recoverRest(); err != nil {
		return 0, err
	}
	for {
		e.mu.Lock()
		s := e.current
		switch {
		case e.state == Expired:
			err := e.owed.news()
			e.forget()
			e.mu.Unlock()
			e.keeper.wait()
			return 0, err
		case s == nil:
			e.mu.Unlock()
			return 0, nil
		case e.state == Freezing:
			s.cancel()
		}
		held := e.state == Frozen
		e.mu.Unlock()

		reply := make(chan thawAnswer, 1)
		var requests chan thawRequest
		answered := s.answered
		if held {
			requests, answered = s.requests, nil
		}
		select {
		case requests <- thawRequest{why, reply}:
		case <-answered:
			continue
		case <-s.over:
			continue
		case <-ctx.Done():
			return 0, errStopped
		}
		select {
		case a := <-reply:
			return a.count, a.err
		case <-ctx.Done():
			return 0, errStopped
		}
	}
}

// markStuck notes targets whose ioctl has not come back.
func (e *Engine) markStuck(targets []stateTarget) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stuck = append(e.stuck, targets...)
	e.keepState()
}

// unstick notes that they have, and are thawed.
func (e *Engine) unstick(targets []stateTarget) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stuck = slices.DeleteFunc(e.stuck, func(t stateTarget) bool {
		return slices.ContainsFunc(targets, func(back stateTarget) bool { return back.Dev == t.Dev })
	})
	e.keepState()
	e.cfg.Log.Warn(strings.Join(points(targets), ", ") + " has come back from the kernel and is thawed")
}

// points gives the mount points of targets.
func points(targets []stateTarget) []string {
	var names []string
	for _, t := range targets {
		names = append(names, t.Point)
	}
	return names
}
