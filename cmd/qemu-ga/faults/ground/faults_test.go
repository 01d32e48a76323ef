package ground_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/qemu-ga/faults"
	"qemu-ga/freeze/freezetest"
)

// TestFaults does every fault to our agent, which has to survive it, and to
// the C agent, which is only watched.
func TestFaults(t *testing.T) {
	freezetest.Need(t)
	for _, family := range []struct {
		name   string
		faults []fault
	}{
		{"disk", diskFaults},
		{"death", deathFaults},
		{"deadline", deadlineFaults},
		{"channel", channelFaults},
		{"hook", hookFaults},
		{"log", logFaults},
		{"others", othersFaults},
	} {
		for _, f := range family.faults {
			t.Run(family.name+"/"+f.name, func(t *testing.T) {
				row := faults.Row{Fault: f.name, Did: f.did, Ours: faults.Outcome{Failed: true}}
				t.Run(string(ours), func(t *testing.T) { row.Ours = play(t, f, ours) })
				row.Reference.Omitted = f.omit
				if f.omit == "" && !exists(referenceAgent) {
					row.Reference.Omitted = "is not here: run .ci/setup reference"
				}
				if row.Reference.Omitted == "" {
					t.Run(string(reference), func(t *testing.T) { row.Reference = play(t, f, reference) })
				}
				rows = append(rows, row)
			})
		}
	}
	require.NotEmpty(t, rows)
}
