// Package packaging holds what becomes packages, and tests it by the formats'
// own tools. Nothing here is part of the program.
package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The versions that the tests build: one, and its successor.
const (
	version = "0.1.1"
	later   = "0.1.2"
)

// scratch is where the packages are built, once for all tests.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "qemu-ga-packages-"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(status)
}

// run runs a program and returns what it prints; it must succeed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	output, err := command(t, name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s:\n%s", name, strings.Join(args, " "), output)
	return string(output)
}

// command is a program that is installed, with no language but English.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		message := name + " is missing: run .ci/setup tools"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	return cmd
}

// build runs packaging/build.sh.
func build(t *testing.T, what, dir, version, formats string) {
	t.Helper()
	cmd := command(t, "./build.sh", what, dir, version, "amd64")
	cmd.Env = append(cmd.Env, "FORMATS="+formats)
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// ending is what the names of a format's packages end with.
var ending = map[string]string{
	"deb": "_amd64.deb", "rpm": ".x86_64.rpm", "apk": "_x86_64.apk", "archlinux": "-x86_64.pkg.tar.zst",
}

var building sync.Mutex

// packageOf returns the package of a format, which it builds if need be.
func packageOf(t *testing.T, format, version string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	dir := filepath.Join(scratch, version)
	pattern := filepath.Join(dir, "*"+ending[format])
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	if len(files) == 0 {
		build(t, "packages", dir, version, format)
		files, err = filepath.Glob(pattern)
		require.NoError(t, err)
	}
	require.Len(t, files, 1, pattern)
	return files[0]
}

// tree returns a directory with all that is in the deb.
func tree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(scratch, "tree")
	if _, err := os.Stat(dir); err != nil {
		run(t, "dpkg-deb", "-x", packageOf(t, "deb", version), dir)
	}
	return dir
}

// read returns a file's text.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
