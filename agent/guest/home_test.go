package guest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A link on the way to a home is followed where only root can have made it,
// and nowhere else.
func TestOpenHomeLinks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("gives directories away: run as root")
	}
	r := tree(t, map[string]string{
		"/var/home/jo/x":  "",
		"/home":           "->var/home",
		"/abs":            "->/var/home",
		"/root/.ssh/keys": "",
		"/srv/jos/home":   "->/root",
		"/srv/any/home":   "->/root",
		"/srv/group/home": "->/root",
		"/srv/roots/home": "->/var/home/jo",
		"/srv/loop":       "->/srv/loop",
		"/srv/out":        "->../../../../../../etc",
		"/file":           "",
	})
	under := func(name string) string { return filepath.Join(string(r), name) }
	require.NoError(t, os.Chown(under("/srv/jos"), joID, joID))
	require.NoError(t, os.Chmod(under("/srv/any"), 0o777|os.ModeSticky))
	require.NoError(t, os.Chmod(under("/srv/group"), 0o775))
	for name, want := range map[string]string{
		"/home/jo": "/var/home/jo", "/abs/jo": "/var/home/jo", "/var/home/jo": "/var/home/jo",
		"//home/./jo/": "/var/home/jo", "/srv/roots/home": "/var/home/jo", "/": "/",
	} {
		fd, err := r.openHome(name)
		require.NoError(t, err, name)
		require.True(t, sameDir(t, fd, under(want)), name)
		require.NoError(t, unix.Close(fd))
	}
	const refused = "is a symbolic link in a directory that others than root can change: it is not followed"
	for name, want := range map[string]string{
		"/srv/jos/home": refused, "/srv/any/home": refused, "/srv/group/home": refused, "/srv/any/home/.ssh": refused,
		"/srv/loop": "too many levels of symbolic links", "/srv/out": "cannot be reached by '..'",
		"/nowhere": "no such file", "/file": "not a directory", "/file/x": "not a directory",
	} {
		_, err := r.openHome(name)
		require.ErrorContains(t, err, want, name)
	}
	before := openFiles(t)
	for range 10 {
		_, _ = r.openHome("/srv/any/home")
		_, _ = r.openHome("/srv/loop")
	}
	require.Equal(t, before, openFiles(t), "descriptors are left open")
}

// The guest's own root is reached by its name, and upwards.
func TestOpenHomeOfThisSystem(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(dir+"/a/b", 0o755))
	require.NoError(t, os.MkdirAll(dir+"/homes/jo", 0o755))
	require.NoError(t, os.Symlink("../../homes/jo", dir+"/a/b/jo"))
	fd, err := Root("/").openHome(dir + "/a/b/jo")
	require.NoError(t, err)
	require.True(t, sameDir(t, fd, dir+"/homes/jo"))
	require.NoError(t, unix.Close(fd))
}

func sameDir(t *testing.T, fd int, name string) bool {
	t.Helper()
	var one, two unix.Stat_t
	require.NoError(t, unix.Fstat(fd, &one))
	require.NoError(t, unix.Stat(name, &two))
	return one.Dev == two.Dev && one.Ino == two.Ino
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}
