package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// The methods that [Open] knows, by the names qemu-ga gives them.
const (
	VirtioSerial = "virtio-serial"
	ISASerial    = "isa-serial"
	UnixListen   = "unix-listen"
	VsockListen  = "vsock-listen"
)

// ErrHostAway is the error of a write to a host that is not there (any more).
var ErrHostAway = errors.New("the host is away")

// ErrUnread is the error of a read from a host that has gone and has left
// something unread that was written to it.
var ErrUnread = errors.New("the host has gone with an answer unread")

// Conn is one host's stay on the channel. Its methods may be called from
// several goroutines at once.
type Conn interface {
	// Read returns io.EOF, after everything the host had sent, when the host
	// has gone or has said that it will send no more; in the latter case,
	// which only sockets have, writes still work. Sockets give ErrUnread
	// instead where the host left something unread.
	// Write returns an error rather than waiting for a host that is away;
	// one that is there and does not read is waited for until the write
	// deadline.
	// Close ends the stay: Read and Write return at once.
	io.ReadWriteCloser
	// Peer says for the log who is at the other end: "host over
	// virtio-serial", "vsock cid 2 port 1234", "unix uid 0 pid 123".
	Peer() string
	// SetWriteDeadline bounds the writes under way and those to come; the
	// zero time removes the bound. A write that meets it returns
	// os.ErrDeadlineExceeded.
	SetWriteDeadline(t time.Time) error
}

// Listener waits for hosts.
type Listener interface {
	// Accept waits, without waking up meanwhile, until a host is there.
	// Serial channels have one stay at a time: the next begins only after
	// the previous Conn has met its end or was closed. It returns ctx's
	// error when ctx is done, net.ErrClosed after Close, and another error
	// only when the channel can never work again: everything that may pass
	// is logged and waited out.
	Accept(ctx context.Context) (Conn, error)
	// Close gives the channel up. It ends Accept, and on serial channels
	// also the stay under way; connections of sockets live on.
	Close() error
	// String names the channel for the log: "virtio-serial /dev/…".
	String() string
}

// Config says which channel to open.
type Config struct {
	// Method is one of the method constants.
	Method string
	// Path is the device, the socket, or CID:PORT for vsock.
	Path string
	// Retry makes Open succeed though the channel is not there yet; Accept
	// then waits for it. Without it, that is Open's error.
	Retry bool
	// Activated says that descriptor 3 is the listening socket; Method is
	// then what [Activation] returned, and Path is not used.
	Activated bool
	// AllowCIDs are the only vsock peers that are served. Nil stands for
	// the host alone (CID 2).
	AllowCIDs []uint32
	// AllowUIDs are the only users whose programs are served on a unix
	// socket, beside root and the agent's own user. Where there are any, the
	// socket's mode keeps nobody out.
	AllowUIDs []uint32
	// Log is told of what is waited for and who is refused. It may be nil.
	Log *slog.Logger

	// ports is where virtio-serial ports are looked for, if not in the usual
	// places.
	ports portDirs
}

// Open opens a channel. Its errors are one line and say what to do.
func Open(ctx context.Context, cfg Config) (Listener, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.ports == (portDirs{}) {
		cfg.ports = systemPorts
	}
	if cfg.Activated {
		return openActivated(cfg)
	}
	if cfg.Path == "" {
		return nil, fmt.Errorf("no path for the channel %s: give one with --path", cfg.Method)
	}
	switch cfg.Method {
	case VirtioSerial, ISASerial:
		return openPort(cfg)
	case UnixListen:
		return listen(ctx, cfg, func(ctx context.Context) (Listener, error) { return listenUnix(ctx, cfg) })
	case VsockListen:
		addr, err := parseVsock(cfg.Path)
		if err != nil {
			return nil, err
		}
		return listen(ctx, cfg, func(context.Context) (Listener, error) { return listenVsock(addr, cfg) })
	}
	return nil, fmt.Errorf("unsupported channel method/type: %s: use %s, %s, %s or %s",
		cfg.Method, VirtioSerial, ISASerial, UnixListen, VsockListen)
}
