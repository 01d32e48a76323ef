package main

import (
	"fmt"
	"strings"
	"time"
)

// markdown is results.md.
func (r *results) markdown() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	m := r.machine
	line("# This agent beside the real qemu-ga\n")
	line("Made by `make bench` on %s in %s, on Linux %s with %d cores and %d GiB; load average %s at the start and %s at the end (the benchmark itself makes about 1). Both agents run in one freezing ground on loop filesystems whose images are on a tmpfs, and take turns; a ratio is this agent's figure over qemu-ga's in the same round, given as median (least … greatest). Figures of different runs or machines do not compare, the ratios roughly do.\n",
		m.date.UTC().Format(time.DateOnly), m.took.Round(time.Second), m.kernel, m.cores, m.memory, m.before, m.then)
	if r.short {
		line("**A short run:** few rounds, and not every scenario.\n")
	}
	if len(r.stalls) > 0 {
		r.stallTable(line)
	}
	if r.nested != "" {
		line("\n## Nested filesystems\n\n%s", r.nested)
	}
	for _, t := range r.tables {
		line("\n## %s\n\n%s\n", t.title, t.note)
		line("| | this agent | qemu-ga | | ratio | target |\n|---|---:|---:|---|---:|---|")
		for _, p := range t.rows {
			line("| %s | %s | %s | %s | %s | %s |", p.name, number(median(p.values[ours])),
				number(median(p.values[theirs])), p.unit, spread(p.ratios()), p.verdict())
		}
	}
	return b.String()
}

// stallTable writes the table of the longest writes.
func (r *results) stallTable(line func(string, ...any)) {
	line("## How long writers stall\n")
	line("![Longest write during a freeze](%s)\n", chartName)
	line("The longest of all writes, of one thread on each filesystem in a process of its own, while the host freezes and at once thaws; medians, in ms. *buffered* writers write 4 KiB to the page cache, *fsync* writers wait for the disk. *calm* is the longest write in the moment before: what the machine does by itself. *window* is from this agent's first FIFREEZE to its last. *floor* is the same stall when the benchmark itself calls FIFREEZE and FITHAW under expedited RCU, with no agent between: what the kernel takes.\n")
	line("More dirty data than 4 × 512 MiB is not measured: the kernel makes writers write it out from 20 %% of memory on, so it does not stay dirty until the freeze.\n")
	line("| filesystems | dirty each | writers | this agent | qemu-ga | ratio | target | calm | window | floor |\n|---|---:|---|---:|---:|---:|---|---:|---:|---:|")
	for _, s := range r.stalls {
		dirty := "idle"
		if s.dirty > 0 {
			dirty = fmt.Sprintf("%d MiB", s.dirty)
		}
		line("| %s ×%d | %s | %s | %s | %s | %s | %s | %s | %s | %s |", s.fsType, s.count, dirty, s.kind,
			number(median(s.values[ours])), number(median(s.values[theirs])), spread(s.ratios()), s.verdict(),
			number(median(s.calm)), number(median(s.window)), number(median(s.floor)))
	}
}
