package compat_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lines that stand for what is no reply.
const (
	lineEnd     = "(the connection ends)"
	lineSilence = "(no reply)"
	lineEating  = "(still eating what is left of a faulty request)"
)

// replacement is what the decoder's words show for a byte 0xFF.
const replacement = `\uFFFD'`

// exchange sends pieces and returns the replies. A guest-sync behind them,
// with a byte 0xFF before it that brings the decoder back from whatever the
// pieces left open, tells when there are no more. To our agent that says that
// the client has given up on a request, so it is sent when the replies that
// must come have come: want of them.
func (a *agent) exchange(pieces []string, want int) []string {
	if err := a.connect(); err != nil {
		return []string{lineEnd}
	}
	if err := a.send(pieces); err != nil {
		return a.failed(err)
	}
	var lines []string
	for range want {
		line, err := a.replies.ReadString('\n')
		if err != nil {
			return append(lines, a.failed(err)...)
		}
		lines = append(lines, line)
	}
	a.syncs++
	id := strconv.Quote("compat-" + strconv.Itoa(a.syncs))
	if err := a.send([]string{"\xff" + fmt.Sprintf(`{"execute":"guest-sync","arguments":{"id":%d},"id":%s}`, a.syncs, id)}); err != nil {
		return append(lines, a.failed(err)...)
	}
	for {
		line, err := a.replies.ReadString('\n')
		if err != nil {
			return append(lines, a.failed(err)...)
		}
		if strings.Contains(line, id) {
			return unmarked(lines)
		}
		lines = append(lines, line)
	}
}

// request is exchange for pieces that may name the program started last.
func (a *agent) request(pieces []string, want int) []string {
	var named []string
	for _, piece := range pieces {
		named = append(named, strings.ReplaceAll(piece, "$PID", a.pid))
	}
	lines := a.exchange(named, want)
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, `{"return": {"pid": `); ok {
			a.pid, _, _ = strings.Cut(rest, "}")
		}
	}
	return lines
}

// await asks for the program started last until it has ended.
func (a *agent) await() []string {
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		lines := a.request([]string{`{"execute":"guest-exec-status","arguments":{"pid":$PID}}`}, 1)
		if len(lines) != 1 || !strings.Contains(lines[0], `"exited": false`) || time.Now().After(end) {
			return lines
		}
	}
}

// unmarked takes away what answers the mark of the end.
func unmarked(lines []string) []string {
	last := len(lines) - 1
	switch {
	case last < 0, !strings.Contains(lines[last], replacement):
		return append(lines, lineEating)
	case strings.Contains(lines[last], "stray '"+replacement):
		return lines[:last]
	default:
		return lines // the mark was within a string
	}
}

// answers counts the replies that come without the mark of the end.
func answers(lines []string) int {
	n := 0
	for _, line := range lines {
		if !strings.HasPrefix(line, "(") && !strings.Contains(line, replacement) {
			n++
		}
	}
	return n
}

// failed says what became of a connection.
func (a *agent) failed(err error) []string {
	a.hangUp()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return []string{lineSilence}
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return []string{lineEnd}
	default:
		return []string{err.Error()}
	}
}

// shut sends pieces and the end of what is sent.
func (a *agent) shut(pieces []string) []string {
	if err := a.connect(); err != nil {
		return []string{lineEnd}
	}
	if err := a.send(pieces); err != nil {
		return a.failed(err)
	}
	if err := a.conn.CloseWrite(); err != nil {
		return a.failed(err)
	}
	var lines []string
	for {
		line, err := a.replies.ReadString('\n')
		if err != nil {
			return append(lines, a.failed(err)...)
		}
		lines = append(lines, line)
	}
}

// abandon sends pieces and closes the connection with the replies unread.
func (a *agent) abandon(pieces []string) []string {
	if err := a.connect(); err != nil {
		return []string{lineEnd}
	}
	defer a.hangUp()
	if err := a.send(pieces); err != nil {
		return a.failed(err)
	}
	if err := a.wait(unix.SIOCINQ, func(unread int) bool { return unread > 0 }); err != nil {
		return a.failed(err)
	}
	return nil
}

// second sends pieces over a connection of their own, beside the first, and
// returns the first reply.
func (a *agent) second(pieces []string, patience time.Duration) []string {
	if err := a.connect(); err != nil {
		return []string{lineEnd}
	}
	other := &agent{socket: a.socket, ended: a.ended}
	defer other.hangUp()
	if err := other.connect(); err != nil {
		return []string{err.Error()}
	}
	if err := other.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return other.failed(err)
	}
	if _, err := io.WriteString(other.conn, strings.Join(pieces, "")); err != nil {
		return other.failed(err)
	}
	line, err := other.replies.ReadString('\n')
	if err != nil {
		return other.failed(err)
	}
	return []string{line}
}
