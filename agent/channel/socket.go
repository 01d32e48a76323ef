package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxClients bounds the connections of one listener. Each costs memory
	// for a request and its reply.
	maxClients = 16
	// refusalTimeout bounds the telling of a client that it is one too many.
	refusalTimeout = 100 * time.Millisecond
	// refusal is what a client over the bound reads before the end of file.
	refusal = `{"error": {"class": "GenericError", "desc": "too many clients are connected to the guest agent"}}` + "\n"
)

// past is a deadline that has gone by whatever the clock says.
var past = time.Unix(1, 0)

// acceptor is what the listeners of package net and of vsock share.
type acceptor interface {
	net.Listener
	SetDeadline(t time.Time) error
}

// socketListener serves the clients of a listening socket, several at once.
type socketListener struct {
	name string
	ln   acceptor
	log  *slog.Logger
	// admit tells who a client is, or why it is not served.
	admit func(net.Conn) (peer string, err error)
	// remove, when not nil, takes the socket out of the file system.
	remove func()
	slots  chan struct{}
	life   lifetime
}

func newSocketListener(name string, ln acceptor, log *slog.Logger, admit func(net.Conn) (string, error)) *socketListener {
	return &socketListener{
		name: name, ln: ln, log: log, admit: admit,
		slots: make(chan struct{}, maxClients), life: newLifetime(),
	}
}

// String implements Listener.
func (l *socketListener) String() string { return l.name }

// Close implements Listener.
func (l *socketListener) Close() error {
	if !l.life.end() {
		return net.ErrClosed
	}
	if l.remove != nil {
		l.remove()
	}
	return l.ln.Close()
}

// Accept implements Listener.
func (l *socketListener) Accept(ctx context.Context) (Conn, error) {
	ctx, stop := l.life.join(ctx)
	defer stop()
	// A deadline in the past is how a waiting Accept is woken. One that was
	// set too late for the Accept it was meant for is lifted here.
	defer context.AfterFunc(ctx, func() { _ = l.ln.SetDeadline(past) })()
	var p pause
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c, err := l.ln.Accept()
		switch {
		case err == nil:
			if conn := l.welcome(c); conn != nil {
				return conn, nil
			}
			p.reset()
		case errors.Is(err, os.ErrDeadlineExceeded):
			if ctx.Err() == nil {
				_ = l.ln.SetDeadline(time.Time{})
			}
		case errors.Is(err, net.ErrClosed):
			return nil, net.ErrClosed
		default:
			// Out of descriptors or memory, or a client that gave up
			// while it waited: others wait behind it.
			l.log.Warn(fmt.Sprintf("cannot accept a client on %s: %v", l.name, err))
			if err := sleep(ctx, p.grow()); err != nil {
				return nil, context.Cause(ctx)
			}
		}
	}
}

// welcome makes a client's connection a Conn, or refuses it and returns nil.
func (l *socketListener) welcome(c net.Conn) Conn {
	peer, err := l.admit(c)
	if err != nil {
		l.log.Warn(fmt.Sprintf("refused a client on %s: %v", l.name, err))
		_ = c.Close()
		return nil
	}
	select {
	case l.slots <- struct{}{}:
	default:
		l.log.Warn(fmt.Sprintf("refused a client on %s: %s: %d others are connected", l.name, peer, maxClients))
		_ = c.SetWriteDeadline(time.Now().Add(refusalTimeout))
		_, _ = io.WriteString(c, refusal)
		_ = c.Close()
		return nil
	}
	return &socketConn{c: c, peer: peer, leave: sync.OnceFunc(func() { <-l.slots })}
}

// socketConn is one client of a listening socket.
type socketConn struct {
	c     net.Conn
	peer  string
	leave func()
}

// Peer implements Conn.
func (c *socketConn) Peer() string { return c.peer }

// Read implements Conn. A client that closed with our replies unread shows
// as a reset connection.
func (c *socketConn) Read(p []byte) (int, error) {
	n, err := c.c.Read(p)
	if errors.Is(err, syscall.ECONNRESET) {
		err = ErrUnread
	}
	return n, err
}

// Write implements Conn.
func (c *socketConn) Write(p []byte) (int, error) {
	n, err := c.c.Write(p)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		err = ErrHostAway
	}
	return n, err
}

// SetWriteDeadline implements Conn.
func (c *socketConn) SetWriteDeadline(t time.Time) error { return c.c.SetWriteDeadline(t) }

// Close implements Conn.
func (c *socketConn) Close() error {
	defer c.leave()
	return c.c.Close()
}
