package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listenLog stands for a system's log.
func listenLog(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return conn
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 1000)
	n, err := conn.Read(buf)
	require.NoError(t, err)
	return string(buf[:n])
}

// A daemon's lines go to the system's log, also when that comes later and when
// it is started anew.
func TestSystemLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := &systemLog{path: path}
	l := newLogFile(w, true)
	log := l.logger(false)
	_, err := w.Write([]byte("<4>nobody hears this\n"))
	require.NoError(t, err)

	first := listenLog(t, path)
	log.Warn("one")
	log.Error("two")
	from := fmt.Sprintf(" qemu-ga[%d]: ", os.Getpid())
	require.Regexp(t, `^<28>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d`+from[:8], receive(t, first))
	require.Contains(t, receive(t, first), from+"two")
	require.NoError(t, first.Close())
	require.NoError(t, os.Remove(path))

	second := listenLog(t, path)
	log.Warn("three")
	require.Contains(t, receive(t, second), from+"three")
	l.Close()
	require.Nil(t, w.conn)
}

func TestSystemMessage(t *testing.T) {
	now := time.Date(2026, 11, 8, 1, 2, 3, 0, time.UTC)
	for line, want := range map[string]string{
		"<3>a > b": "<27>Nov  8 01:02:03 qemu-ga[%d]: a > b",
		"odd":      "<29>Nov  8 01:02:03 qemu-ga[%d]: odd",
	} {
		require.Equal(t, fmt.Sprintf(want, os.Getpid()), systemMessage(line, now))
	}
}
