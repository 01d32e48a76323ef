package freeze

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A disk that hangs in the window would keep every healthy filesystem frozen
// until the window's limit. One that works completes something all the time:
// 16 disks that took 2 ms for each 4 KiB, with 2 MiB to be written to each, were
// frozen in one window of 1.4 s (November 2026). One that pauses for longer has a
// second chance (again, in session.go).
const (
	// standstillLimit is how long a disk may complete nothing while a
	// FIFREEZE waits for it. With the period it stays below a second.
	standstillLimit = 800 * time.Millisecond
	// standstillPeriod is how often that is looked at. A window is over before
	// the first look, as a rule.
	standstillPeriod = 100 * time.Millisecond
)

// standstill notices that a FIFREEZE waits for disks that complete nothing.
// What it reads is opened before the window.
type standstill struct {
	files [][]*os.File // the statistics of each target's disks
	limit int          // in looks: they stop with the guest, as a clock may not
	seen  []uint64
	idle  []int // looks since seen changed, while the target waited
	buf   [512]byte
}

// newStandstill watches the disks whose statistics the paths name, for each
// target. One without is not watched.
func newStandstill(paths [][]string, limit time.Duration) *standstill {
	s := &standstill{
		files: make([][]*os.File, len(paths)), limit: int((limit + standstillPeriod - 1) / standstillPeriod),
		seen: make([]uint64, len(paths)), idle: make([]int, len(paths)),
	}
	for i, names := range paths {
		for _, name := range names {
			if file, err := os.Open(name); err == nil {
				s.files[i] = append(s.files[i], file)
			}
		}
	}
	return s
}

// look tells whether a target for which waits is true has waited for too long.
func (s *standstill) look(waits func(target int) bool) bool {
	over := false
	for i, files := range s.files {
		if !waits(i) || len(files) == 0 {
			s.idle[i] = 0
			continue
		}
		var sum uint64
		for _, file := range files {
			n, err := file.ReadAt(s.buf[:], 0)
			if err == nil || err == io.EOF {
				sum += finished(string(s.buf[:n]), ioDone)
			}
		}
		if sum != s.seen[i] {
			s.seen[i], s.idle[i] = sum, 0
			continue
		}
		s.idle[i]++
		over = over || s.idle[i] >= s.limit
	}
	return over
}

// statFiles names the files that tell what t's disks have completed: those of
// the devices that the filesystem sits on, and of the disks below, where its
// turn may be long in coming.
func (t target) statFiles(sys string) []string {
	var names []string
	for _, d := range append(slices.Clone(t.Devices), t.Disks...) {
		dir := filepath.Join(sys, "dev/block", d.String())
		if name := filepath.Join(dir, "stat"); counts(dir) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// counts tells whether the device at dir, or the disk that it is a partition
// of, counts what it completes: an administrator can turn that off.
func counts(dir string) bool {
	for _, name := range []string{"queue/iostats", "../queue/iostats"} {
		// The directory is a link: the kernel is to find what is above it.
		if text, err := os.ReadFile(dir + "/" + name); err == nil {
			return strings.TrimSpace(string(text)) != "0"
		}
	}
	return true
}
