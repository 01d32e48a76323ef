package main

import (
	"crypto/sha256"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxBinary is how large the program may be, in bytes: it is in every guest.
const maxBinary = 6_000_000

// The program needs nothing but a kernel, and is small.
func TestBinary(t *testing.T) {
	path := buildIn(t, ".")
	program, err := elf.Open(path)
	require.NoError(t, err)
	defer program.Close()
	for _, part := range program.Progs {
		require.NotEqual(t, elf.PT_INTERP, part.Type, "it is linked dynamically")
	}
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, st.Size(), int64(maxBinary))
	t.Logf("%d bytes", st.Size())
}

// buildIn builds the program whose sources are in a directory, as the
// Makefile's target build does.
func buildIn(t *testing.T, dir string, env ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu-ga")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, ".")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// The program is the same to the last byte wherever, whenever and by whomever
// it is built from the same sources with the same Go: here once more from a
// copy, with nothing of the first build at hand.
func TestBinaryReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles everything: leave out -short")
	}
	const top = "../.."
	elsewhere := filepath.Join(t.TempDir(), "another place")
	for _, part := range []string{"go.mod", "go.sum", "agent", "cmd/qemu-ga", "freeze", "selinux", "packaging/selinux"} {
		copyTree(t, filepath.Join(top, part), filepath.Join(elsewhere, part))
	}
	first := buildIn(t, ".")
	second := buildIn(t, filepath.Join(elsewhere, "cmd/qemu-ga"),
		"GOCACHE="+t.TempDir(), "HOME="+t.TempDir(), "TZ=Asia/Tokyo", "USER=somebody", "GOMODCACHE="+goEnv(t, "GOMODCACHE"))
	one, err := os.ReadFile(first)
	require.NoError(t, err)
	two, err := os.ReadFile(second)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(one), sha256.Sum256(two), "the builds differ")
	t.Logf("sha256 %x", sha256.Sum256(one))
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// copyTree copies a file, or the Go sources of a directory and what they embed.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	}))
}

// Nothing of the agent's lies where other users of the guest can put things.
// `qemu-ga policy --install` alone makes a directory there that is its own:
// semodule(8) may not read everywhere.
func TestNoSharedDirectories(t *testing.T) {
	forbidden := []string{"os.TempDir(", `MkdirTemp("",`, `CreateTemp("",`, `"/tmp`, `"/var/tmp`, `"/dev/shm`}
	files := 0
	for _, part := range []string{"agent", "cmd/qemu-ga", "freeze", "selinux"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("../..", part), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "freezetest" || d.Name() == "testdata"):
				return fs.SkipDir
			case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || d.Name() == "policy.go":
				return nil
			}
			files++
			text, err := os.ReadFile(path)
			for _, word := range forbidden {
				require.NotContains(t, string(text), word, path)
			}
			return err
		}))
	}
	require.Greater(t, files, 100)
}
