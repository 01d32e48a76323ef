package vm

import (
	"debug/elf"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// libraryDirs is where Debian has its shared libraries.
var libraryDirs = []string{"/lib/*-linux-gnu", "/usr/lib/*-linux-gnu", "/lib64", "/usr/lib"}

// addProgram adds a program of the host with all libraries it is linked with.
func addProgram(t testing.TB, a *archive, name string) {
	t.Helper()
	Tools(t, name)
	path, err := exec.LookPath(name)
	require.NoError(t, err)
	a.file(path, path)
	addLibraries(t, a, path)
}

func addLibraries(t testing.TB, a *archive, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if _, script := errors.AsType[*elf.FormatError](err); script {
		return
	}
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	needed, err := file.ImportedLibraries()
	require.NoError(t, err)
	for _, library := range needed {
		found := findLibrary(library)
		require.NotEmpty(t, found, "%s needs %s", path, library)
		if _, ok := a.entries[strings.TrimPrefix(found, "/")]; ok {
			continue
		}
		a.file(found, found)
		addLibraries(t, a, found)
	}
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		interpreter := make([]byte, segment.Filesz)
		_, err := segment.ReadAt(interpreter, 0)
		require.NoError(t, err)
		loader := strings.TrimRight(string(interpreter), "\x00")
		a.file(loader, loader)
	}
}

func findLibrary(name string) string {
	for _, dir := range libraryDirs {
		found, _ := filepath.Glob(filepath.Join(dir, name)) // the pattern is well formed
		if len(found) > 0 {
			return found[0]
		}
	}
	return ""
}
