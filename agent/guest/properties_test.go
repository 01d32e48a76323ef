package guest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseProperties(t *testing.T) {
	got := parseProperties(strings.NewReader("# USER=no\nUSER=a=b\n\n=x\nnothing\nEMPTY=\nUSER=last"))
	require.Equal(t, map[string]string{"USER": "last", "EMPTY": ""}, got)
}

func TestParseUdevData(t *testing.T) {
	got := parseUdevData(strings.NewReader("S:disk/by-id/E:x=y\nI:12\nE:ID_SERIAL=vol-1\nG:systemd\nE:X\n"))
	require.Equal(t, map[string]string{"ID_SERIAL": "vol-1"}, got)
}

func TestParseMicros(t *testing.T) {
	got, ok := parseMicros("1700000000000001")
	require.True(t, ok)
	require.True(t, got.Equal(time.Unix(1700000000, 1000)))
	_, ok = parseMicros("")
	require.False(t, ok)
}

func FuzzParseUdevData(f *testing.F) {
	f.Add("S:disk/by-id/x\nE:ID_SERIAL=vol-1\n")
	f.Fuzz(func(t *testing.T, file string) {
		for key, value := range parseUdevData(strings.NewReader(file)) {
			require.NotEmpty(t, key)
			require.Contains(t, file, "E:"+key+"="+value)
		}
		sessionLogin(parseProperties(strings.NewReader(file)))
	})
}
