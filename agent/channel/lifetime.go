package channel

import (
	"context"
	"net"
)

// lifetime is a listener's, from its making to its Close.
type lifetime struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newLifetime() lifetime {
	ctx, cancel := context.WithCancel(context.Background())
	return lifetime{ctx, cancel}
}

// end ends the lifetime; it tells whether this call was the one that did.
func (l lifetime) end() bool {
	first := l.ctx.Err() == nil
	l.cancel()
	return first
}

// join returns a context that is done when ctx is or when the lifetime ends;
// its cause is then net.ErrClosed. stop must be called.
func (l lifetime) join(ctx context.Context) (joined context.Context, stop func()) {
	joined, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(l.ctx, func() { cancel(net.ErrClosed) })
	return joined, func() {
		unhook()
		cancel(nil)
	}
}
