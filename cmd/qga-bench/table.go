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
	line("The longest of all writes, of one thread on each filesystem in a process of its own, while the host freezes and at once thaws; medians, in ms. *buffered* writers write 4 KiB to the page cache, *fsync* writers wait for the disk. *calm* is the longest write in the moment before: what the machine does by itself. *window* is from this agent's first FIFREEZE to its last. *floor* is the same stall when the benchmark itself calls FIFREEZE and FITHAW on all filesystems at once, under expedited RCU, with no agent between; *synced* when it only writes out the dirty data with syncfs and freezes nothing.\n")
	line("For 16 × 512 MiB the kernel's limits on dirty memory are raised: with its own, writers write it out from 20 %% of memory on, and it does not stay dirty until the freeze.\n")
	line("| filesystems | dirty each | writers | this agent | qemu-ga | ratio | target | calm | window | floor | synced |\n|---|---:|---|---:|---:|---:|---|---:|---:|---:|---:|")
	for _, s := range r.stalls {
		dirty := "idle"
		if s.dirty > 0 {
			dirty = fmt.Sprintf("%d MiB", s.dirty)
		}
		if s.skipped != "" {
			line("| %s ×%d | %s | %s | left out: %s |", s.fsType, s.count, dirty, s.kind, s.skipped)
			continue
		}
		line("| %s ×%d | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |", s.fsType, s.count, dirty, s.kind,
			number(median(s.values[ours])), number(median(s.values[theirs])), spread(s.ratios()), s.verdict(),
			number(median(s.calm)), number(median(s.window)), number(median(s.floor)), number(median(s.synced)))
	}
	r.limits(line)
}

// limits tells for every target that was missed what the time is made of.
func (r *results) limits(line func(string, ...any)) {
	first := true
	for _, s := range r.stalls {
		all := s.ratios()
		if len(all) == 0 || median(all) <= s.pairs.target {
			continue
		}
		if first {
			line("\n### What limits the targets that were missed\n")
			line("*allowed* is the target's share of qemu-ga's stall. An application waits for the longest of: the rehearsal of its own filesystem (not longer than *floor* on a quiet machine); the freeze, which is window + the way of the answer to the host, and of its thaw back + FITHAW; the write-out of dirty data before both (*synced*: no freeze at all). Where *floor* or *synced* alone exceeds what is allowed, no agent can do better on this machine.\n")
			line("| scenario | stall | allowed | floor | synced | window | answer and thaw request | FITHAW |\n|---|---:|---:|---:|---:|---:|---:|---:|")
			first = false
		}
		way := median(s.held) - median(s.window) - median(s.thaw)
		line("| %s | %s | %s | %s | %s | %s | %s | %s |", s.String(), number(median(s.values[ours])), number(s.pairs.target*median(s.values[theirs])),
			number(median(s.floor)), number(median(s.synced)), number(median(s.window)), number(way), number(median(s.thaw)))
	}
}
