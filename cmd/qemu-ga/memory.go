package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// resting gives memory back to the guest while the agent has nothing to do,
// which is nearly always.
type resting struct {
	// program are the parts of the address space that show the program's own
	// file and cannot be written.
	program []span
}

type span struct{ start, length uintptr }

// newResting finds out what can be given back. Where /proc does not tell it is
// the heap alone.
func newResting() *resting {
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return &resting{}
	}
	return &resting{program: parseMaps(string(maps))}
}

// parseMaps finds the mappings of files that are not writable, and were not
// before: in a program that is placed anywhere (PIE), or linked with shared
// libraries, the loader has written addresses into some, which are not in the
// file. A mapping is
//
//	00400000-0069d000 r-xp 00000000 fe:00 1837 /usr/bin/qemu-ga
//	Size:               2676 kB
//	...
//	Anonymous:             0 kB
//	...
func parseMaps(smaps string) []span {
	var spans []span
	last := span{}
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 3 && fields[0] == "Anonymous:":
			if last.length > 0 && fields[1] == "0" {
				spans = append(spans, last)
			}
			last = span{}
		case len(fields) >= 6 && strings.HasPrefix(fields[5], "/") && !strings.Contains(fields[1], "w"):
			last = parseSpan(fields[0])
		}
	}
	return spans
}

// parseSpan reads where a mapping is; nowhere if that is no address.
func parseSpan(addresses string) span {
	from, to, _ := strings.Cut(addresses, "-")
	start, serr := strconv.ParseUint(from, 16, 64)
	end, eerr := strconv.ParseUint(to, 16, 64)
	if serr != nil || eerr != nil || end <= start {
		return span{}
	}
	return span{uintptr(start), uintptr(end - start)}
}

// giveBack returns the heap that is not used, and lets go of the pages of the
// program: most have served the start or the last command only. They stay in
// the page cache, where the kernel may take them, and those needed again cost
// a page fault that reads no disk.
func (r *resting) giveBack() {
	debug.FreeOSMemory()
	r.letGo()
}

// letGo is giveBack without the heap, which is small after the start.
func (r *resting) letGo() {
	for _, s := range r.program {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, s.start, s.length, unix.MADV_DONTNEED)
	}
}
