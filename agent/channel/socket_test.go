package channel

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/vsock"
	"github.com/stretchr/testify/require"
)

// fakeAcceptor is a listening socket whose clients the test makes.
type fakeAcceptor struct {
	net.Listener
	calls atomic.Int32
	next  func() (net.Conn, error)
}

func (f *fakeAcceptor) SetDeadline(time.Time) error { return nil }
func (f *fakeAcceptor) Close() error                { return nil }

func (f *fakeAcceptor) Accept() (net.Conn, error) {
	f.calls.Add(1)
	return f.next()
}

// fakeClient is a client at an address.
type fakeClient struct {
	net.Conn
	addr   net.Addr
	closed atomic.Bool
}

func (c *fakeClient) RemoteAddr() net.Addr { return c.addr }

func (c *fakeClient) Close() error {
	c.closed.Store(true)
	return nil
}

func TestAcceptOutOfDescriptors(t *testing.T) {
	ln := &fakeAcceptor{next: func() (net.Conn, error) { return nil, syscall.EMFILE }}
	var log logged
	l := newVsockListener("test", ln, nil, log.logger())
	ctx, cancel := context.WithTimeout(t.Context(), 350*time.Millisecond)
	defer cancel()
	_, err := l.Accept(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.LessOrEqual(t, ln.calls.Load(), int32(3)) // at 0, 100 and 300 ms
	require.Contains(t, log.String(), "too many open files")
}

func TestPauseGrowsToItsLimit(t *testing.T) {
	var p pause
	require.Equal(t, firstPause, p.grow())
	require.Equal(t, 2*firstPause, p.grow())
	for range 10 {
		p.grow()
	}
	require.Equal(t, longestPause, p.grow())
	p.reset()
	require.Equal(t, firstPause, p.grow())
}

func TestVsockServesTheHostAlone(t *testing.T) {
	at := func(cid uint32) *fakeClient { return &fakeClient{addr: &vsock.Addr{ContextID: cid, Port: 77}} }
	for _, tt := range []struct {
		allow   []uint32
		served  []uint32
		refused []uint32
	}{
		{nil, []uint32{2}, []uint32{0, 1, 3, cidAny}},
		{[]uint32{2, 3}, []uint32{2, 3}, []uint32{1, 4}},
		{[]uint32{}, nil, []uint32{1, 2}},
	} {
		for _, cid := range append(tt.served, tt.refused...) {
			c := at(cid)
			ln := &fakeAcceptor{}
			ln.next = func() (net.Conn, error) {
				if ln.calls.Load() > 1 {
					return nil, net.ErrClosed
				}
				return c, nil
			}
			var log logged
			conn, err := newVsockListener("test", ln, tt.allow, log.logger()).Accept(t.Context())
			if cid == 2 && conn != nil {
				require.Equal(t, "vsock cid 2 port 77", conn.Peer())
			}
			refused := err != nil
			require.Equal(t, refused, c.closed.Load())
			require.Equal(t, refused, slices.Contains(tt.refused, cid), "cid %d with %v", cid, tt.allow)
			if refused {
				require.Contains(t, log.String(), "is not allowed")
			}
		}
	}
	_, err := newVsockListener("", &fakeAcceptor{}, nil, nil).(*socketListener).admit(&fakeClient{addr: &net.TCPAddr{}})
	require.ErrorContains(t, err, "no vsock address")
}

func TestParseVsock(t *testing.T) {
	for in, want := range map[string]vsock.Addr{
		"3:1234":                {ContextID: 3, Port: 1234},
		"4294967295:4294967295": {ContextID: cidAny, Port: 1<<32 - 1},
		"03:017":                {ContextID: 3, Port: 17}, // decimal to qemu-ga, too
	} {
		got, err := parseVsock(in)
		require.NoError(t, err, in)
		require.Equal(t, want, *got)
	}
	for in, want := range map[string]string{
		"foo": "error parsing address 'foo'", "": "error parsing address ''",
		"3:": "error parsing address '3:'", ":3": "error parsing address ':3'",
		"3:foo": "Failed to parse port 'foo'", "foo:3": "Failed to parse cid 'foo'",
		"3:4:5": "Failed to parse port '4:5'", "-1:4": "Failed to parse cid '-1'",
		"0x3:1": "Failed to parse cid '0x3'", "4294967296:1": "Failed to parse cid '4294967296'",
		"3:4294967296": "Failed to parse port '4294967296'",
		"3:1234,x":     "trailing characters in address '3:1234,x'",
	} {
		_, err := parseVsock(in)
		require.ErrorContains(t, err, want, in)
	}
}

func FuzzParseVsock(f *testing.F) {
	for _, s := range []string{"3:1234", ":", "3:", "4294967295:1", "a:b,c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, err := parseVsock(s)
		if err != nil {
			require.Nil(t, addr)
			return
		}
		again, err := parseVsock(fmt.Sprintf("%d:%d", addr.ContextID, addr.Port))
		require.NoError(t, err)
		require.Equal(t, addr, again)
	})
}
