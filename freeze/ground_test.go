package freeze_test

import (
	"context"
	"os"
	"testing"
	"time"

	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	freeze.Init()
	if stateDir := os.Getenv(agentVariable); stateDir != "" {
		beAgent(stateDir)
	}
	os.Exit(freezetest.Main(m.Run, freezetest.Config{Files: freezetest.Bring("../testdata/guests")}))
}

// soon bounds what must not take long; it is never waited for in full.
const soon = 20 * time.Second

// blocked is how long a write has to wait to count as stopped.
const blocked = 300 * time.Millisecond

// mounted makes a filesystem for the test.
func mounted(t *testing.T, f freezetest.FS) string {
	t.Helper()
	freezetest.Need(t)
	require.NoError(t, freezetest.Mount(f))
	t.Cleanup(func() { require.NoError(t, freezetest.Unmount(f.Dir)) })
	return f.Dir
}

// engine makes an Engine whose freeze is over when the test is.
func engine(t *testing.T, cfg freeze.Config) *freeze.Engine {
	t.Helper()
	if cfg.StateDir == "" {
		cfg.StateDir = t.TempDir()
	}
	e := freeze.New(cfg)
	t.Cleanup(func() { require.NoError(t, e.Close(context.Background())) })
	return e
}

func outcomes(r freeze.Report) map[string]string {
	all := make(map[string]string)
	for _, f := range r.Filesystems {
		all[f.Mountpoint] = f.Outcome
	}
	return all
}

func TestFreezeEveryType(t *testing.T) {
	dirs := []string{
		mounted(t, freezetest.FS{Type: "ext4", Dir: "/mnt/ext4"}),
		mounted(t, freezetest.FS{Type: "xfs", Dir: "/mnt/xfs"}),
		mounted(t, freezetest.FS{Type: "btrfs", Dir: "/mnt/btrfs"}),
	}
	e := engine(t, freeze.Config{})
	for range 3 {
		n, err := e.Freeze(t.Context(), freeze.Request{By: "test"})
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Equal(t, freeze.Frozen, e.State())
		for _, dir := range dirs {
			require.False(t, freezetest.Writable(dir, blocked), dir)
			require.Equal(t, freeze.OutcomeFrozen, outcomes(e.Report())[dir])
		}
		n, err = e.Thaw(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, n)
		for _, dir := range dirs {
			require.True(t, freezetest.Writable(dir, soon), dir)
			require.Equal(t, freeze.OutcomeThawed, outcomes(e.Report())[dir])
		}
	}
}
