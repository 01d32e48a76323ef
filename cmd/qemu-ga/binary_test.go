package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxBinary is how large the program may be, in bytes: it is in every guest.
const maxBinary = 6_000_000

// The program needs nothing but a kernel, and is small.
func TestBinary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "qemu-ga")
	// As the Makefile's target build.
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
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
