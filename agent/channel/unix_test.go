package channel

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func dial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(soon)))
	return c.(*net.UnixConn)
}

func listenHere(t *testing.T) (Listener, string, *logged) {
	t.Helper()
	var log logged
	path := filepath.Join(t.TempDir(), "ga.sock")
	return open(t, Config{Method: UnixListen, Path: path, Log: log.logger()}), path, &log
}

func TestUnixServes(t *testing.T) {
	noLeaks(t)
	l, path, _ := listenHere(t)
	one, two := dial(t, path), dial(t, path)
	first, second := accept(t, l), accept(t, l)
	require.Equal(t, fmt.Sprintf("unix uid %d pid %d", os.Getuid(), os.Getpid()), first.Peer())

	for host, conn := range map[*net.UnixConn]Conn{one: first, two: second} {
		_, err := io.WriteString(host, "ping")
		require.NoError(t, err)
		require.Equal(t, "ping", readString(t, conn, 4))
		_, err = io.WriteString(conn, "pong")
		require.NoError(t, err)
		require.Equal(t, "pong", readString(t, host, 4))
	}
}

func TestUnixHalfClose(t *testing.T) {
	l, path, _ := listenHere(t)
	host := dial(t, path)
	_, err := io.WriteString(host, "last words")
	require.NoError(t, err)
	require.NoError(t, host.CloseWrite())
	conn := accept(t, l)
	heard, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "last words", string(heard))
	_, err = io.WriteString(conn, "answer")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	answer, err := io.ReadAll(host)
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer))
}

// TestUnixGoneWithRepliesUnread is what makes qemu-ga exit.
func TestUnixGoneWithRepliesUnread(t *testing.T) {
	l, path, _ := listenHere(t)
	host := dial(t, path)
	conn := accept(t, l)
	_, err := io.WriteString(conn, "never read")
	require.NoError(t, err)
	require.NoError(t, host.Close())
	_, err = conn.Read(make([]byte, 10))
	require.ErrorIs(t, err, ErrUnread)
	_, err = io.WriteString(conn, "more")
	require.ErrorIs(t, err, ErrHostAway)
}

func TestUnixHostNeverReads(t *testing.T) {
	l, path, _ := listenHere(t)
	dial(t, path)
	conn := accept(t, l)
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := conn.Write(make([]byte, 8<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestUnixBound(t *testing.T) {
	l, path, log := listenHere(t)
	var conns []Conn
	for range maxClients {
		dial(t, path)
		conns = append(conns, accept(t, l))
	}
	extra := dial(t, path)
	ch := acceptAside(t.Context(), l)
	told, err := io.ReadAll(extra)
	require.NoError(t, err)
	require.Contains(t, string(told), "too many clients")
	require.Contains(t, log.String(), "16 others are connected")
	requirePending(t, ch)

	require.NoError(t, conns[3].Close())
	require.Error(t, conns[3].Close()) // frees one place, not two
	dial(t, path)
	requireAccepted(t, ch)
	acceptAside(t.Context(), l)
	told, err = io.ReadAll(dial(t, path))
	require.NoError(t, err)
	require.Contains(t, string(told), "too many clients")
}

func TestUnixWhatIsAtThePath(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }

	// A socket whose owner has died, and a file, make room.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: at("dead"), Net: "unix"})
	require.NoError(t, err)
	dead.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())
	require.NoError(t, os.WriteFile(at("file"), nil, 0o600))
	require.NoError(t, os.Symlink(at("nowhere"), at("link")))
	for _, name := range []string{"dead", "file", "link"} {
		l := open(t, Config{Method: UnixListen, Path: at(name)})
		st, err := os.Lstat(at(name))
		require.NoError(t, err)
		require.NotZero(t, st.Mode()&os.ModeSocket)
		require.NoError(t, l.Close())
		require.NoFileExists(t, at(name))
	}

	// A directory, a living socket of either kind, and what cannot be do not.
	require.NoError(t, os.Mkdir(at("dir"), 0o700))
	open(t, Config{Method: UnixListen, Path: at("alive")})
	dgram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at("dgram"), Net: "unixgram"})
	require.NoError(t, err)
	defer dgram.Close()
	for name, want := range map[string]string{
		"dir":                    "Failed to unlink socket " + at("dir") + ": Is a directory: choose another path",
		"alive":                  "another program listens there: stop it, or choose another path with --path",
		"dgram":                  "another program listens there",
		"no/such":                "Failed to bind socket to " + at("no/such") + ": no such file or directory: choose another path",
		"file\x00":               "invalid argument",
		strings.Repeat("a", 108): "is too long: choose one of at most 107 bytes",
	} {
		_, err := Open(t.Context(), Config{Method: UnixListen, Path: at(name)})
		require.ErrorContains(t, err, want)
	}
	_, err = os.Lstat(at("alive"))
	require.NoError(t, err)
}

func TestUnixMode(t *testing.T) {
	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	_, path, _ := listenHere(t)
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o750), st.Mode().Perm())
}

func TestUnixAtSignIsAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	open(t, Config{Method: UnixListen, Path: "@ga"})
	_, err := os.Lstat("@ga")
	require.NoError(t, err)
	_, err = Open(t.Context(), Config{Method: UnixListen, Path: "@ga"})
	require.ErrorContains(t, err, "another program listens there")
}

func TestUnixCloseLeavesAnothersSocket(t *testing.T) {
	l, path, _ := listenHere(t)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, l.Close())
	require.FileExists(t, path)
}

func TestRetryListenerOpens(t *testing.T) {
	if testing.Short() {
		t.Skip("waits 5 s: leave out -short")
	}
	noLeaks(t)
	var log logged
	dir := filepath.Join(t.TempDir(), "late")
	l := open(t, Config{Method: UnixListen, Path: filepath.Join(dir, "s"), Retry: true, Log: log.logger()})
	require.Contains(t, log.String(), "trying again every 5s")
	ch := acceptAside(t.Context(), l)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.Eventually(t, func() bool {
		_, err := os.Lstat(filepath.Join(dir, "s"))
		return err == nil
	}, soon, 10*time.Millisecond)
	dial(t, filepath.Join(dir, "s"))
	requireAccepted(t, ch)
	require.NoError(t, l.Close())
	require.NoFileExists(t, filepath.Join(dir, "s"))
}
