package guest

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

const captured = "../../testdata/guests"

// TestGuests reads all facts of each captured guest and compares them with
// what its golden file says.
func TestGuests(t *testing.T) {
	entries, err := os.ReadDir(captured)
	require.NoError(t, err)
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			got := describe(t, root(t, e.Name()))
			golden := filepath.Join(captured, e.Name()+".golden")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// describe writes out a guest's facts, one a line.
func describe(t *testing.T, r Root) string {
	t.Helper()
	var out strings.Builder
	vars := r.OSRelease()
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&out, "os %s=%q\n", key, vars[key])
	}
	for _, month := range []time.Month{time.January, time.July} {
		name, offset := r.Zone(time.Date(2026, month, 1, 12, 0, 0, 0, time.UTC))
		fmt.Fprintf(&out, "zone %s %s %d\n", month, name, offset)
	}
	for _, l := range r.Logins() {
		fmt.Fprintf(&out, "login %s %s\n", l.User, l.Since.UTC().Format(time.RFC3339Nano))
	}
	filesystems, err := r.Filesystems(t.Context())
	require.NoError(t, err)
	for _, fs := range filesystems {
		fmt.Fprintf(&out, "filesystem %s %q %s\n", fs.Device, fs.Point, fs.Type)
		for _, d := range fs.Disks {
			fmt.Fprintf(&out, "  %s %d:%d:%d pci %+v ccw %+v %q %q\n",
				d.BusType, d.Bus, d.Target, d.Unit, d.Controller, d.CCW, d.Serial, d.Node)
		}
	}
	describeDevices(t, &out, r)
	return out.String()
}

// root is the root of a captured guest, without what the test's own
// environment could say instead.
func root(t *testing.T, name string) Root {
	t.Helper()
	t.Setenv("QGA_OS_RELEASE", "")
	unsetenv(t, "TZ")
	dir, err := filepath.Abs(filepath.Join(captured, name))
	require.NoError(t, err)
	return Root(dir)
}

func unsetenv(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "") // puts the old value back in the end
	require.NoError(t, os.Unsetenv(name))
}
