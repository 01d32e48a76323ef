package guest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func pathList(t *testing.T, patterns ...string) *PathList {
	t.Helper()
	l, err := NewPathList(patterns)
	require.NoError(t, err)
	return l
}

func TestPathListPatterns(t *testing.T) {
	l := pathList(t, "/usr/bin/uptime", "/var/log/*.log", "/srv/**", "/home/*/notes/**", "/a[bc]")
	for name, want := range map[string]coverage{
		"/usr/bin/uptime": byName, "/usr/bin/uptime2": uncovered, "/usr/bin": uncovered, "usr/bin/uptime": uncovered,
		"/var/log/a.log": byPattern, "/var/log/a.log.1": uncovered, "/var/log/x/a.log": uncovered,
		"/srv/a": byPattern, "/srv/a/b/c": byPattern, "/srv": uncovered, "/srvx/a": uncovered,
		"/home/jo/notes/a/b": byPattern, "/home/jo/a": uncovered, "/home/jo/x/notes/a": uncovered,
		"/ab": byPattern, "/ad": uncovered, "/a[bc]": uncovered, "": uncovered, "/": uncovered,
	} {
		require.Equal(t, want, l.cover(name), name)
	}
	for _, bad := range []string{"", "x", "./x", "/", "/a/", "/a//b", "/a/../b", "/a/[b", "/a/**/b", "/a/**b"} {
		_, err := NewPathList([]string{bad})
		require.Error(t, err, bad)
	}
	require.True(t, pathList(t).Empty())
	require.Equal(t, uncovered, (*PathList)(nil).cover("/x"))
}

func FuzzPathList(f *testing.F) {
	f.Add("/srv/**", "/srv/a/b")
	f.Add("/a*/[b-", "/a/b")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		l, err := NewPathList([]string{pattern})
		if err != nil {
			return
		}
		if l.cover(name) != uncovered {
			require.True(t, filepath.IsAbs(name), "%q covers %q", pattern, name)
		}
	})
}

func TestPathListLinks(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(root+"/usr/bin", 0o755))
	require.NoError(t, os.Symlink("usr/bin", root+"/bin"))
	require.NoError(t, os.WriteFile(root+"/usr/bin/true", nil, 0o755))
	l := pathList(t, "/bin/true", "/usr/bin/true", "/gone", "/bin/*")
	require.Equal(t, map[string]string{"/bin/true": "/usr/bin/true"}, l.Links(Root(root)))
}

// TestFilePolicy tries ways around a policy.
func TestFilePolicy(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"read", "write", "conf", "other"} {
		require.NoError(t, os.Mkdir(in(d), 0o755))
	}
	for _, f := range []string{"read/a", "write/a", "conf/agent.conf", "other/secret", "write/hard"} {
		require.NoError(t, os.WriteFile(in(f), []byte(f), 0o644))
	}
	require.NoError(t, os.Symlink(in("other/secret"), in("read/link")))
	require.NoError(t, os.Symlink(in("conf/agent.conf"), in("write/link")))
	require.NoError(t, os.Symlink(in("conf/new"), in("write/dangling")))
	require.NoError(t, os.Symlink(in("other"), in("write/dir")))
	require.NoError(t, os.Symlink("read/a", in("way")))
	require.NoError(t, os.Symlink("write", in("alias")))
	require.NoError(t, os.Link(in("other/secret"), in("write/hardlink")))
	require.NoError(t, unix.Mkfifo(in("read/fifo"), 0o600))
	require.NoError(t, unix.Mknod(in("read/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	require.NoError(t, unix.Mknod(in("other/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))

	p := &FilePolicy{
		Read:  pathList(t, in("read/*"), "/proc/**", in("both")),
		Write: pathList(t, in("write/**"), in("conf/**"), in("other/null"), "/proc/**", in("both")),
		Keep:  []string{in("conf"), in("other/secret"), in("alias/state")},
	}
	const (
		read   = unix.O_RDONLY
		write  = unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC
		change = unix.O_RDWR
	)
	for _, c := range []struct {
		name  string
		flags int
		want  error
	}{
		{in("read/a"), read, nil},
		{in("way"), read, nil}, // what counts is where a link leads
		{in("write/../read/a"), read, nil},
		{in("read/fifo"), read, nil},
		{in("read/a"), write, ErrRefused},
		{in("read/a"), change, ErrRefused},
		{in("read/link"), read, ErrRefused},
		{in("read/null"), read, ErrRefused}, // a device, under a pattern
		{in("read/none"), read, unix.ENOENT},
		{in("other/none"), read, ErrRefused},
		{in("read/../other/none"), read, ErrRefused},
		{in("write/a"), read, ErrRefused},
		{in("write/a"), change, ErrRefused},
		{in("both"), unix.O_RDWR | unix.O_CREAT, nil},
		{in("write/a"), write, nil},
		{in("write/new"), write, nil},
		{in("write/dir/new"), write, ErrRefused},
		{in("write/dangling"), write, unix.ENOENT},
		{in("write/a") + "/", write, unix.ENOTDIR},
		{in("other/null"), write, nil}, // a device, by its name
		// What the policy is made of.
		{in("conf/agent.conf"), write, ErrRefused},
		{in("conf/new"), write, ErrRefused},
		{in("write/link"), write, ErrRefused},
		{in("write/state"), write, ErrRefused}, // which is not there yet
		{in("write/hardlink"), write, ErrRefused},
		// The kernel's files, and names of other processes' worlds.
		{"/proc/self/status", read, nil},
		{"/proc/self/comm", write, ErrRefused},
		{"/proc/self/root" + in("read/a"), read, unix.ELOOP},
		{"/proc/self/cwd", read, unix.ELOOP},
		{"relative", write, ErrRefused},
		{"", read, ErrRefused},
	} {
		fd, _, err := p.Open(c.name, c.flags|unix.O_NONBLOCK|unix.O_CLOEXEC)
		if c.want == nil {
			require.NoError(t, err, c.name)
			require.NoError(t, unix.Close(fd))
			continue
		}
		require.ErrorIs(t, err, c.want, "%s %#x", c.name, c.flags)
	}
	require.NoFileExists(t, in("other/new"))
	require.NoFileExists(t, in("conf/new"))
	for _, f := range []string{"conf/agent.conf", "other/secret", "read/a"} {
		data, err := os.ReadFile(in(f))
		require.NoError(t, err)
		require.Equal(t, f, string(data))
	}
	require.False(t, p.Empty())
	require.True(t, (&FilePolicy{Read: pathList(t)}).Empty())
}

// TestFilePolicyRace swaps an allowed file and a link to a forbidden one while
// a host opens it all the time: it never gets to see the other.
func TestFilePolicyRace(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(dir+"/open", 0o755))
	require.NoError(t, os.WriteFile(dir+"/secret", []byte("secret"), 0o600))
	require.NoError(t, os.WriteFile(dir+"/open/file", []byte("public"), 0o600))
	require.NoError(t, os.Symlink(dir+"/secret", dir+"/open/link"))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, dir+"/open/file", unix.AT_FDCWD, dir+"/open/link", unix.RENAME_EXCHANGE)
			}
		}
	}()
	p := &FilePolicy{Read: pathList(t, dir+"/open/file", dir+"/open/link")}
	opened, refused := 0, 0
	for opened < 100 || refused < 100 {
		fd, _, err := p.Open(dir+"/open/file", unix.O_RDONLY|unix.O_CLOEXEC)
		if errors.Is(err, ErrRefused) {
			refused++
			continue
		}
		require.NoError(t, err)
		opened++
		got := make([]byte, 6)
		_, err = unix.Read(fd, got)
		require.NoError(t, err)
		require.Equal(t, "public", string(got))
		require.NoError(t, unix.Close(fd))
	}
	close(stop)
	<-done
}

func TestOpenProgram(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/tool", []byte("#!/bin/sh\n"), 0o755))
	require.NoError(t, os.WriteFile(dir+"/other", nil, 0o755))
	require.NoError(t, os.Symlink("tool", dir+"/link"))
	require.NoError(t, os.Symlink("other", dir+"/trap"))
	l := pathList(t, dir+"/tool", dir+"/trap", dir+"/none", dir)
	for name, want := range map[string]error{
		dir + "/tool": nil, dir + "/link": nil, dir + "/trap": ErrRefused, dir + "/other": ErrRefused,
		dir + "/none": unix.ENOENT, dir + "/nothing": ErrRefused, dir: unix.EACCES,
	} {
		f, err := l.OpenProgram(name)
		if want != nil {
			require.ErrorIs(t, err, want, name)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, dir+"/tool", f.Name())
		require.NoError(t, f.Close())
	}
}
