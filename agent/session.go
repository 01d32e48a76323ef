package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"qemu-ga/agent/channel"
	"qemu-ga/agent/qapi"
)

const (
	// readAhead is how many requests a session reads beyond the one that is
	// being served.
	readAhead = 8
	// grace is what a command still gets after its client gave up on it.
	grace = time.Second
	// maxRunning is how many commands may run at once in the whole agent, of
	// all sessions and those whose clients gave up on them.
	maxRunning = 32
	// maxUrgent is how many may run that freeze or thaw, beside the others:
	// these may all hang on a disk or a directory service that does not answer.
	maxUrgent = 8
	// writeLimit is how long a piece of a reply may wait for the host to
	// read, freezeLimit how long the answer to a freeze may.
	writeLimit  = 30 * time.Second
	freezeLimit = 5 * time.Second
)

// tooMany is the answer when nothing more may begin.
func tooMany(others int) error {
	return fmt.Errorf("cannot run the command: %d others are still running", others)
}

// session serves one host's stay on a channel.
type session struct {
	agent *Agent
	conn  channel.Conn
	out   *patient
	enc   *qapi.Encoder
	ahead *ahead
	queue chan item

	mu      sync.Mutex
	running *run // the command being served; nil is none
	// thaws and syncs count the requests that were read and wait behind it.
	thaws, syncs int
	// untaken is the freeze whose answer was written and that nothing has been
	// read behind; zero is none.
	untaken uint64
}

// item is what the decoder found: a request, or a fault to be answered.
type item struct {
	req qapi.Request
	err error
}

// run is a command being served.
type run struct {
	command *Command
	cancel  context.CancelFunc
	begun   time.Time
	giveUp  chan struct{} // closed when its client no longer waits
	hurry   sync.Once     // begins the time that it still has
}

type peerKey struct{}

// peerOf tells whose request it is.
func peerOf(ctx context.Context) string {
	peer, _ := ctx.Value(peerKey{}).(string)
	return peer
}

// serveConn serves conn until its host goes, or ctx is done.
func (a *Agent) serveConn(ctx context.Context, conn channel.Conn) {
	ctx, cancel := context.WithCancel(context.WithValue(ctx, peerKey{}, conn.Peer()))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	a.log.Debug("a host is connected", "peer", conn.Peer())
	defer a.idle.touch() // what it leaves behind is given back, too
	s := &session{agent: a, conn: conn, out: &patient{conn: conn}, queue: make(chan item, readAhead)}
	s.enc = qapi.NewEncoder(s.out)
	s.ahead = newAhead(ctx, conn, a.large)
	defer s.ahead.end()
	go s.read(ctx)
	for it := range s.queue {
		if err := s.serve(ctx, it); err != nil {
			a.log.Debug("a host is gone", "peer", conn.Peer(), "error", err)
			return
		}
		s.ahead.served()
	}
}

// read finds requests and queues them. It is what notices a request that
// overtakes the one being served.
func (s *session) read(ctx context.Context) {
	defer close(s.queue)
	dec := qapi.NewDecoder(s.ahead, qapi.Limits{})
	for {
		v, err := dec.Next()
		var fault *qapi.Error
		if err != nil && !errors.As(err, &fault) {
			if errors.Is(err, channel.ErrUnread) {
				s.leftUnread()
			}
			return
		}
		s.ahead.found()
		s.setUntaken(0)
		it := item{err: err}
		if err == nil {
			it.req, it.err = qapi.ParseRequest(v)
		}
		if it.err == nil {
			s.overtake(it.req.Name)
		}
		select {
		case s.queue <- it:
		case <-ctx.Done():
			return
		}
		if errors.Is(err, errTooManyLarge) {
			return
		}
	}
}

// overtake lets a request that was read act on the one that is being served,
// or will be, before it.
func (s *session) overtake(name string) { s.count(name, 1) }

// count notes that a request waits behind others, or does so no longer.
func (s *session) count(name string, by int) {
	c := s.agent.byName[name]
	if c == nil || !c.is(thaws) && !c.is(resyncs) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.is(thaws) {
		s.thaws += by
	} else {
		s.syncs += by
	}
	s.press()
}

// press has the requests that wait act on the command being served: a thaw
// ends a freeze, and a sync means that the client has given up on whatever it
// is. Either leaves it the time that a quick command needs, as both may have
// come in one piece with it. press is called with mu held.
func (s *session) press() {
	r := s.running
	if r == nil {
		return
	}
	if s.thaws > 0 && r.command.is(freezes) {
		time.AfterFunc(time.Until(r.begun.Add(grace)), r.cancel)
	}
	if s.syncs > 0 {
		r.hurry.Do(func() { time.AfterFunc(grace, func() { close(r.giveUp) }) })
	}
}

// serve carries one item out and answers it. An error means that the host
// cannot be answered any more.
func (s *session) serve(ctx context.Context, it item) error {
	s.agent.idle.touch()
	if it.err != nil {
		return s.answer(it.req, nil, nil, it.err)
	}
	s.count(it.req.Name, -1)
	c, err := s.agent.look(it.req)
	if err != nil {
		if known := s.agent.byName[it.req.Name]; known != nil && known.is(privileged) {
			s.agent.tellRefused(ctx, known.Name, err)
		}
		return s.answer(it.req, nil, nil, err)
	}
	var room *share
	if c.is(bulky) {
		ctx, room = s.agent.replies.shared(ctx)
	}
	if c.is(instant) {
		ret, err := c.call(s.agent, ctx, it.req)
		return s.deliver(it.req, c, ret, err, room)
	}
	ret, err, answered := s.run(ctx, c, it.req, room)
	if !answered {
		return nil
	}
	return s.deliver(it.req, c, ret, err, room)
}

// run calls a command that may take its time. It reports false if the client
// gave up on it, or the session ends: then there must be no answer, and the command goes on, or is
// rolled back, by itself; it keeps its room until then.
func (s *session) run(parent context.Context, c *Command, req qapi.Request, room *share) (ret any, err error, answered bool) {
	a := s.agent
	slots := a.slots
	if c.is(freezes | thaws) {
		slots = a.urgent
	}
	select {
	case slots <- struct{}{}:
	default:
		return nil, tooMany(cap(slots)), true
	}
	ctx, cancel := context.WithCancel(parent)
	r := &run{command: c, cancel: cancel, begun: time.Now(), giveUp: make(chan struct{})}
	type result struct {
		ret any
		err error
	}
	results := make(chan result, 1)
	s.setRunning(r)
	defer s.setRunning(nil)
	go func() {
		defer func() { <-slots }()
		ret, err := c.call(a, ctx, req)
		results <- result{ret, err}
	}()
	select {
	case got := <-results:
		cancel()
		return got.ret, got.err, true
	case <-r.giveUp:
		a.log.Warn(c.Name + " is still running and its client has given up on it: its answer is dropped")
	case <-parent.Done():
	}
	cancel()
	go func() {
		if got := <-results; c.is(freezes) && got.err == nil {
			a.undo()
		}
		room.release()
		a.idle.touch()
	}()
	return nil, nil, false
}

func (s *session) setRunning(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = r
	s.press()
}

// deliver is answer, after which the answer's room is given back.
func (s *session) deliver(req qapi.Request, c *Command, ret any, err error, room *share) error {
	room.sending(func() { _ = s.conn.Close() })
	defer room.release()
	return s.answer(req, c, ret, err)
}

// answer replies to a request. If the answer to a freeze cannot be delivered,
// the filesystems are thawed at once: the host knows of no freeze to thaw.
func (s *session) answer(req qapi.Request, c *Command, ret any, err error) error {
	if err == nil && c.is(silent) {
		return nil
	}
	frozen := err == nil && c.is(freezes)
	s.out.limit = writeLimit
	if frozen {
		s.out.limit = freezeLimit
		s.setUntaken(s.agent.freezes.Add(1))
	}
	var werr error
	if err != nil {
		werr = s.enc.Fail(req.ID, s.agent.advise(c, err))
	} else {
		if c.is(delimited) {
			s.enc.Mark()
		}
		werr = s.enc.Return(req.ID, ret)
	}
	if werr != nil && frozen {
		s.agent.undo()
	}
	return werr
}

// setUntaken notes the freeze whose answer is being written, or, with zero,
// that the host goes on.
func (s *session) setUntaken(freeze uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.untaken = freeze
}

// leftUnread thaws, if the answer to a freeze is the last that was written to
// a host that has gone with an answer unread: nobody knows of the freeze.
func (s *session) leftUnread() {
	s.mu.Lock()
	freeze := s.untaken
	s.mu.Unlock()
	if freeze != 0 && freeze == s.agent.freezes.Load() {
		s.agent.undo()
	}
}

// patient writes to a host that may take its time to read, within a limit for
// each piece.
type patient struct {
	conn  channel.Conn
	limit time.Duration
}

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.conn.SetWriteDeadline(time.Now().Add(p.limit)); err != nil {
		return 0, err
	}
	return p.conn.Write(b)
}

// undo thaws a freeze that no host knows of.
func (a *Agent) undo() {
	if err := a.engine.Undo(context.Background()); err != nil {
		a.log.Error("cannot thaw after an answer that was not delivered: " + err.Error())
	}
}
