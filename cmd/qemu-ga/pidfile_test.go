package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := writePIDFile(path)
	require.NoError(t, err)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%d\n", os.Getpid()), string(data))
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode())
	// Closing any descriptor of the file, as ReadFile did, drops the lock of
	// the process: the daemon never reads its own pid file.
	p.remove()
	require.NoFileExists(t, path)
}

func TestPIDFileTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	require.NoError(t, os.WriteFile(path, []byte("4194305\nmore\n"), 0o644))
	p, err := writePIDFile(path)
	require.NoError(t, err)
	defer p.remove()
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), st.Mode()) // as in qemu-ga
	require.Less(t, st.Size(), int64(13))
}

func TestPIDFileLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := writePIDFile(path)
	require.NoError(t, err)
	defer p.remove()
	// Such locks hold against other processes only.
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestPIDFileOfAnother$")
	cmd.Env = append(os.Environ(), "PIDFILE_TEST="+path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestPIDFileOfAnother is what the other process of TestPIDFileLocked runs.
func TestPIDFileOfAnother(t *testing.T) {
	path := os.Getenv("PIDFILE_TEST")
	if path == "" {
		return
	}
	_, err := writePIDFile(path)
	require.ErrorContains(t, err, "Cannot lock pid file: Resource temporarily unavailable: another agent runs and holds "+path)
	require.FileExists(t, path)
}

func TestPIDFileOfSomebodyElseStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := writePIDFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, path+".old"))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	p.remove()
	require.FileExists(t, path)
}

func TestPIDFileErrors(t *testing.T) {
	_, err := writePIDFile("/nowhere/pid")
	require.ErrorContains(t, err, "Could not create '/nowhere/pid': no such file or directory: give another path with --pidfile")
	_, err = writePIDFile(t.TempDir())
	require.ErrorContains(t, err, "is a directory")
}
