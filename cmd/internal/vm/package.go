package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// building has packages built one at a time: each build takes the machine.
var building sync.Mutex

// AgentPackage builds our package as `make packages` does, in a format that
// packaging/build.sh knows (deb, rpm, …), and returns its file.
func AgentPackage(t testing.TB, format, version string) string {
	t.Helper()
	Tools(t, "git", "gzip")
	building.Lock()
	defer building.Unlock()
	dir := t.TempDir()
	build := exec.Command(filepath.Join(root(), "packaging", "build.sh"), "packages", dir, version, "amd64")
	build.Env = append(os.Environ(), "FORMATS="+format)
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	files, err := filepath.Glob(filepath.Join(dir, "*."+format))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}
