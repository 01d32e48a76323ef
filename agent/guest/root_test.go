package guest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// tree makes a root with the given files; a value that begins with "->" is a
// symlink's target.
func tree(t *testing.T, files map[string]string) Root {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		if len(content) > 2 && content[:2] == "->" {
			require.NoError(t, os.Symlink(content[2:], name))
			continue
		}
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
	return Root(dir)
}

func TestRealStaysBelowTheRoot(t *testing.T) {
	r := tree(t, map[string]string{
		"/run/utmp":       "x",
		"/var/run":        "->/run",
		"/var/up":         "->../../../../run",
		"/chain":          "->/var/run/../var/up/utmp",
		"/loop":           "->/loop",
		"/dangling":       "->/nowhere/else",
		"/dev/mapper/top": "->../dm-0",
	})
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{name: "/", want: "/"},
		{name: "/run//./utmp", want: "/run/utmp"},
		{name: "/var/run/utmp", want: "/run/utmp"},
		{name: "/../../run/utmp", want: "/run/utmp"},
		{name: "/var/up/utmp", want: "/run/utmp"},
		{name: "/chain", want: "/run/utmp"},
		{name: "/loop", want: "/loop", err: unix.ELOOP},
		{name: "/dangling", want: "/nowhere/else", err: fs.ErrNotExist},
		{name: "/dev/mapper/top", want: "/dev/dm-0", err: fs.ErrNotExist},
		{name: "/run/utmp/x", want: "/run/utmp/x", err: unix.ENOTDIR},
	} {
		got, err := r.Real(c.name)
		require.ErrorIs(t, err, c.err, c.name)
		require.Equal(t, c.want, got, c.name)
		require.Equal(t, filepath.Join(string(r), c.want), filepath.Clean(r.Path(c.name)), c.name)
	}
}

func TestRootOfTheSystemLeavesNamesAlone(t *testing.T) {
	for _, r := range []Root{"/", ""} {
		require.Equal(t, "/proc/self/mountinfo", r.Path("/proc/self/mountinfo"))
		_, err := r.ReadFile("/proc/self/mountinfo")
		require.NoError(t, err)
	}
}
