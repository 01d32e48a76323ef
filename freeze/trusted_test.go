package freeze

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The way to a hook is root's from end to end, links on it included.
func TestTrusted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("gives files to others: run as root")
	}
	const jo = 1000
	top := t.TempDir()
	at := func(name string) string { return filepath.Join(top, name) }
	dir := func(name string, uid int, mode os.FileMode) {
		require.NoError(t, os.Mkdir(at(name), 0o700))
		require.NoError(t, os.Chmod(at(name), mode))
		require.NoError(t, os.Chown(at(name), uid, 0))
	}
	file := func(name string) { require.NoError(t, os.WriteFile(at(name), nil, 0o755)) }
	link := func(to, name string, uid int) {
		require.NoError(t, os.Symlink(to, at(name)))
		require.NoError(t, os.Lchown(at(name), uid, 0))
	}
	dir("ours", 0, 0o755)
	dir("jo", jo, 0o755)
	dir("all", 0, 0o777|os.ModeSticky)
	file("ours/hook")
	file("all/hook")
	link("hook", "ours/link", 0)
	link(at("ours/link"), "ours/chain", 0)
	link("../ours/hook", "jo/link", 0)
	link(at("jo/link"), "ours/by-jo", 0)
	link(at("ours/hook"), "all/mine", 0)
	link(at("ours/hook"), "all/jos", jo)
	link("loop", "ours/loop", 0)
	link(at("all/gone"), "ours/gone", 0)
	for name, refused := range map[string]string{
		"ours/hook":         "",
		"ours/chain":        "",
		"ours/../ours/link": "",
		"ours/missing":      "", // exec says so
		"ours/hook/x":       "",
		"ours/loop":         "",
		"all/hook":          "", // nobody else can replace it there
		"all/mine":          "",
		"jo/link":           "jo belongs to user 1000",
		"ours/by-jo":        "jo belongs to user 1000",
		"all/jos":           "jos belongs to user 1000",
		"all/missing":       "others than root could make it in " + at("all"),
		"all/missing/hook":  "others than root could make it in " + at("all"),
		"ours/gone":         "others than root could make it in " + at("all"),
		"jo/missing":        "jo belongs to user 1000",
	} {
		err := trusted(at(name))
		if refused == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, "cannot run the fsfreeze hook "+at(name)+" as root: ", name)
		require.ErrorContains(t, err, refused, name)
	}
	// A name without a slash is looked for in PATH.
	t.Setenv("PATH", at("jo"))
	file("jo/hook")
	require.ErrorContains(t, trusted("hook"), "jo belongs to user 1000")
	t.Setenv("PATH", at("ours"))
	require.NoError(t, trusted("hook"))
	require.NoError(t, trusted("no-such-hook"))
}
