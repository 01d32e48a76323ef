package faults_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/qemu-ga/faults"
)

func TestWrite(t *testing.T) {
	var b strings.Builder
	require.NoError(t, faults.Write(&b, "A title", []faults.Row{
		{
			Fault: "a", Did: "this",
			Ours:      faults.Outcome{Frozen: 12 * time.Millisecond, Told: "x|y"},
			Reference: faults.Outcome{Frozen: 3 * time.Second, Still: true, Told: "no answer\nat all"},
		},
		{
			Fault: "b", Did: "that",
			Ours:      faults.Outcome{Frozen: 1500 * time.Millisecond, Failed: true},
			Reference: faults.Outcome{Omitted: "has none"},
		},
	}))
	require.Contains(t, b.String(), "### A title")
	require.Contains(t, b.String(), `| a | this | 12 ms | x\|y | **still frozen** after 3.0 s | no answer at all |`)
	require.Contains(t, b.String(), "| b | that | **FAILED** 1.5 s |  | – | has none |")
	require.Contains(t, b.String(), "1 of 2 survived.")
}
