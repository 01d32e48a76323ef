package guest

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// treeFiles bounds a tree that is made of fuzzed text.
	treeFiles = 200
	// outside is the content of a file beside the tree.
	outside = "what lies outside of the guest's root"
)

// grow makes a tree of a text with a file a line, "PATH=CONTENT", or a link,
// "PATH->TARGET". The text may say what it likes: nothing is written outside.
func grow(t *testing.T, text string) Root {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "outside"), []byte(outside), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "root"), 0o700))
	root, err := os.OpenRoot(filepath.Join(dir, "root"))
	require.NoError(t, err)
	defer func() { _ = root.Close() }()
	files := 0
	for line := range strings.Lines(text) {
		if files++; files > treeFiles {
			break
		}
		line = strings.TrimSuffix(line, "\n")
		// What cannot be made is left out.
		if path, target, ok := strings.Cut(line, "->"); ok {
			path = strings.TrimPrefix(path, "/")
			_ = root.MkdirAll(filepath.Dir(path), 0o700)
			_ = root.Symlink(target, path)
			continue
		}
		path, content, _ := strings.Cut(line, "=")
		path = strings.TrimPrefix(path, "/")
		_ = root.MkdirAll(filepath.Dir(path), 0o700)
		_ = root.WriteFile(path, []byte(strings.ReplaceAll(content, `\n`, "\n")), 0o600)
	}
	return Root(filepath.Join(dir, "root"))
}

// textOf is the text of which grow makes the /sys of a captured guest.
func textOf(tb testing.TB, guest string) string {
	tb.Helper()
	var text strings.Builder
	require.NoError(tb, filepath.WalkDir(guest, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(path, guest)
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			text.WriteString(name + "->" + target + "\n")
			return err
		}
		content, err := os.ReadFile(path)
		text.WriteString(name + "=" + strings.ReplaceAll(string(content), "\n", `\n`) + "\n")
		return err
	}))
	return text.String()
}

// FuzzTree reads everything there is to read of a guest whose /proc, /sys,
// /etc and /run are whatever the fuzzer likes: files of the wrong shape, links
// in circles, links that lead out of the root.
func FuzzTree(f *testing.F) {
	guests, err := filepath.Glob("../../testdata/guests/*")
	require.NoError(f, err)
	for _, guest := range guests {
		if info, err := os.Stat(guest); err == nil && info.IsDir() {
			text := textOf(f, guest)
			f.Add(text[:min(len(text), 8000)])
		}
	}
	f.Add("/sys/block/vda->../../sys/block/vda\n/sys/class/block->/\n/proc/self/mountinfo=36 35 98:0 / / rw - ext4 /dev/vda rw\\n")
	f.Add("/etc->../../..\n/proc->../../../../../..\n/etc/os-release->../../outside\n/etc/localtime->../outside\n")
	f.Add("/sys/block/dm-0/slaves/dm-0->../../dm-0\n/sys/block/dm-0/size=8\n/sys/block/dm-0/uevent=DEVNAME=dm-0\\n\n/sys/block/dm-0/slaves/x->../../dm-0\n")
	f.Add("/sys/devices/system/cpu/cpu0/online=1\n/sys/devices/system/cpu/cpu18446744073709551616/online=2\n/sys/devices/system/memory/block_size_bytes=fffffffffffffffff\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := grow(t, text)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var found []any
		see := func(v any, _ error) { found = append(found, v) }
		see(r.BlockDevices())
		see(r.Filesystems(ctx))
		see(r.CPUs())
		see(r.MemoryBlocks())
		see(r.MemoryBlockSize())
		see(r.DiskStats())
		see(r.CPUStats())
		see(r.Routes())
		see(r.OSRelease(), nil)
		see(r.Logins(), nil)
		name, _ := r.Zone(time.Unix(0, 0))
		see(name, nil)
		require.NoError(t, ctx.Err(), "it takes too long")
		told, err := json.Marshal(found)
		require.NoError(t, err)
		require.NotContains(t, string(told), outside)
	})
}
