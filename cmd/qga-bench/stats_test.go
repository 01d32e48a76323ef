package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPairs(t *testing.T) {
	p := pairs{target: 0.5}
	for _, v := range []float64{1, 2, 30} {
		p.add(ours, v)
		p.add(theirs, 10)
	}
	require.Equal(t, []float64{0.1, 0.2, 3}, p.ratios())
	require.Equal(t, "≤ 0.5: yes", p.verdict())
	require.Equal(t, "0.2 (0.1 … 3.00)", spread(p.ratios()))
	p.more = true
	require.Equal(t, "≥ 0.5: **no**", p.verdict())
	require.Equal(t, "–", (&pairs{target: 1}).verdict())
}

func TestMedian(t *testing.T) {
	require.Equal(t, "–", number(median(nil)))
	require.InDelta(t, 2.0, median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{4, 3, 1, 2}), 0)
}

func TestResults(t *testing.T) {
	s := &stalls{scenario: scenario{fsType: "ext4", kind: buffered, count: 4, dirty: 64}, pairs: pairs{target: 0.1}}
	s.add(ours, 2)
	s.add(theirs, 200)
	text := (&results{stalls: []*stalls{s}}).markdown()
	require.Contains(t, text, "| ext4 ×4 | 64 MiB | buffered | 2.00 | 200 | 0.01 (0.01 … 0.01) | ≤ 0.1: yes |")
	require.NotContains(t, text, "What limits")
	missed := &stalls{scenario: scenario{fsType: "xfs", kind: fsyncing, count: 4}, pairs: pairs{target: 0.02}, floor: []float64{3}}
	missed.add(ours, 5)
	missed.add(theirs, 100)
	out := &stalls{scenario: scenario{fsType: "xfs", kind: buffered, count: 16, dirty: 512}, skipped: "no memory"}
	text = (&results{stalls: []*stalls{missed, out}}).markdown()
	require.Contains(t, text, "What limits")
	require.Contains(t, text, "| xfs ×4 idle, fsync | 5.00 | 2.00 | 3.00 |")
	require.Contains(t, text, "left out: no memory")
	picture := chart([]*stalls{s})
	require.Contains(t, picture, "ext4 ×4, 64 MiB dirty each")
	require.Equal(t, 2, strings.Count(picture, `x="190"`), "a bar for each agent")
}
