package agent

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"qemu-ga/agent/channel"
	"qemu-ga/freeze"

	"github.com/stretchr/testify/require"
)

// nobody is a channel over which no host comes.
type nobody struct{}

func (nobody) Accept(ctx context.Context) (channel.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (nobody) Close() error   { return net.ErrClosed }
func (nobody) String() string { return "nobody" }

// beating serves with a beat every millisecond and returns a function that
// waits for some more of them.
func beating(t *testing.T, freezing freeze.Config) (a *Agent, more func() bool) {
	t.Helper()
	var beats atomic.Int64
	a = newAgent(t, Config{Alive: func() { beats.Add(1) }, AliveEvery: time.Millisecond}, freezing)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, nobody{}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return a, func() bool {
		want := beats.Load() + 10
		for end := time.Now().Add(soon); beats.Load() < want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				return false
			}
		}
		return true
	}
}

// The watchdog is served while a freeze takes its time and while filesystems
// are frozen.
func TestAliveWhileFrozen(t *testing.T) {
	mounted(t, "/mnt/a")
	hook, begun := slowHook(t)
	a, more := beating(t, freeze.Config{Hook: hook, HookTimeout: time.Second})
	c := dial(t, a)
	c.send(freezeRequest)
	require.Eventually(t, begun, soon, time.Millisecond)
	require.True(t, more(), "while a hook hangs")
	require.NotNil(t, c.next().Error)

	b, more := beating(t, freeze.Config{})
	c = dial(t, b)
	require.Equal(t, "1", c.call(freezeRequest))
	require.True(t, more(), "while frozen")
	require.Equal(t, "1", c.call(thawRequest))
}

// An agent with a lock that nobody gives back is not alive, and is again once
// the lock is free.
func TestDeadlockIsNoticed(t *testing.T) {
	a, more := beating(t, freeze.Config{})
	require.True(t, more())
	a.children.mu.Lock()
	time.Sleep(20 * time.Millisecond) // a beat may have been on its way
	ended := make(chan bool)
	go func() { ended <- more() }()
	select {
	case alive := <-ended:
		a.children.mu.Unlock()
		require.False(t, alive, "beats in spite of the deadlock")
	case <-time.After(100 * time.Millisecond): // a hundred beats are missing
		a.children.mu.Unlock()
		require.True(t, <-ended)
	}
}

// Serve returns what makes the channel useless, as the service manager is to
// start afresh.
func TestServeTellsWhyItEnds(t *testing.T) {
	a := newAgent(t, Config{}, freeze.Config{})
	require.ErrorIs(t, a.Serve(context.Background(), broken{}), net.ErrWriteToConnected)
}

// broken is a channel that can never work.
type broken struct{ nobody }

func (broken) Accept(context.Context) (channel.Conn, error) { return nil, net.ErrWriteToConnected }
