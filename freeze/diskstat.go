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
// Documentation/block/stat.rst): writes, discards and flushes completed.
// Older kernels have no field for the latter two.
const (
	statWrites   = 4
	statDiscards = 11
	statFlushes  = 15
)

// completed adds up the writes, discards and flushes that devices have
// completed since they exist. A device without statistics counts as 0.
func completed(sys string, devices []device) uint64 {
	var sum uint64
	for _, d := range devices {
		text, err := os.ReadFile(filepath.Join(sys, "dev/block", d.String(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text))
		for _, i := range []int{statWrites, statDiscards, statFlushes} {
			if i < len(fields) {
				n, err := strconv.ParseUint(fields[i], 10, 64)
				if err == nil {
					sum += n
				}
			}
		}
	}
	return sum
}
