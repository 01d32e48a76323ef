package freeze

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A state file that others may have written is believed in nothing but that
// something may be frozen.
func TestStateOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("gives files to others: run as root")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, stateName)
	written := state{Phase: Frozen, Boot: bootID(), Hooks: []string{"/tmp/evil"}}
	file, err := written.write(dir)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	got, found, err := readState(dir)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, written.Hooks, got.Hooks)
	for what, spoil := range map[string]func() error{
		"writable": func() error { return os.Chmod(name, 0o666) },
		"owned":    func() error { return os.Chown(name, 1000, 0) },
		"a link":   func() error { return errors.Join(os.Rename(name, name+".jo"), os.Symlink(name+".jo", name)) },
		"a pipe":   func() error { return errors.Join(os.Remove(name), unix.Mkfifo(name, 0o600)) },
	} {
		require.NoError(t, os.RemoveAll(name))
		file, err := written.write(dir)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.NoError(t, spoil(), what)
		got, found, err := readState(dir)
		require.NoError(t, err, what)
		require.True(t, found, what)
		require.Equal(t, foreign, got, what)
	}
	// Nor does a link lead the agent to write elsewhere.
	other := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, []byte("kept"), 0o600))
	require.NoError(t, os.Symlink(other, name+".new"))
	_, err = written.write(dir)
	require.Error(t, err)
	text, err := os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, "kept", string(text))
}
