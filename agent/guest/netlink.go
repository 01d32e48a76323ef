package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// routeDump asks the kernel's routing socket for one table and hands each of
// its messages to yield, which must not keep it. It returns errInterrupted
// only after the whole dump.
func routeDump(request uint16, yield func(kind uint16, body []byte) error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, dumpRequest(request), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	// The kernel fills at most 32 kB of a dump at once.
	buf := make([]byte, 32<<10)
	for interrupted := false; ; {
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		if n > len(buf) {
			return errShortMessage
		}
		done, err := parseDump(buf[:n], yield)
		if errors.Is(err, errInterrupted) {
			interrupted, err = true, nil
		}
		switch {
		case err != nil:
			return err
		case done && interrupted:
			return errInterrupted
		case done:
			return nil
		}
	}
}

// dumpRequest is a netlink header and the address family of the wanted
// objects: any.
func dumpRequest(kind uint16) []byte {
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtGenmsg)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(b[8:], 1)
	b[16] = unix.AF_UNSPEC
	return b
}

var (
	errShortMessage = errors.New("netlink message cut short")
	// errInterrupted says that the table changed while the kernel dumped it,
	// so that objects may be missing or told twice.
	errInterrupted = errors.New("netlink dump interrupted")
)

// parseDump takes apart the messages in one packet and tells whether the last
// of the dump was among them. errInterrupted does not stop it.
//
//	length 4 | kind 2 | flags 2 | sequence 4 | port 4 | body, padded to 4
func parseDump(b []byte, yield func(kind uint16, body []byte) error) (done bool, err error) {
	var interrupted error
	for len(b) >= unix.SizeofNlMsghdr {
		length := binary.NativeEndian.Uint32(b)
		if length < unix.SizeofNlMsghdr || uint64(length) > uint64(len(b)) {
			return false, errShortMessage
		}
		kind, flags := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])
		body := b[unix.SizeofNlMsghdr:length]
		b = b[min(align4(int(length)), len(b)):]
		if flags&unix.NLM_F_DUMP_INTR != 0 {
			interrupted = errInterrupted
		}
		switch kind {
		case unix.NLMSG_DONE:
			return true, interrupted
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return false, errShortMessage
			}
			return false, fmt.Errorf("netlink: %w", unix.Errno(-int32(binary.NativeEndian.Uint32(body))))
		}
		if err := yield(kind, body); err != nil {
			return false, err
		}
	}
	return false, interrupted
}

// attributes iterates over the attributes behind a message's fixed part. It
// ends at the first that is malformed.
//
//	length 2 | kind 2 | value, padded to 4
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofRtAttr || length > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:]), b[unix.SizeofRtAttr:length]) {
				return
			}
			b = b[min(align4(length), len(b)):]
		}
	}
}

func align4(n int) int { return (n + 3) &^ 3 }
