package agent

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

const (
	// readStart is how much memory a read of unknown length begins with,
	// readPiece how much it reads before it looks whether anybody waits.
	readStart = 64 << 10
	readPiece = 1 << 20
	// maxBlock bounds a stream's buffer: block sizes go up to megabytes.
	maxBlock = 64 << 10
)

// stream is an open file with the buffering of a C library's FILE, on which
// clients of qemu-ga may count: what they write reaches the file when a block
// is full, or with the next flush, seek, read or close. Reads are not
// buffered, so that they see the file as it is.
//
// A stream belongs to one command at a time: who has it from fileTable.take.
type stream struct {
	fd       int
	writable bool
	block    int    // bytes that go to the file at once
	prompt   bool   // a terminal: nothing is held back
	held     []byte // written by the client, not to the file yet
	writing  bool   // there has been no seek or read since the last write
	busy     chan struct{}
	// bytesRead and bytesTaken count what went to the client and came from it.
	bytesRead, bytesTaken int64
}

func newStream(fd, flags int) *stream {
	s := &stream{
		fd: fd, writable: flags&unix.O_ACCMODE != unix.O_RDONLY,
		block: 4096, busy: make(chan struct{}, 1),
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil {
		s.block = min(max(int(st.Blksize), 512), maxBlock)
		if st.Mode&unix.S_IFMT == unix.S_IFCHR {
			_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
			s.prompt = err == nil
		}
	}
	return s
}

func (s *stream) release() { <-s.busy }

// read reads up to count bytes, until the end of the file or an error, with
// what was read so far. It stops early when ctx is done, and where room has no
// more.
func (s *stream) read(ctx context.Context, count int, room *share) (data []byte, eof bool, err error) {
	s.writing = false
	defer func() { s.bytesRead += int64(len(data)) }()
	size := min(count, s.likelyRest())
	if !room.holds(size) {
		size, count = smallReply, smallReply
	}
	data = make([]byte, 0, size)
	for len(data) < count {
		if ctx.Err() != nil {
			return data, false, ctx.Err()
		}
		if len(data) == cap(data) {
			size = min(2*len(data), count)
			if !room.holds(size) {
				return data, false, nil
			}
			data = append(make([]byte, 0, size), data...)
		}
		room := data[len(data):min(cap(data), count, len(data)+readPiece)]
		n, err := retry(unix.Read, s.fd, room)
		switch {
		case err != nil:
			return data, false, err
		case n == 0:
			return data, true, nil
		}
		data = data[:len(data)+n]
	}
	return data, false, nil
}

// likelyRest is how much memory a read to the end may take, and a byte more
// to see the end: so a small file read with a large count costs little.
func (s *stream) likelyRest() int {
	var st unix.Stat_t
	if err := unix.Fstat(s.fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return readStart
	}
	at, err := unix.Seek(s.fd, 0, unix.SEEK_CUR)
	if err != nil || st.Size-at < 4096 { // files in /proc have no size
		return 4096
	}
	return int(min(st.Size-at+1, maxCount))
}

// write takes data, and tells how many of its bytes it took: all unless there
// is an error.
func (s *stream) write(data []byte) (taken int, err error) {
	defer func() { s.bytesTaken += int64(taken) }()
	if len(data) == 0 {
		return 0, nil
	}
	if !s.writable {
		return 0, unix.EBADF
	}
	room := 0
	if s.writing && !s.prompt {
		room = s.block - len(s.held)
	}
	s.writing = true
	if len(data) <= room {
		s.hold(data)
		return len(data), nil
	}
	s.hold(data[:room])
	if err := s.flush(); err != nil {
		back := min(room, len(s.held)) // so that the client may send it again
		s.held = s.held[:len(s.held)-back]
		return room - back, err
	}
	rest := data[room:]
	whole := len(rest) - len(rest)%s.block
	if s.prompt {
		whole = len(rest)
	}
	n, err := writeAll(s.fd, rest[:whole])
	if err != nil {
		return room + n, err
	}
	s.hold(rest[whole:])
	return len(data), nil
}

func (s *stream) hold(data []byte) {
	if s.held == nil && len(data) > 0 {
		s.held = make([]byte, 0, s.block)
	}
	s.held = append(s.held, data...)
}

// flush writes what is held back. What finds no room in a pipe is kept for
// another try; with any other error it is gone.
func (s *stream) flush() error {
	n, err := writeAll(s.fd, s.held)
	if !errors.Is(err, unix.EAGAIN) {
		n = len(s.held)
	}
	s.held = s.held[:copy(s.held, s.held[n:])]
	return err
}

// seek sets the position, after a flush, and returns it.
func (s *stream) seek(offset int64, whence int) (int64, error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	s.writing = false
	return unix.Seek(s.fd, offset, whence)
}

// close flushes and closes. Whatever the error, the file is closed then.
func (s *stream) close() error {
	err := s.flush()
	if cerr := unix.Close(s.fd); err == nil {
		err = cerr
	}
	return err
}

// writeAll writes data and tells how much of it was written.
func writeAll(fd int, data []byte) (n int, err error) {
	for n < len(data) {
		once, err := retry(unix.Write, fd, data[n:])
		if err != nil {
			return n, err
		}
		n += once
	}
	return n, nil
}

// retry makes a system call again that a signal interrupted.
func retry(call func(fd int, p []byte) (int, error), fd int, p []byte) (int, error) {
	for {
		n, err := call(fd, p)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
