package main

import (
	"fmt"
	"math"
	"strings"
)

// The chart's measures, in its own units.
const (
	chartWidth = 860
	labelWidth = 190
	valueWidth = 130
	barHeight  = 9
	rowHeight  = 26
	chartTop   = 62
	// The axis is logarithmic, in milliseconds.
	axisFrom = 0.1
	axisTo   = 10000
)

// chartStyle has colours for light and dark.
const chartStyle = `text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:15px;font-weight:600}.v{font-size:11px}
.l{stroke:#d0d7de}.o{fill:#1a7f37}.q{fill:#a8b1bb}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.l{stroke:#3d444d}.o{fill:#3fb950}.q{fill:#6e7681}}`

// chart draws the longest writes of the buffered writers.
func chart(all []*stalls) string {
	var rows []*stalls
	for _, s := range all {
		if s.kind == buffered && s.skipped == "" {
			rows = append(rows, s)
		}
	}
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	bottom := chartTop + rowHeight*len(rows)
	put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Longest write during a freeze">`, chartWidth, bottom+24)
	put("<style>%s</style>", chartStyle)
	put(`<text class="t" x="8" y="20">Longest write during a freeze (median, ms, logarithmic)</text>`)
	put(`<rect class="o" x="8" y="31" width="12" height="9"/><text x="25" y="40">this agent</text>`)
	put(`<rect class="q" x="108" y="31" width="12" height="9"/><text x="125" y="40">qemu-ga</text>`)
	for tick := axisFrom; tick <= axisTo; tick *= 10 {
		put(`<line class="l" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, along(tick), chartTop-6, along(tick), bottom)
		put(`<text class="v" text-anchor="middle" x="%.1f" y="%d">%g</text>`, along(tick), bottom+15, math.Round(tick*10)/10)
	}
	for i, s := range rows {
		y := chartTop + i*rowHeight
		label := fmt.Sprintf("%s ×%d, idle", s.fsType, s.count)
		if s.dirty > 0 {
			label = fmt.Sprintf("%s ×%d, %d MiB dirty each", s.fsType, s.count, s.dirty)
		}
		put(`<text text-anchor="end" x="%d" y="%d">%s</text>`, labelWidth-8, y+13, label)
		for which, class := range [both]string{"o", "q"} {
			value := median(s.values[which])
			put(`<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`, class, labelWidth, y+which*(barHeight+1), along(value)-labelWidth, barHeight)
			put(`<text class="v" x="%.1f" y="%d">%s</text>`, along(value)+5, y+which*(barHeight+1)+8, number(value))
		}
		put(`<text class="v" text-anchor="end" x="%d" y="%d">%s ×</text>`, chartWidth-8, y+13, number(1/median(s.ratios())))
	}
	put("</svg>")
	return b.String()
}

// along is where a number of milliseconds lies.
func along(value float64) float64 {
	part := math.Log10(max(value, axisFrom)/axisFrom) / math.Log10(axisTo/axisFrom)
	return labelWidth + min(part, 1)*(chartWidth-labelWidth-valueWidth)
}
