package freeze

import "context"

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
	for {
		e.mu.Lock()
		s := e.current
		switch {
		case e.state == Expired:
			err := e.owed.news()
			e.forget()
			e.mu.Unlock()
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

// markStuck counts mount points whose ioctl has not come back up or down.
func (e *Engine) markStuck(points []string, by int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range points {
		if e.stuck[p] += by; e.stuck[p] <= 0 {
			delete(e.stuck, p)
		}
	}
}
