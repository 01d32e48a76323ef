package channel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// shortLife is how long a device must have worked to be reopened at once
// when it fails.
const shortLife = time.Second

// portListener serves the host at the other end of a character device. The
// device stays open between two stays: the host sees whether the guest's side
// of a virtio-serial port is open (the event VSERPORT_CHANGE).
type portListener struct {
	cfg  Config
	life lifetime
	// turn is held by the Accept that is at work.
	turn chan struct{}
	died pause

	mu   sync.Mutex
	dev  *device
	last *stay
}

// openPort opens a virtio-serial port or a serial line.
func openPort(cfg Config) (Listener, error) {
	l := &portListener{cfg: cfg, life: newLifetime(), turn: make(chan struct{}, 1)}
	dev, err := cfg.open()
	switch {
	case err == nil:
		l.dev = dev
	case cfg.Retry:
		l.cfg.Log.Warn(fmt.Sprintf("waiting for the channel: %v", openAdvice(cfg, err)))
	default:
		return nil, openAdvice(cfg, err)
	}
	return l, nil
}

// String implements Listener.
func (l *portListener) String() string { return l.cfg.Method + " " + l.cfg.Path }

// Close implements Listener.
func (l *portListener) Close() error {
	if !l.life.end() {
		return net.ErrClosed
	}
	return l.drop()
}

// Accept implements Listener.
func (l *portListener) Accept(ctx context.Context) (Conn, error) {
	ctx, stop := l.life.join(ctx)
	defer stop()
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.last != nil {
		select {
		case <-l.last.ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if l.last.lost.Load() {
			l.lose()
		}
		l.last = nil
	}
	for {
		dev, err := l.device(ctx)
		if err != nil {
			return nil, context.Cause(ctx)
		}
		first, err := dev.awaitHost(ctx)
		if err == nil {
			l.last = newStay(dev, "host over "+l.cfg.Method, first)
			return l.last, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l.lose()
	}
}

// device returns the open device, opening it first if need be.
func (l *portListener) device(ctx context.Context) (*device, error) {
	l.mu.Lock()
	dev := l.dev
	l.mu.Unlock()
	if dev != nil {
		return dev, nil
	}
	// A device that keeps dying when it has just been opened must not make
	// the agent spin.
	if l.died.next > 0 {
		if err := sleep(ctx, l.died.next); err != nil {
			return nil, err
		}
	}
	dev, err := awaitDevice(ctx, l.cfg)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life.ctx.Err() != nil {
		return nil, errors.Join(net.ErrClosed, dev.f.Close())
	}
	l.dev = dev
	l.cfg.Log.Info("the channel is open: " + l.String())
	return dev, nil
}

// lose closes a device that has failed: unplugged, or hung up.
func (l *portListener) lose() {
	l.mu.Lock()
	young := l.dev != nil && time.Since(l.dev.opened) < shortLife
	l.mu.Unlock()
	if young {
		l.died.grow()
	} else {
		l.died.reset()
	}
	l.cfg.Log.Info("the channel is gone, waiting for it: " + l.String())
	_ = l.drop()
}

// drop closes the device, if one is open.
func (l *portListener) drop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dev == nil {
		return nil
	}
	f := l.dev.f
	l.dev = nil
	return f.Close()
}

// openAdvice adds to an error of openDevice what to do about it.
func openAdvice(cfg Config, err error) error {
	advice := "check --method and --path"
	switch {
	case errors.Is(err, os.ErrNotExist) && cfg.Method == VirtioSerial:
		advice = "give the virtual machine a virtio-serial port of that name, or wait for one with --retry-path"
	case errors.Is(err, os.ErrNotExist):
		advice = "check --path, or wait for the device with --retry-path"
	case errors.Is(err, os.ErrPermission):
		advice = "run the agent as root"
	case isBusy(err):
		advice = "another program has it open: stop that one (another guest agent?)"
	}
	return fmt.Errorf("error opening channel '%s': %w: %s", cfg.Path, err, advice)
}
