package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"qemu-ga/agent/channel"
)

// Where cloud-init tells of itself, on a tmpfs: the first file begins every
// boot that it takes part in, the second ends its work.
const (
	cloudInitRun    = "/run/cloud-init"
	cloudInitResult = "result.json"
	// cloudInitPeriod is how often the agent looks, only while it waits.
	cloudInitPeriod = time.Second
)

// laterListener opens the channel only when cloud-init has finished its work:
// many hosts take a guest whose agent answers for one that is ready. It waits
// in Accept, so that the start of the service is not held up, and neither is
// what cloud-init itself waits for.
type laterListener struct {
	open  func(context.Context) (channel.Listener, error)
	dir   string
	limit time.Duration
	log   *slog.Logger

	mu     sync.Mutex
	real   channel.Listener // nil until it is open
	closed bool
}

// String implements channel.Listener.
func (l *laterListener) String() string { return "the channel, once cloud-init has finished" }

// Accept implements channel.Listener.
func (l *laterListener) Accept(ctx context.Context) (channel.Conn, error) {
	l.mu.Lock()
	real, closed := l.real, l.closed
	l.mu.Unlock()
	switch {
	case closed:
		return nil, net.ErrClosed
	case real != nil:
		return real.Accept(ctx)
	}
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	real, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		_ = real.Close()
		return nil, net.ErrClosed
	}
	l.real = real
	l.mu.Unlock()
	return real.Accept(ctx)
}

// Close implements channel.Listener.
func (l *laterListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.real == nil {
		return nil
	}
	return l.real.Close()
}

// wait returns when cloud-init has finished, will not run in this boot, or
// has taken longer than the limit.
func (l *laterListener) wait(ctx context.Context) error {
	if !l.expected() {
		l.log.Info("cloud-init does not run in this boot: the channel is opened at once")
		return nil
	}
	end := time.NewTimer(l.limit)
	defer end.Stop()
	tick := time.NewTicker(cloudInitPeriod)
	defer tick.Stop()
	for !l.there(cloudInitResult) {
		select {
		case <-tick.C:
		case <-end.C:
			l.log.Warn("cloud-init has not finished in " + l.limit.String() + ": the channel is opened all the same")
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.log.Info("cloud-init has finished: the channel is opened")
	return nil
}

// expected tells whether cloud-init runs in this boot. Under systemd its
// generator says so before any service starts; elsewhere it is enough that
// the program is there.
func (l *laterListener) expected() bool {
	switch {
	case l.there("disabled"):
		return false
	case l.there("enabled"), l.there(cloudInitResult):
		return true
	}
	_, err := exec.LookPath("cloud-init")
	return err == nil
}

func (l *laterListener) there(name string) bool {
	_, err := os.Lstat(filepath.Join(l.dir, name))
	return err == nil
}
