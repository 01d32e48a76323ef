package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// missing ends a test that cannot run here: where nothing may be skipped it
// fails, elsewhere it is skipped and says what to do.
func missing(t testing.TB, what, remedy string) {
	t.Helper()
	message := what + " is missing: run " + remedy
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// Tools makes sure that programs are installed.
func Tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, name, ".ci/setup tools")
		}
	}
}

// root is the top directory of the repository.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../..")
}

// cached returns a path in what .ci/setup unpacked.
func cached(t testing.TB, path, remedy string) string {
	t.Helper()
	path = filepath.Join(root(), ".cache", path)
	found, err := filepath.EvalSymlinks(path)
	if err != nil {
		missing(t, path, remedy)
	}
	return found
}

// Reference returns the directory with the real qemu-ga, which is started as
// DIR/qemu-ga wherever the directory is copied to.
func Reference(t testing.TB) string {
	t.Helper()
	return filepath.Dir(cached(t, "reference/qemu-ga", ".ci/setup reference"))
}

// Build builds a static program of this module and returns its path.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	dir := filepath.Join(root(), ".cache", "bin")
	// Tests of several packages may be at it at the same time.
	defer lockDir(t, dir)()

	path := filepath.Join(dir, filepath.Base(pkg))
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg)
	build.Dir = root()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return path
}

// runTool runs a program of the host to its end and returns what it wrote.
func runTool(t testing.TB, name string, args ...string) string {
	t.Helper()
	Tools(t, name)
	output, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), output)
	return string(output)
}
