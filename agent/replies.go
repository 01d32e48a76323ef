package agent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// smallReply is what any reply may hold of the agent's memory, in bytes of
	// data; what is more counts.
	smallReply = 256 << 10
	// maxReplies bounds the data that counts, of all replies that are being
	// made or sent: two of the largest.
	maxReplies = 2 * maxCount
	// lingering is how long a reply may be on its way before its client has to
	// give way to others.
	lingering = 30 * time.Second
)

// errNoRoom is the answer to a command whose reply is large, when others have
// all the memory for such.
var errNoRoom = fmt.Errorf("cannot return more than %d bytes now: other large replies are being sent: ask again", smallReply)

// replies is the memory that large replies have together. A client that does
// not read its own cannot keep the others from theirs: small replies always
// have room, and who takes too long while others want room loses the
// connection.
type replies struct {
	mu      sync.Mutex
	held    int
	holders []*share // in the order in which they came to hold something
}

// share is what one command's reply has of it. A nil share is that of a reply
// which is no command's: it has any room, and nothing to give back.
type share struct {
	of   *replies
	size int
	// hang ends the connection on which the reply is sent, since when; nil
	// while it is made.
	hang  func()
	since time.Time
}

type shareKey struct{}

// shared gives a command a share of the memory, which is empty.
func (r *replies) shared(ctx context.Context) (context.Context, *share) {
	s := &share{of: r}
	return context.WithValue(ctx, shareKey{}, s), s
}

// shareOf returns the share of the command that is being served; nil outside of
// a session.
func shareOf(ctx context.Context) *share {
	s, _ := ctx.Value(shareKey{}).(*share)
	return s
}

// holds makes the share as large as a reply with so many bytes of data needs,
// or leaves it as it is and reports false. A reply that is larger than all the
// memory has it for itself.
func (s *share) holds(data int) bool {
	if s == nil {
		return true
	}
	if data <= smallReply {
		data = 0
	}
	r := s.of
	r.mu.Lock()
	defer r.mu.Unlock()
	if others := r.held - s.size; data > s.size && others > 0 && others+data > maxReplies {
		r.hurry()
		return false
	}
	r.resize(s, data)
	return true
}

// hurry ends the connection that has been sent a large reply for the longest
// time, if that is too long: so there is room for who asks again.
func (r *replies) hurry() {
	for _, s := range r.holders {
		if s.hang != nil && time.Since(s.since) > lingering {
			s.hang()
			return
		}
	}
}

// sending notes that the reply has been made and is sent now. hang ends that.
func (s *share) sending(hang func()) {
	if s == nil {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.hang, s.since = hang, time.Now()
}

// release gives the share back.
func (s *share) release() {
	if s == nil {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.resize(s, 0)
}

// resize is called with mu held.
func (r *replies) resize(s *share, size int) {
	switch {
	case s.size == 0 && size > 0:
		r.holders = append(r.holders, s)
	case s.size > 0 && size == 0:
		i := slices.Index(r.holders, s)
		r.holders = slices.Delete(r.holders, i, i+1)
	}
	r.held += size - s.size
	s.size = size
}
