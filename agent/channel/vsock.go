package channel

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/mdlayher/vsock"
)

// parseVsock parses CID:PORT, say 4294967295:1234.
func parseVsock(s string) (*vsock.Addr, error) {
	cid, port, ok := strings.Cut(s, ":")
	if !ok || cid == "" || port == "" {
		return nil, fmt.Errorf("error parsing address '%s': give CID:PORT with --path, for example %d:1234 for any CID of this guest",
			s, cidAny)
	}
	port, trail, ok := strings.Cut(port, ",")
	if ok {
		return nil, fmt.Errorf("trailing characters in address '%s': remove ',%s'", s, trail)
	}
	c, err := strconv.ParseUint(cid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("Failed to parse cid '%s': it is a number from 0 to 4294967295", cid) //nolint:staticcheck // qemu-ga's words
	}
	p, err := strconv.ParseUint(port, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("Failed to parse port '%s': it is a number from 0 to 4294967295", port) //nolint:staticcheck // qemu-ga's words
	}
	return &vsock.Addr{ContextID: uint32(c), Port: uint32(p)}, nil
}

// cidAny (VMADDR_CID_ANY) listens on every context ID the guest has.
const cidAny uint32 = 1<<32 - 1

// listenVsock listens on a vsock address.
func listenVsock(addr *vsock.Addr, cfg Config) (Listener, error) {
	ln, err := vsock.ListenContextID(addr.ContextID, addr.Port, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on vsock %s: %w: is a vsock device configured, and the port free?", cfg.Path, errnoOf(err))
	}
	return newVsockListener(VsockListen+" "+cfg.Path, ln, cfg.AllowCIDs, cfg.Log), nil
}

// newVsockListener serves the peers that have one of the context IDs given.
// The CID is the only thing that tells the host from a stranger: any user of
// this guest may connect through vsock_loopback, and on some hosts any guest.
func newVsockListener(name string, ln acceptor, cids []uint32, log *slog.Logger) Listener {
	if cids == nil {
		cids = []uint32{vsock.Host}
	}
	return newSocketListener(name, ln, log, func(c net.Conn) (string, error) {
		a, ok := c.RemoteAddr().(*vsock.Addr)
		if !ok {
			return "", fmt.Errorf("it has no vsock address")
		}
		if !slices.Contains(cids, a.ContextID) {
			return "", fmt.Errorf("vsock cid %d is not allowed (vsock-allow-cids)", a.ContextID)
		}
		return fmt.Sprintf("vsock cid %d port %d", a.ContextID, a.Port), nil
	})
}
