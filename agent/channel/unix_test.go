package channel

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
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

// The socket is open to those who are served, whatever the umask.
func TestUnixMode(t *testing.T) {
	for _, umask := range []int{0, 0o027, 0o077, 0o777} {
		for mode, uids := range map[os.FileMode][]uint32{0o600 &^ os.FileMode(umask): nil, 0o666: {1000}} {
			old := syscall.Umask(umask)
			path := filepath.Join(t.TempDir(), "ga.sock")
			l, err := Open(t.Context(), Config{Method: UnixListen, Path: path, AllowUIDs: uids})
			syscall.Umask(old)
			require.NoError(t, err)
			st, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, mode, st.Mode().Perm(), "umask %o, users %v", umask, uids)
			require.NoError(t, l.Close())
		}
	}
}

// Who connects counts, and not only whether the socket's mode lets them.
func TestUnixPeers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("connects as other users: run as root")
	}
	const jo, other = 12345, 23456
	for _, tt := range []struct {
		allow    []uint32
		uid      int
		admitted bool
	}{
		{nil, 0, true},
		{nil, jo, false},
		{[]uint32{jo}, 0, true},
		{[]uint32{jo}, jo, true},
		{[]uint32{jo}, other, false},
	} {
		var log logged
		dir := t.TempDir()
		for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
			require.NoError(t, os.Chmod(d, 0o755))
		}
		path := filepath.Join(dir, "ga.sock")
		l := open(t, Config{Method: UnixListen, Path: path, AllowUIDs: tt.allow, Log: log.logger()})
		require.NoError(t, os.Chmod(path, 0o777)) // as a careless administrator
		answer := make(chan string, 1)
		go func() { answer <- shout(path, tt.uid) }()
		ch := acceptAside(t.Context(), l)
		if tt.admitted {
			conn := requireAccepted(t, ch)
			require.Contains(t, conn.Peer(), fmt.Sprintf("unix uid %d pid ", tt.uid))
			require.NoError(t, conn.Close())
			<-answer
			continue
		}
		require.Empty(t, <-answer, "%+v", tt)
		requirePending(t, ch)
		require.Contains(t, log.String(), fmt.Sprintf("unix uid %d pid %d is not allowed (unix-allow-uids)", tt.uid, os.Getpid()))
		// And nobody has a place less for it.
		dial(t, path)
		requireAccepted(t, ch)
	}
}

// shout connects as a user, and returns what it hears until the end or why
// there is no connection.
func shout(path string, uid int) string {
	heard := make(chan string)
	go func() {
		runtime.LockOSThread() // which ends with this goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			heard <- errno.Error()
			return
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			heard <- err.Error()
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(soon))
		data, _ := io.ReadAll(c) // a reset is an end, too
		heard <- string(data)
	}()
	return <-heard
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

// A link that somebody has put in the socket's place does not open another
// file to everybody.
func TestUnixModeFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	secret, link := filepath.Join(dir, "secret"), filepath.Join(dir, "ga.sock")
	require.NoError(t, os.WriteFile(secret, nil, 0o600))
	require.NoError(t, os.Symlink(secret, link))
	require.Error(t, chmodSocket(link, openMode))
	require.Error(t, chmodSocket(secret, openMode))
	info, err := os.Stat(secret)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}
