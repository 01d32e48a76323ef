package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DiskStats is a line of /proc/diskstats: a disk's or partition's counters.
type DiskStats struct {
	Major, Minor uint64
	Name         string
	// Counters are the numbers behind the name, as many as the kernel has.
	Counters []uint64
}

// DiskStats returns the counters of all block devices, in the kernel's order.
func (r Root) DiskStats() ([]DiskStats, error) {
	f, err := r.Open("/proc/diskstats")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return parseDiskStats(f)
}

// parseDiskStats passes over lines that are none of its own:
//
//	254       0 vda 27212 4407 2082954 5720 121020 157313 4646864 58404 0 35684 67120 12 0 4096 3 2 1
func parseDiskStats(rd io.Reader) ([]DiskStats, error) {
	var all []DiskStats
	lines := bufio.NewScanner(rd)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			continue
		}
		major, err := strconv.ParseUint(fields[0], 10, 32)
		minor, err2 := strconv.ParseUint(fields[1], 10, 32)
		if err != nil || err2 != nil {
			continue
		}
		all = append(all, DiskStats{major, minor, fields[2], numbers(fields[3:])})
	}
	return all, lines.Err()
}

// CPUStats is the time that a CPU has spent.
type CPUStats struct {
	// CPU is the CPU's number.
	CPU int
	// Millis are the milliseconds in the order of /proc/stat, as many as the
	// kernel tells: user, nice, system, idle, iowait, irq, softirq, steal,
	// guest, guest nice.
	Millis []uint64
}

// userHZ is the frequency of the ticks that the kernel counts for programs,
// 100 on all architectures that Go knows.
const userHZ = 100

// CPUStats returns the times of all CPUs that are online.
func (r Root) CPUStats() ([]CPUStats, error) {
	f, err := r.Open("/proc/stat")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return parseCPUStats(f)
}

// parseCPUStats reads the lines of single CPUs. The file's line of interrupts
// is longer than any buffer need be, so nothing behind the CPUs is read:
//
//	cpu  206125 1544 56103 2160210 1251 0 502 790 0 0
//	cpu0 102332 811 27993 1080021 501 0 70 391 0 0
//	intr 9021812 0 ...
func parseCPUStats(rd io.Reader) ([]CPUStats, error) {
	var all []CPUStats
	lines := bufio.NewScanner(rd)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "cpu") {
			return all, nil
		}
		cpu, ok := numbered(fields[0], "cpu")
		ticks := numbers(fields[1:])
		if !ok || len(ticks) < 4 {
			continue
		}
		for i := range ticks {
			ticks[i] *= 1000 / userHZ
		}
		all = append(all, CPUStats{cpu, ticks})
	}
	if err := lines.Err(); !errors.Is(err, bufio.ErrTooLong) {
		return all, err
	}
	return all, nil
}

// numbers reads fields up to the first that is not a number.
func numbers(fields []string) []uint64 {
	list := make([]uint64, 0, len(fields))
	for _, f := range fields {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			break
		}
		list = append(list, n)
	}
	return list
}

// LoadAverage returns the load averages of the last minute, five and fifteen.
// The kernel is asked: it knows more digits than /proc/loadavg shows.
func LoadAverage() (load [3]float64, err error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return load, os.NewSyscallError("sysinfo", err)
	}
	for i, fixed := range info.Loads {
		load[i] = float64(fixed) / (1 << 16)
	}
	return load, nil
}

// firstLine reads a file of one line without the white space at its end.
func (r Root) firstLine(name string) (string, error) {
	data, err := r.ReadFile(name)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line == "" {
		return "", fmt.Errorf("%s: %w", name, io.ErrUnexpectedEOF)
	}
	return strings.TrimRight(line, " \t"), nil
}
