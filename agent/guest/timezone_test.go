package guest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestZoneHonoursTZ(t *testing.T) {
	july := time.Date(2026, time.July, 1, 12, 0, 0, 0, time.UTC)
	r := root(t, "debian12-virtio")
	for _, c := range []struct {
		tz, name string
		offset   int
	}{
		{"", "UTC", 0},
		{"Europe/Berlin", "CEST", 7200},
		{":Europe/Berlin", "CEST", 7200},
		{"/usr/share/zoneinfo/Europe/Berlin", "CEST", 7200},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "CEST", 7200},
		{"EST5", "EST", -18000},
		{"<-03>3", "-03", -10800},
		{"Mars/Olympus", "UTC", 0},
		{"garbage", "UTC", 0},
	} {
		t.Setenv("TZ", c.tz)
		name, offset := r.Zone(july)
		require.Equal(t, c.name, name, c.tz)
		require.Equal(t, c.offset, offset, c.tz)
	}
}

func TestZoneSeesLocaltimeChange(t *testing.T) {
	berlin, err := root(t, "debian12-virtio").ReadFile("/etc/localtime")
	require.NoError(t, err)
	r := tree(t, map[string]string{"/zones/berlin": string(berlin), "/etc/localtime": "->/zones/none"})
	january := time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)
	name, offset := r.Zone(january)
	require.Equal(t, "UTC", name)
	require.Zero(t, offset)

	localtime := filepath.Join(string(r), "/etc/localtime")
	require.NoError(t, os.Remove(localtime))
	require.NoError(t, os.Symlink("/zones/berlin", localtime))
	name, offset = r.Zone(january)
	require.Equal(t, "CET", name)
	require.Equal(t, 3600, offset)
}

func FuzzRuleZone(f *testing.F) {
	f.Add("CET-1CEST,M3.5.0,M10.5.0/3")
	f.Add("<-03>3")
	f.Fuzz(func(t *testing.T, rule string) {
		name, _ := time.Unix(1767225600, 0).In(ruleZone(rule)).Zone()
		require.NotEmpty(t, name)
	})
}
