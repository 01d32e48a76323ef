package agent

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
	"qemu-ga/agent/qapi"
)

// maxRead bounds what one guest-file-read returns, in bytes, as in qemu-ga.
const maxRead = 48 << 20

// fileOpenArgs are the arguments of guest-file-open.
type fileOpenArgs struct {
	// Path names the file, from the agent's working directory if relative.
	Path string `json:"path"`
	// Mode is fopen(3)'s; "r" if missing.
	Mode *string `json:"mode,omitzero"`
}

// fileHandleArgs are the arguments of guest-file-close and guest-file-flush.
type fileHandleArgs struct {
	// Handle is what guest-file-open returned.
	Handle int64 `json:"handle"`
}

// fileReadArgs are the arguments of guest-file-read.
type fileReadArgs struct {
	// Handle is what guest-file-open returned.
	Handle int64 `json:"handle"`
	// Count is how many bytes to read at most: 4096 if missing, up to 48 MiB.
	Count *int64 `json:"count,omitzero"`
}

// fileRead is the answer to guest-file-read.
type fileRead struct {
	// Count is how many bytes were read.
	Count int64 `json:"count"`
	// Buf holds them.
	Buf qapi.Base64 `json:"buf-b64"`
	// EOF tells whether the end of the file was met.
	EOF bool `json:"eof"`
}

// fileWriteArgs are the arguments of guest-file-write.
type fileWriteArgs struct {
	// Handle is what guest-file-open returned.
	Handle int64 `json:"handle"`
	// Buf holds the bytes to write.
	Buf qapi.Base64 `json:"buf-b64"`
	// Count is how many of them are to be written; all if missing.
	Count *int64 `json:"count,omitzero"`
}

// fileWrite is the answer to guest-file-write.
type fileWrite struct {
	// Count is how many bytes were taken.
	Count int64 `json:"count"`
	// EOF is always false.
	EOF bool `json:"eof"`
}

// fileSeekArgs are the arguments of guest-file-seek.
type fileSeekArgs struct {
	// Handle is what guest-file-open returned.
	Handle int64 `json:"handle"`
	// Offset is added to the position that Whence names.
	Offset int64 `json:"offset"`
	// Whence is "set" or 0, "cur" or 1, "end" or 2.
	Whence whence `json:"whence"`
}

// fileSeek is the answer to guest-file-seek.
type fileSeek struct {
	// Position is the new position, from the file's beginning.
	Position int64 `json:"position"`
	// EOF is always false: a seek forgets it.
	EOF bool `json:"eof"`
}

// whence is where a seek counts from: a number or a name.
type whence struct {
	number int64
	name   seekName
}

// seekName is a name of a whence.
type seekName string

// Members implements qapi.Enum: each name is at its number.
func (seekName) Members() []string { return []string{"set", "cur", "end"} }

// QAPIType implements qapi.Alternate.
func (*whence) QAPIType() string { return "GuestFileWhence" }

// Branch implements qapi.Alternate.
func (w *whence) Branch(k qapi.Kind) any {
	switch k {
	case qapi.Number:
		return &w.number
	case qapi.String:
		return &w.name
	}
	return nil
}

// code returns the number lseek(2) knows.
func (w whence) code() (int, error) {
	for i, name := range seekName.Members("") {
		if string(w.name) == name {
			return i, nil
		}
	}
	if w.number < unix.SEEK_SET || w.number > unix.SEEK_END {
		return 0, fmt.Errorf("invalid whence code %d", w.number)
	}
	return int(w.number), nil
}

// fileOpen answers guest-file-open. Opens a file and returns its handle, which
// stays good until guest-file-close, also over other connections. No operation
// on the file waits for a peer. A policy may allow few files or none ([file]
// read and write in qemu-ga.conf).
func (a *Agent) fileOpen(ctx context.Context, args fileOpenArgs) (int64, error) {
	mode := "r"
	if args.Mode != nil {
		mode = *args.Mode
	}
	a.audit(ctx, "guest-file-open called, filepath: "+clipped(args.Path, maxAudited)+", mode: "+clipped(mode, 8))
	s, err := openStream(a.paths, args.Path, mode)
	if err != nil {
		return 0, err
	}
	handle, err := a.files.add(s)
	if err != nil {
		_ = s.close()
		return 0, err
	}
	a.outcome(ctx, "handle %d", handle)
	return handle, nil
}

// fileClose answers guest-file-close. Writes what is still held back, and
// closes a file. The handle is gone even where what was
// written last cannot be: there is nothing more to be done with it.
func (a *Agent) fileClose(ctx context.Context, args fileHandleArgs) (empty, error) {
	a.audit(ctx, "guest-file-close called, handle: "+strconv.FormatInt(args.Handle, 10))
	s, err := a.files.take(ctx, args.Handle)
	if err != nil {
		return empty{}, err
	}
	a.files.remove(args.Handle)
	a.outcome(ctx, "%d bytes were read and %d written", s.bytesRead, s.bytesTaken)
	if err := s.close(); err != nil {
		return empty{}, fmt.Errorf("failed to close handle: %w", guest.Worded(err))
	}
	return empty{}, nil
}

// fileRead answers guest-file-read. Reads from a file, at its position. While
// other clients' large replies are being sent it may return less than was asked
// for, but 256 KiB, though the file's end was not met.
func (a *Agent) fileRead(ctx context.Context, args fileReadArgs) (fileRead, error) {
	s, err := a.files.take(ctx, args.Handle)
	if err != nil {
		return fileRead{}, err
	}
	defer s.release()
	count := int64(4096)
	if args.Count != nil {
		count = *args.Count
	}
	if count < 0 || count > maxRead {
		return fileRead{}, badCount(count)
	}
	if err := s.flush(); err != nil {
		return fileRead{}, fmt.Errorf("failed to flush file: %w", guest.Worded(err))
	}
	data, eof, err := s.read(ctx, int(count), shareOf(ctx))
	// What was read before an error is not lost: the error will come again,
	// or, like that of a pipe with nothing more in it yet, was none.
	if err != nil && len(data) == 0 {
		return fileRead{}, fmt.Errorf("failed to read file: %w", guest.Worded(err))
	}
	return fileRead{Count: int64(len(data)), Buf: data, EOF: eof}, nil
}

// first implements forehand: a handle is looked for before all else.
func (args fileWriteArgs) first(a *Agent, err error) error {
	if !a.files.has(args.Handle) {
		return noHandle(args.Handle)
	}
	return err
}

// fileWrite answers guest-file-write. Writes to a file, at its position. What is
// less than a block goes to the file with the next flush, seek, read or close.
// Where a pipe or device has room for a part of the bytes only, the answer tells
// how many were taken.
func (a *Agent) fileWrite(ctx context.Context, args fileWriteArgs) (fileWrite, error) {
	s, err := a.files.take(ctx, args.Handle)
	if err != nil {
		return fileWrite{}, err
	}
	defer s.release()
	data := []byte(args.Buf)
	if args.Count != nil {
		if *args.Count < 0 || *args.Count > int64(len(data)) {
			return fileWrite{}, badCount(*args.Count)
		}
		data = data[:*args.Count]
	}
	taken, err := s.write(data)
	if err != nil && (taken == 0 || !errors.Is(err, unix.EAGAIN)) {
		return fileWrite{}, fmt.Errorf("failed to write to file: %w", guest.Worded(err))
	}
	return fileWrite{Count: int64(taken)}, nil
}

// fileSeek answers guest-file-seek. Sets the position in a file.
func (a *Agent) fileSeek(ctx context.Context, args fileSeekArgs) (fileSeek, error) {
	s, err := a.files.take(ctx, args.Handle)
	if err != nil {
		return fileSeek{}, err
	}
	defer s.release()
	code, err := args.Whence.code()
	if err != nil {
		return fileSeek{}, err
	}
	at, err := s.seek(args.Offset, code)
	if err != nil {
		return fileSeek{}, fmt.Errorf("failed to seek file: %w", guest.Worded(err))
	}
	return fileSeek{Position: at}, nil
}

// fileFlush answers guest-file-flush. Writes what was held back of earlier
// writes.
func (a *Agent) fileFlush(ctx context.Context, args fileHandleArgs) (empty, error) {
	s, err := a.files.take(ctx, args.Handle)
	if err != nil {
		return empty{}, err
	}
	defer s.release()
	if err := s.flush(); err != nil {
		return empty{}, fmt.Errorf("failed to flush file: %w", guest.Worded(err))
	}
	return empty{}, nil
}

func badCount(count int64) error {
	return fmt.Errorf("value '%d' is invalid for argument count", count)
}
