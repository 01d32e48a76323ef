package compat_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// governed are the directories in which a program could do the machine harm.
// In the ground, files that only look like the kernel's are there.
var governed = []string{"/sys/power", "/sys/devices/system/cpu", "/sys/devices/system/memory"}

// machine is what is in them when a script begins.
var machine = map[string]string{
	"/sys/power/state":                                    "freeze mem disk\n",
	"/sys/devices/system/cpu/cpu0/topology":               "",
	"/sys/devices/system/cpu/cpu1/online":                 "1\n",
	"/sys/devices/system/cpu/cpu2/online":                 "0\n",
	"/sys/devices/system/cpu/cpu10/online":                "1\n",
	"/sys/devices/system/cpu/cpufreq/policy0":             "",
	"/sys/devices/system/cpu/possible":                    "0-2\n",
	"/sys/devices/system/memory/block_size_bytes":         "8000000\n",
	"/sys/devices/system/memory/memory0/state":            "online\n",
	"/sys/devices/system/memory/memory0/removable":        "0\n",
	"/sys/devices/system/memory/memory9/state":            "online\n",
	"/sys/devices/system/memory/memory9/removable":        "1\n",
	"/sys/devices/system/memory/memory33/state":           "offline\n",
	"/sys/devices/system/memory/memory33/removable":       "1\n",
	"/sys/devices/system/memory/memory34/state":           "going-offline\n",
	"/sys/devices/system/memory/auto_online_blocks":       "offline\n",
	"/sys/devices/system/memory/hard_offline_page":        "",
	"/sys/devices/system/memory/power/autosuspend_delay_": "",
}

// hideMachine puts a tmpfs over each governed directory, before any agent
// runs.
func hideMachine(t *testing.T) {
	t.Helper()
	for _, dir := range governed {
		if _, err := os.Stat(dir); err == nil {
			require.NoError(t, unix.Mount("machine", dir, "tmpfs", 0, ""))
		}
	}
}

// resetMachine gives the governed directories their files.
func resetMachine(t *testing.T) {
	t.Helper()
	for _, dir := range governed {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
			continue // the kernel has no such directory
		}
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	for path, text := range machine {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
	}
}
