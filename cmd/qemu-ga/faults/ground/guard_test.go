package ground_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// guardOpens is a permission daemon, as fapolicyd and virus scanners are: it
// is asked for every open of the ground's filesystems, and writes each down
// before it allows it, to a log below dir. stop ends it.
func guardOpens(s *scene, dir string) (stop func()) {
	s.Helper()
	log, err := os.OpenFile(filepath.Join(dir, "opens.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(s, err)
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC)
	require.NoError(s, err)
	// A file that can be polled, so that it can be closed under a read.
	events := os.NewFile(uintptr(fd), "fanotify")
	for _, point := range []string{"/", "/mnt/a", "/mnt/b"} {
		require.NoError(s, unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_MOUNT,
			unix.FAN_OPEN_PERM|unix.FAN_ONDIR, unix.AT_FDCWD, point))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = log.Close() }()
		buf := make([]byte, 4096)
		for {
			n, err := events.Read(buf)
			if err != nil {
				return
			}
			allow(events, log, buf[:n])
		}
	}()
	stop = sync.OnceFunc(func() { _ = events.Close() })
	s.Cleanup(stop)
	s.beforeClear = append(s.beforeClear, stop)
	return stop
}

// allow writes the opens in events down and allows them.
func allow(fanotify, log *os.File, events []byte) {
	for in := bytes.NewReader(events); in.Len() > 0; {
		var event unix.FanotifyEventMetadata
		if binary.Read(in, binary.NativeEndian, &event) != nil {
			return
		}
		_, _ = log.WriteString("an open\n") // waits while its filesystem is frozen
		answer := unix.FanotifyResponse{Fd: event.Fd, Response: unix.FAN_ALLOW}
		_ = binary.Write(fanotify, binary.NativeEndian, answer)
		_ = unix.Close(int(event.Fd))
	}
}
