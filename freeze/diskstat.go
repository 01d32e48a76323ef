package freeze

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"qemu-ga/freeze/mountinfo"
)

// device is a block device's number.
type device = mountinfo.Dev

// The fields of /sys/dev/block/M:m/stat, counted from 0 (the kernel's
// Documentation/block/stat.rst): reads, writes, discards and flushes
// completed. Older kernels have no field for the latter two.
const (
	statReads    = 0
	statWrites   = 4
	statDiscards = 11
	statFlushes  = 15
)

var (
	// writesDone are the fields that grow as something is written out.
	writesDone = []int{statWrites, statDiscards, statFlushes}
	// ioDone are those that grow as a disk completes anything.
	ioDone = append([]int{statReads}, writesDone...)
)

// completed adds up the writes, discards and flushes that devices have
// completed since they exist, and tells whether any of them counts them.
func completed(sys string, devices []device) (sum uint64, known bool) {
	for _, d := range devices {
		dir := filepath.Join(sys, "dev/block", d.String())
		text, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil || !counts(dir) {
			continue
		}
		sum, known = sum+finished(string(text), writesDone), true
	}
	return sum, known
}

// finished adds up fields of a device's statistics:
//
//	9 2 40 1 120 33 4096 85 0 56 86 0 0 0 0 12 4
func finished(text string, of []int) uint64 {
	var sum uint64
	fields := strings.Fields(text)
	for _, i := range of {
		if i < len(fields) {
			n, err := strconv.ParseUint(fields[i], 10, 64)
			if err == nil {
				sum += n
			}
		}
	}
	return sum
}
