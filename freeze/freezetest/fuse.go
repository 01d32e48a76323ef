package freezetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The requests of linux/fuse.h that a file without a directory meets.
const (
	fuseForget      = 2
	fuseGetattr     = 3
	fuseSetattr     = 4
	fuseOpen        = 14
	fuseRead        = 15
	fuseWrite       = 16
	fuseRelease     = 18
	fuseFsync       = 20
	fuseFlush       = 25
	fuseInit        = 26
	fuseInterrupt   = 36
	fuseBatchForget = 42
)

// The sizes of its structs, and of the largest write.
const (
	fuseInHeader  = 40
	fuseOutHeader = 16
	fuseInitOut   = 64
	fuseAttrOut   = 104
	fuseWriteIn   = 40
	fuseMaxWrite  = 128 << 10
)

// fuseFile serves one file over FUSE, whose content is that of another: a
// disk that hangs when it is told to.
type fuseFile struct {
	dev   *os.File
	image *os.File

	mu     sync.Mutex
	hung   bool
	queued [][]byte // requests that came while it hung
	pause  time.Duration
}

// mountFuse mounts image as a FUSE file at point.
func mountFuse(image *os.File, point string) (*fuseFile, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open /dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other", fd, unix.S_IFREG|0o600)
	if err := unix.Mount("disk", point, "fuse", 0, options); err != nil {
		return nil, fmt.Errorf("cannot mount a FUSE file: %w", err)
	}
	return &fuseFile{dev: os.NewFile(uintptr(fd), "/dev/fuse"), image: image}, nil
}

// serve answers requests until the file is unmounted and closed.
func (f *fuseFile) serve() error {
	buf := make([]byte, fuseMaxWrite+4096)
	for {
		n, err := f.dev.Read(buf)
		switch {
		case errors.Is(err, unix.ENODEV):
			return nil // unmounted
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOENT):
			continue // the request was taken back
		case err != nil:
			return err
		case n < fuseInHeader:
			return errors.New("a FUSE request without a header")
		}
		f.take(buf[:n])
	}
}

// take answers a request, or keeps it for later: a disk that hangs does no
// more input and output, and its size and name are known all the same.
func (f *fuseFile) take(request []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch binary.NativeEndian.Uint32(request[4:]) {
	case fuseRead, fuseWrite, fuseFsync:
		if f.hung {
			f.queued = append(f.queued, append([]byte(nil), request...))
			return
		}
		time.Sleep(f.pause)
	}
	f.answer(request)
}

// slow makes every request that a disk has work with take so long.
func (f *fuseFile) slow(pause time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pause = pause
}

// hang makes the file stop, or go on with what it has been asked since.
func (f *fuseFile) hang(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hung = yes
	if yes {
		return
	}
	for _, request := range f.queued {
		f.answer(request)
	}
	f.queued = nil
}

func (f *fuseFile) answer(request []byte) {
	opcode, body := binary.NativeEndian.Uint32(request[4:]), request[fuseInHeader:]
	switch opcode {
	case fuseForget, fuseBatchForget, fuseInterrupt:
		return // not answered
	}
	reply, err := f.do(opcode, body)
	var errno unix.Errno
	if err != nil && !errors.As(err, &errno) {
		errno = unix.EIO
	}
	out := make([]byte, fuseOutHeader, fuseOutHeader+len(reply))
	binary.NativeEndian.PutUint32(out, uint32(fuseOutHeader+len(reply)))
	binary.NativeEndian.PutUint32(out[4:], uint32(-int32(errno)))
	copy(out[8:], request[8:16]) // which request it answers
	_, _ = f.dev.Write(append(out, reply...))
}

// do carries a request out and returns what follows the header of its reply.
func (f *fuseFile) do(opcode uint32, body []byte) ([]byte, error) {
	number := binary.NativeEndian
	switch opcode {
	case fuseInit:
		out := make([]byte, fuseInitOut)
		number.PutUint32(out, 7)      // the protocol's version
		number.PutUint32(out[4:], 31) // 7.31
		copy(out[8:12], body[8:12])   // read ahead as the kernel likes
		number.PutUint16(out[16:], 64)
		number.PutUint16(out[18:], 48)
		number.PutUint32(out[20:], fuseMaxWrite)
		number.PutUint32(out[24:], 1)
		return out, nil
	case fuseGetattr, fuseSetattr:
		return f.attributes()
	case fuseOpen:
		return make([]byte, 16), nil
	case fuseRead:
		out := make([]byte, number.Uint32(body[16:]))
		n, _ := f.image.ReadAt(out, int64(number.Uint64(body[8:]))) // short at the end
		return out[:n], nil
	case fuseWrite:
		n, err := f.image.WriteAt(body[fuseWriteIn:], int64(number.Uint64(body[8:])))
		out := make([]byte, 8)
		number.PutUint32(out, uint32(n))
		return out, err
	case fuseRelease, fuseFsync, fuseFlush:
		return nil, nil
	default:
		return nil, unix.ENOSYS
	}
}

// attributes is struct fuse_attr_out of the file.
func (f *fuseFile) attributes() ([]byte, error) {
	info, err := f.image.Stat()
	if err != nil {
		return nil, err
	}
	number := binary.NativeEndian
	out := make([]byte, fuseAttrOut)
	number.PutUint64(out, 3600) // seconds that it holds
	attr := out[16:]
	number.PutUint64(attr, 1) // inode
	number.PutUint64(attr[8:], uint64(info.Size()))
	number.PutUint64(attr[16:], uint64(info.Size())/512)
	number.PutUint32(attr[60:], unix.S_IFREG|0o600)
	number.PutUint32(attr[64:], 1) // links
	number.PutUint32(attr[80:], 4096)
	return out, nil
}
