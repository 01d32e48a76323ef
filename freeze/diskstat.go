package freeze

import (
	"os"
	"path/filepath"
	"slices"
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
	statWritten  = 6 // in sectors
	statDiscards = 11
	statFlushes  = 15
)

// sectorSize is what the kernel counts in, whatever a disk's own sectors are.
const sectorSize = 512

var (
	// writesDone are the fields that grow as something is written out.
	writesDone = []int{statWrites, statDiscards, statFlushes}
	// ioDone are those that grow as a disk completes anything.
	ioDone = append([]int{statReads}, writesDone...)
)

// completed adds up the writes, discards and flushes that devices have
// completed since they exist, and tells whether any of them counts them.
func completed(sys string, devices []device) (sum uint64, known bool) {
	return total(sys, devices, writesDone)
}

// written tells how many bytes were ever written to the devices that targets
// sit on; those that count nothing are left out.
func written(sys string, targets []target) uint64 {
	var devices []device
	for _, t := range targets {
		for _, d := range t.Devices {
			if !slices.Contains(devices, d) {
				devices = append(devices, d)
			}
		}
	}
	sectors, _ := total(sys, devices, []int{statWritten})
	return sectors * sectorSize
}

// total adds up fields of all devices' statistics, and tells whether any of
// them has such.
func total(sys string, devices []device, fields []int) (sum uint64, known bool) {
	for _, d := range devices {
		dir := filepath.Join(sys, "dev/block", d.String())
		text, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil || !counts(dir) {
			continue
		}
		sum, known = sum+finished(string(text), fields), true
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
