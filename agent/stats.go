package agent

import (
	"context"
	"fmt"

	"qemu-ga/agent/guest"
)

// diskStatsInfo is a member of the answer to guest-get-diskstats.
type diskStatsInfo struct {
	// Name is the device's name in the kernel: "vda1".
	Name string `json:"name"`
	// Major is the device's major number.
	Major uint64 `json:"major"`
	// Minor is its minor number.
	Minor uint64 `json:"minor"`
	// Stats are its counters.
	Stats diskStats `json:"stats"`
}

// diskStats counts what a disk has done. Members that the kernel does not
// count are missing. Sectors are of 512 bytes, ticks of a millisecond.
type diskStats struct {
	// ReadSectors counts sectors read.
	ReadSectors *uint64 `json:"read-sectors,omitzero"`
	// ReadIOs counts reads that completed.
	ReadIOs *uint64 `json:"read-ios,omitzero"`
	// ReadMerges counts reads merged with others.
	ReadMerges *uint64 `json:"read-merges,omitzero"`
	// WriteSectors counts sectors written.
	WriteSectors *uint64 `json:"write-sectors,omitzero"`
	// WriteIOs counts writes that completed.
	WriteIOs *uint64 `json:"write-ios,omitzero"`
	// WriteMerges counts writes merged with others.
	WriteMerges *uint64 `json:"write-merges,omitzero"`
	// DiscardSectors counts sectors discarded.
	DiscardSectors *uint64 `json:"discard-sectors,omitzero"`
	// DiscardIOs counts discards that completed.
	DiscardIOs *uint64 `json:"discard-ios,omitzero"`
	// DiscardMerges counts discards merged with others.
	DiscardMerges *uint64 `json:"discard-merges,omitzero"`
	// FlushIOs counts flushes that completed.
	FlushIOs *uint64 `json:"flush-ios,omitzero"`
	// ReadTicks is the time spent reading.
	ReadTicks *uint64 `json:"read-ticks,omitzero"`
	// WriteTicks is the time spent writing.
	WriteTicks *uint64 `json:"write-ticks,omitzero"`
	// DiscardTicks is the time spent discarding.
	DiscardTicks *uint64 `json:"discard-ticks,omitzero"`
	// FlushTicks is the time spent flushing.
	FlushTicks *uint64 `json:"flush-ticks,omitzero"`
	// InFlight is the number of requests under way.
	InFlight *uint64 `json:"ios-pgr,omitzero"`
	// TotalTicks is the time during which there were any.
	TotalTicks *uint64 `json:"total-ticks,omitzero"`
	// WeightTicks is that time, each request counted.
	WeightTicks *uint64 `json:"weight-ticks,omitzero"`
}

// cpuStats is a member of the answer to guest-get-cpustats: how many
// milliseconds a CPU has spent at what.
type cpuStats struct {
	// Type is "linux".
	Type string `json:"type"`
	// CPU is the CPU's number.
	CPU int `json:"cpu"`
	// User is the time in programs.
	User uint64 `json:"user"`
	// Nice is the time in programs of low priority.
	Nice uint64 `json:"nice"`
	// System is the time in the kernel.
	System uint64 `json:"system"`
	// Idle is the time of rest.
	Idle uint64 `json:"idle"`
	// IOWait is the time of rest while a disk was waited for.
	IOWait *uint64 `json:"iowait,omitzero"`
	// IRQ is the time in interrupts.
	IRQ *uint64 `json:"irq,omitzero"`
	// SoftIRQ is the time in what interrupts put off.
	SoftIRQ *uint64 `json:"softirq,omitzero"`
	// Steal is the time that the host gave to others.
	Steal *uint64 `json:"steal,omitzero"`
	// Guest is the time in guests of this guest.
	Guest *uint64 `json:"guest,omitzero"`
	// GuestNice is that in guests of low priority.
	GuestNice *uint64 `json:"guestnice,omitzero"`
}

// loadAverage is the answer to guest-get-load: how many processes were running
// or ready to, on average.
type loadAverage struct {
	// Load1m is the average of the last minute.
	Load1m float64 `json:"load1m"`
	// Load5m is the average of the last five minutes.
	Load5m float64 `json:"load5m"`
	// Load15m is the average of the last fifteen minutes.
	Load15m float64 `json:"load15m"`
}

// diskStats answers guest-get-diskstats. Counts what was read from and written
// to each disk and partition.
func (a *Agent) diskStats(context.Context, noArgs) ([]diskStatsInfo, error) {
	disks, err := a.root.DiskStats()
	if err != nil {
		return nil, fmt.Errorf(`open("/proc/diskstats"): %s`, guest.Strerror(err))
	}
	list := make([]diskStatsInfo, 0, len(disks))
	for _, d := range disks {
		list = append(list, diskStatsInfo{d.Name, d.Major, d.Minor, diskStatsOf(d.Counters)})
	}
	return list, nil
}

// diskStatsOf names the counters. Kernels have added to them: discards in
// 4.18, flushes in 5.5; before 2.6.25 partitions had but four.
func diskStatsOf(n []uint64) (s diskStats) {
	if len(n) == 4 {
		s.ReadIOs, s.ReadSectors, s.WriteIOs, s.WriteSectors = &n[0], &n[1], &n[2], &n[3]
	}
	if len(n) >= 11 {
		s.ReadIOs, s.ReadMerges, s.ReadSectors, s.ReadTicks = &n[0], &n[1], &n[2], &n[3]
		s.WriteIOs, s.WriteMerges, s.WriteSectors, s.WriteTicks = &n[4], &n[5], &n[6], &n[7]
		s.InFlight, s.TotalTicks, s.WeightTicks = &n[8], &n[9], &n[10]
	}
	if len(n) >= 15 {
		s.DiscardIOs, s.DiscardMerges, s.DiscardSectors, s.DiscardTicks = &n[11], &n[12], &n[13], &n[14]
	}
	if len(n) >= 17 {
		s.FlushIOs, s.FlushTicks = &n[15], &n[16]
	}
	return s
}

// cpuStats answers guest-get-cpustats. Tells what each CPU has spent its time at.
func (a *Agent) cpuStats(context.Context, noArgs) ([]cpuStats, error) {
	cpus, err := a.root.CPUStats()
	if err != nil {
		return nil, fmt.Errorf(`open("/proc/stat"): %s`, guest.Strerror(err))
	}
	list := make([]cpuStats, 0, len(cpus))
	for _, c := range cpus {
		t := c.Millis
		s := cpuStats{Type: "linux", CPU: c.CPU, User: t[0], Nice: t[1], System: t[2], Idle: t[3]}
		later := []**uint64{&s.IOWait, &s.IRQ, &s.SoftIRQ, &s.Steal, &s.Guest, &s.GuestNice}
		for i, member := range later[:min(len(later), len(t)-4)] {
			*member = &t[4+i]
		}
		list = append(list, s)
	}
	return list, nil
}

// loadAverage answers guest-get-load. Tells the load averages.
func (a *Agent) loadAverage(context.Context, noArgs) (loadAverage, error) {
	load, err := guest.LoadAverage()
	if err != nil {
		return loadAverage{}, fmt.Errorf("getloadavg failed: %s", guest.Strerror(err))
	}
	return loadAverage{load[0], load[1], load[2]}, nil
}
