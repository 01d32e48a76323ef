package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// systemLogSocket is where every system's log takes lines.
	systemLogSocket = "/dev/log"
	// facilityDaemon is that of system services (syslog(3)).
	facilityDaemon = 3 << 3
)

// systemLog sends a log whose lines begin with a priority to the system's log.
// That may be started later, or anew: each line looks for it if need be, and is
// lost if it is not there.
type systemLog struct {
	path string
	conn net.Conn
}

// Write implements io.Writer for whole lines. It never fails.
func (s *systemLog) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		message := systemMessage(strings.TrimSuffix(line, "\n"), time.Now())
		if !s.send(message) {
			s.send(message) // the log may have been started anew
		}
	}
	return len(p), nil
}

// systemMessage makes a message of the system's log of a line: of "<4>why"
//
//	<28>Nov 28 14:39:42 qemu-ga[42]: why
func systemMessage(line string, now time.Time) string {
	head, text, _ := strings.Cut(line, ">")
	priority, err := strconv.Atoi(strings.TrimPrefix(head, "<"))
	if err != nil {
		priority, text = 5, line
	}
	return fmt.Sprintf("<%d>%s qemu-ga[%d]: %s", facilityDaemon|priority, now.Format(time.Stamp), os.Getpid(), text)
}

// send sends one message over the connection there is, or else a new one.
func (s *systemLog) send(message string) bool {
	if s.conn == nil {
		conn, err := net.Dial("unixgram", s.path)
		if err != nil {
			return false
		}
		s.conn = conn
	}
	if _, err := s.conn.Write([]byte(message)); err != nil {
		_ = s.Close()
		return false
	}
	return true
}

// Close implements io.Closer.
func (s *systemLog) Close() error {
	if s.conn == nil {
		return nil
	}
	conn := s.conn
	s.conn = nil
	return conn.Close()
}
