package main

import (
	"fmt"
	"math"
	"slices"
)

// pairs are measurements of the two agents, taken in turns: one of each in
// every round, so that a ratio's two sides saw the same machine.
type pairs struct {
	name string
	unit string
	// target is what the median of the ratios is to be: at most, or at
	// least if more is better. Zero is none.
	target float64
	more   bool
	values [both][]float64
}

func (p *pairs) add(which int, value float64) { p.values[which] = append(p.values[which], value) }

// ratios are ours over theirs, sorted.
func (p *pairs) ratios() []float64 {
	var all []float64
	for i := range min(len(p.values[ours]), len(p.values[theirs])) {
		if theirs := p.values[theirs][i]; theirs != 0 {
			all = append(all, p.values[ours][i]/theirs)
		}
	}
	slices.Sort(all)
	return all
}

// verdict tells whether the median of the ratios is what it is to be.
func (p *pairs) verdict() string {
	all := p.ratios()
	switch {
	case p.target == 0:
		return ""
	case len(all) == 0:
		return "–"
	case p.more && median(all) >= p.target:
		return fmt.Sprintf("≥ %s: yes", number(p.target))
	case p.more:
		return fmt.Sprintf("≥ %s: **no**", number(p.target))
	case median(all) <= p.target:
		return fmt.Sprintf("≤ %s: yes", number(p.target))
	default:
		return fmt.Sprintf("≤ %s: **no**", number(p.target))
	}
}

// median is that of values in any order.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// number writes a value with the digits that mean something.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case a >= 1000:
		return fmt.Sprintf("%.0f", v)
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	case a == 0:
		return "0"
	default:
		return fmt.Sprintf("%.2g", v)
	}
}

// spread gives the ratios' median and from where to where they go.
func spread(ratios []float64) string {
	if len(ratios) == 0 {
		return "–"
	}
	return fmt.Sprintf("%s (%s … %s)", number(median(ratios)), number(ratios[0]), number(ratios[len(ratios)-1]))
}
