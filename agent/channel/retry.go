package channel

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
)

// listen opens a listening socket, at once or, with cfg.Retry, whenever that
// becomes possible.
func listen(ctx context.Context, cfg Config, open func(context.Context) (Listener, error)) (Listener, error) {
	l, err := open(ctx)
	if err == nil || !cfg.Retry {
		return l, err
	}
	cfg.Log.Warn(fmt.Sprintf("%v (trying again every %v)", err, longestPause))
	return &retryListener{name: cfg.Method + " " + cfg.Path, open: open, log: cfg.Log, said: err.Error(), life: newLifetime()}, nil
}

// retryListener stands for a listener that could not be opened yet.
type retryListener struct {
	name string
	open func(context.Context) (Listener, error)
	log  *slog.Logger
	said string
	life lifetime

	mu    sync.Mutex
	inner Listener
}

// String implements Listener.
func (l *retryListener) String() string { return l.name }

// Close implements Listener.
func (l *retryListener) Close() error {
	if !l.life.end() {
		return net.ErrClosed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		return nil
	}
	return l.inner.Close()
}

// Accept implements Listener.
func (l *retryListener) Accept(ctx context.Context) (Conn, error) {
	inner, err := l.wait(ctx)
	if err != nil {
		return nil, err
	}
	return inner.Accept(ctx)
}

// wait opens the listener, with a pause before each attempt.
func (l *retryListener) wait(ctx context.Context) (Listener, error) {
	ctx, stop := l.life.join(ctx)
	defer stop()
	for {
		l.mu.Lock()
		inner := l.inner
		l.mu.Unlock()
		if inner != nil {
			return inner, nil
		}
		if sleep(ctx, longestPause) != nil {
			return nil, context.Cause(ctx)
		}
		inner, err := l.open(ctx)
		if err != nil {
			if text := err.Error(); text != l.said {
				l.log.Warn(text)
				l.said = text
			}
			continue
		}
		l.mu.Lock()
		l.inner = inner
		l.mu.Unlock()
		if ctx.Err() != nil { // Close may have come too early to see it
			_ = inner.Close()
		}
	}
}
