package agent

import (
	"context"
	"fmt"

	"qemu-ga/agent/guest"
)

// diskInfo is a member of the answer to guest-get-disks.
type diskInfo struct {
	// Name is the device node: "/dev/vda".
	Name string `json:"name"`
	// Partition tells a partition from a disk.
	Partition bool `json:"partition"`
	// Dependencies are the device nodes that it lies on.
	Dependencies *[]string `json:"dependencies,omitzero"`
	// Address is where a disk is plugged in; missing for partitions and for
	// devices that are no hardware.
	Address *diskAddress `json:"address,omitzero"`
	// Alias is device-mapper's name for it.
	Alias string `json:"alias,omitzero"`
	// Smart is what an NVMe disk tells of its health.
	Smart *diskSmart `json:"smart,omitzero"`
}

// diskSmart is what a disk tells of its health. Counters of 128 bits come as
// a low and a high half.
type diskSmart struct {
	// Type is "nvme".
	Type string `json:"type"`
	// CriticalWarning has a bit for each warning.
	CriticalWarning int64 `json:"critical-warning"`
	// Temperature is in kelvin.
	Temperature int64 `json:"temperature"`
	// AvailableSpare is the spare capacity left, in percent.
	AvailableSpare int64 `json:"available-spare"`
	// AvailableSpareThreshold is where it becomes too little.
	AvailableSpareThreshold int64 `json:"available-spare-threshold"`
	// PercentageUsed is how much of the disk's life is over.
	PercentageUsed int64 `json:"percentage-used"`
	// DataUnitsReadLo counts thousands of 512-byte units.
	DataUnitsReadLo uint64 `json:"data-units-read-lo"`
	// DataUnitsReadHi is its high half.
	DataUnitsReadHi uint64 `json:"data-units-read-hi"`
	// DataUnitsWrittenLo counts the same.
	DataUnitsWrittenLo uint64 `json:"data-units-written-lo"`
	// DataUnitsWrittenHi is its high half.
	DataUnitsWrittenHi uint64 `json:"data-units-written-hi"`
	// HostReadCommandsLo counts reads.
	HostReadCommandsLo uint64 `json:"host-read-commands-lo"`
	// HostReadCommandsHi is its high half.
	HostReadCommandsHi uint64 `json:"host-read-commands-hi"`
	// HostWriteCommandsLo counts writes.
	HostWriteCommandsLo uint64 `json:"host-write-commands-lo"`
	// HostWriteCommandsHi is its high half.
	HostWriteCommandsHi uint64 `json:"host-write-commands-hi"`
	// ControllerBusyTimeLo is in minutes.
	ControllerBusyTimeLo uint64 `json:"controller-busy-time-lo"`
	// ControllerBusyTimeHi is its high half.
	ControllerBusyTimeHi uint64 `json:"controller-busy-time-hi"`
	// PowerCyclesLo counts how often it was switched on.
	PowerCyclesLo uint64 `json:"power-cycles-lo"`
	// PowerCyclesHi is its high half.
	PowerCyclesHi uint64 `json:"power-cycles-hi"`
	// PowerOnHoursLo is for how long it was.
	PowerOnHoursLo uint64 `json:"power-on-hours-lo"`
	// PowerOnHoursHi is its high half.
	PowerOnHoursHi uint64 `json:"power-on-hours-hi"`
	// UnsafeShutdownsLo counts losses of power.
	UnsafeShutdownsLo uint64 `json:"unsafe-shutdowns-lo"`
	// UnsafeShutdownsHi is its high half.
	UnsafeShutdownsHi uint64 `json:"unsafe-shutdowns-hi"`
	// MediaErrorsLo counts data that could not be recovered.
	MediaErrorsLo uint64 `json:"media-errors-lo"`
	// MediaErrorsHi is its high half.
	MediaErrorsHi uint64 `json:"media-errors-hi"`
	// ErrorLogEntriesLo counts entries of the disk's error log.
	ErrorLogEntriesLo uint64 `json:"number-of-error-log-entries-lo"`
	// ErrorLogEntriesHi is its high half.
	ErrorLogEntriesHi uint64 `json:"number-of-error-log-entries-hi"`
}

// disks answers guest-get-disks. Lists the disks that have a size, each with
// its partitions behind it, and devices that are made of others, such as
// logical volumes.
func (a *Agent) disks(context.Context, noArgs) ([]diskInfo, error) {
	devices, err := a.root.BlockDevices()
	if err != nil {
		return nil, fmt.Errorf(`Can't open directory "/sys/block/": %s`, guest.Strerror(err)) //nolint:staticcheck // QEMU's words
	}
	list := make([]diskInfo, 0, len(devices))
	for _, d := range devices {
		info := diskInfo{Name: d.Node, Partition: d.Partition, Alias: d.Alias}
		if d.Below != nil {
			info.Dependencies = &d.Below
		}
		if d.Disk != nil {
			address := addressOf(*d.Disk)
			info.Address = &address
			if d.Disk.BusType == guest.BusNVMe {
				info.Smart = smartOf(a.root.NVMeHealth(d.Node))
			}
		}
		list = append(list, info)
	}
	return list, nil
}

func smartOf(h *guest.NVMeHealth) *diskSmart {
	if h == nil {
		return nil
	}
	return &diskSmart{
		Type:            "nvme",
		CriticalWarning: int64(h.CriticalWarning), Temperature: int64(h.Kelvin),
		AvailableSpare: int64(h.Spare), AvailableSpareThreshold: int64(h.SpareThreshold),
		PercentageUsed:  int64(h.PercentUsed),
		DataUnitsReadLo: h.DataUnitsRead.Lo, DataUnitsReadHi: h.DataUnitsRead.Hi,
		DataUnitsWrittenLo: h.DataUnitsWritten.Lo, DataUnitsWrittenHi: h.DataUnitsWritten.Hi,
		HostReadCommandsLo: h.HostReads.Lo, HostReadCommandsHi: h.HostReads.Hi,
		HostWriteCommandsLo: h.HostWrites.Lo, HostWriteCommandsHi: h.HostWrites.Hi,
		ControllerBusyTimeLo: h.BusyMinutes.Lo, ControllerBusyTimeHi: h.BusyMinutes.Hi,
		PowerCyclesLo: h.PowerCycles.Lo, PowerCyclesHi: h.PowerCycles.Hi,
		PowerOnHoursLo: h.PowerOnHours.Lo, PowerOnHoursHi: h.PowerOnHours.Hi,
		UnsafeShutdownsLo: h.UnsafeShutdowns.Lo, UnsafeShutdownsHi: h.UnsafeShutdowns.Hi,
		MediaErrorsLo: h.MediaErrors.Lo, MediaErrorsHi: h.MediaErrors.Hi,
		ErrorLogEntriesLo: h.ErrorLogEntries.Lo, ErrorLogEntriesHi: h.ErrorLogEntries.Hi,
	}
}
