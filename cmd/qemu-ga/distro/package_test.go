package distro

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// The versions of our package: one, and one that replaces it.
const (
	oldVersion = "0.1.1"
	newVersion = "0.1.2"
)

var building sync.Mutex

// deb builds our package for Debian.
func deb(t *testing.T, version string) string {
	t.Helper()
	return build(t, "deb", version)
}

// apk builds our package for Alpine.
func apk(t *testing.T) string {
	t.Helper()
	return build(t, "apk", oldVersion)
}

// build builds a package as `make packages` does.
func build(t *testing.T, format, version string) string {
	t.Helper()
	vm.Tools(t, "git", "gzip")
	building.Lock()
	defer building.Unlock()
	dir := t.TempDir()
	script := exec.Command("../../../packaging/build.sh", "packages", dir, version, "amd64")
	script.Env = append(os.Environ(), "FORMATS="+format)
	output, err := script.CombinedOutput()
	require.NoError(t, err, "%s", output)
	files, err := filepath.Glob(filepath.Join(dir, "*."+format))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}
