package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The kernel takes what the cpio program takes.
func TestArchive(t *testing.T) {
	Tools(t, "cpio")
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	require.NoError(t, os.WriteFile(source, []byte("from a file"), 0o600))
	a := newArchive()
	a.text("/etc/deep/text", "hello")
	a.symlink("etc/link", "deep/text")
	a.file("bin/prog", source)
	file := filepath.Join(dir, "archive")
	require.NoError(t, a.save(file))

	unpack := exec.Command("cpio", "--quiet", "-id", "-F", file)
	unpack.Dir = dir
	output, err := unpack.CombinedOutput()
	require.NoError(t, err, "%s", output)
	content, err := os.ReadFile(filepath.Join(dir, "etc/link"))
	require.NoError(t, err)
	require.Equal(t, "hello", string(content))
	content, err = os.ReadFile(filepath.Join(dir, "bin/prog"))
	require.NoError(t, err)
	require.Equal(t, "from a file", string(content))
}
