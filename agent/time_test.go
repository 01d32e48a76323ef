package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGetTime(t *testing.T) {
	before := time.Now()
	got, err := captured(t, "alpine-minimal").getTime(t.Context(), noArgs{})
	require.NoError(t, err)
	require.WithinRange(t, time.Unix(0, got), before.Truncate(time.Microsecond), time.Now())
	require.Zero(t, got%1000)
}

func TestTimezone(t *testing.T) {
	got, err := captured(t, "alpine-minimal").timezone(t.Context(), noArgs{})
	requireWire(t, `{"zone": "UTC", "offset": 0}`, got, err)

	a := captured(t, "debian12-virtio")
	got, err = a.timezone(t.Context(), noArgs{})
	require.NoError(t, err)
	require.Contains(t, []timezone{{"CET", 3600}, {"CEST", 7200}}, got)
}
