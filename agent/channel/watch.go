package channel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watchMask is every change that can make a missing path appear, or a
	// watched directory be the wrong one to watch.
	watchMask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_DELETE |
		unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	// maxLinks bounds the symbolic links followed from the path.
	maxLinks = 8
	// maxChanges bounds the steps up and down between directories that come
	// and go while they are looked for.
	maxChanges = 256
	// settleTime lets a burst of changes pass: udev makes a node, then sets
	// its mode, then makes a link to it.
	settleTime = 50 * time.Millisecond
)

// watch tells of changes that may make a path appear or become usable.
type watch struct {
	f *os.File
	// names are the directory entries that matter, by watch descriptor.
	names map[int32][]string
	// devices is the watch descriptor of the directory in which every
	// virtio-serial port matters, if there is one.
	devices int32
}

// watchChannel watches the directory of the channel's path, or its nearest
// ancestor that exists. The path of a virtio-serial port is a symbolic link
// that udev makes: where it points to is watched as well, as the link may
// outlive the device; and where the devices are, as the link may never come.
func watchChannel(cfg Config) (*watch, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &watch{f: os.NewFile(uintptr(fd), "inotify"), names: map[int32][]string{}, devices: -1}
	if cfg.byName() {
		if wd, err := unix.InotifyAddWatch(fd, cfg.ports.devices, watchMask); err == nil {
			w.devices = int32(wd)
		}
	}
	for range maxLinks {
		if err := w.add(fd, path); err != nil {
			w.close()
			return nil, err
		}
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return w, nil
}

// add watches for one path, in the deepest directory on the way to it.
func (w *watch) add(fd int, path string) error {
	dir, name := filepath.Dir(path), filepath.Base(path)
	for range maxChanges {
		wd, err := unix.InotifyAddWatch(fd, dir, watchMask)
		switch {
		case errors.Is(err, unix.ENOENT) && dir != "/", errors.Is(err, unix.ENOTDIR) && dir != "/":
			dir, name = filepath.Dir(dir), filepath.Base(dir)
			continue
		case err != nil:
			return os.NewSyscallError("inotify_add_watch", err)
		}
		w.names[int32(wd)] = append(w.names[int32(wd)], name)
		next := filepath.Join(dir, name)
		if st, err := os.Stat(next); next == path || err != nil || !st.IsDir() {
			return nil
		}
		// The next directory was made after we had looked for it.
		dir = next
		name, _, _ = strings.Cut(strings.TrimPrefix(path, next+"/"), "/")
	}
	return errors.New("the directories above it keep changing")
}

// wait waits for a change that matters, or for the time given; 0 is for ever.
func (w *watch) wait(ctx context.Context, limit time.Duration) (changed bool, err error) {
	if limit > 0 {
		if err := w.f.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return false, err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = w.f.SetReadDeadline(past) })()
	buf := make([]byte, 4096)
	for {
		n, err := w.f.Read(buf)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case err != nil:
			return false, sleep(ctx, longestPause)
		case w.matters(buf[:n]):
			return true, sleep(ctx, settleTime)
		}
	}
}

// matters tells whether one of the inotify events in buf is about a name that
// is waited for, or about a watched directory itself.
func (w *watch) matters(buf []byte) bool {
	for len(buf) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(buf))
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[12:]))
		if size > len(buf) {
			return true
		}
		name := string(bytes.TrimRight(buf[unix.SizeofInotifyEvent:size], "\x00"))
		if name == "" || slices.Contains(w.names[wd], name) || wd == w.devices && strings.HasPrefix(name, nodePrefix) {
			return true
		}
		buf = buf[size:]
	}
	return false
}

// close ends the watch. A nil watch may be closed.
func (w *watch) close() {
	if w != nil {
		_ = w.f.Close()
	}
}
