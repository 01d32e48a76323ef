package guest

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NVMeHealth is an NVMe disk's SMART / Health Information log page.
type NVMeHealth struct {
	CriticalWarning, Spare, SpareThreshold, PercentUsed uint8
	Kelvin                                              uint16

	DataUnitsRead, DataUnitsWritten, HostReads, HostWrites Count128
	BusyMinutes, PowerCycles, PowerOnHours                 Count128
	UnsafeShutdowns, MediaErrors, ErrorLogEntries          Count128
}

// Count128 is a counter of 128 bits.
type Count128 struct{ Lo, Hi uint64 }

const (
	// nvmeAdminCmd is the ioctl NVME_IOCTL_ADMIN_CMD of linux/nvme_ioctl.h.
	nvmeAdminCmd = 0xc0484e41
	// getLogPage is the admin command, healthLog the page, of healthSize bytes.
	getLogPage = 0x02
	healthLog  = 0x02
	healthSize = 512
	// keepEvent leaves the event that says of a change to who waits for it: to
	// read the page takes it away otherwise.
	keepEvent = 1 << 15
	// allNamespaces asks for the whole controller's log.
	allNamespaces = 0xffffffff
	// nvmeLimit is how long the disk may take, in milliseconds.
	nvmeLimit = 1000
)

// nvmePassthruCmd is struct nvme_passthru_cmd of linux/nvme_ioctl.h.
type nvmePassthruCmd struct {
	opcode, flags                            uint8
	_                                        uint16
	nsid, cdw2, cdw3                         uint32
	metadata, addr                           uint64
	metadataLen, dataLen                     uint32
	cdw10, cdw11, cdw12, cdw13, cdw14, cdw15 uint32
	timeoutMillis, result                    uint32
}

// NVMeHealth asks the NVMe disk with a device node for its health, nil if it
// does not tell.
func (r Root) NVMeHealth(node string) *NVMeHealth {
	fd, err := unix.Open(r.Path(node), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	page := make([]byte, healthSize)
	var pin runtime.Pinner // the kernel gets the address as a number
	pin.Pin(&page[0])
	defer pin.Unpin()
	command := healthCommand()
	command.addr = uint64(uintptr(unsafe.Pointer(&page[0])))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), nvmeAdminCmd, uintptr(unsafe.Pointer(&command)))
	if errno != 0 {
		return nil
	}
	return parseHealth(page)
}

// healthCommand asks for the page; where it goes is yet to be said.
func healthCommand() nvmePassthruCmd {
	return nvmePassthruCmd{
		opcode: getLogPage, nsid: allNamespaces, dataLen: healthSize,
		// The page, and its length in words of 4 bytes less one.
		cdw10:         healthLog | keepEvent | (healthSize/4-1)<<16,
		timeoutMillis: nvmeLimit,
	}
}

// parseHealth reads the log page of the NVM Express specification: warning 1,
// temperature 2, spare 1, threshold 1, used 1, then from byte 32 counters of
// 16 bytes each. All is little-endian.
func parseHealth(page []byte) *NVMeHealth {
	if len(page) < healthSize {
		return nil
	}
	counter := func(i int) Count128 {
		at := page[32+16*i:]
		return Count128{Lo: binary.LittleEndian.Uint64(at), Hi: binary.LittleEndian.Uint64(at[8:])}
	}
	return &NVMeHealth{
		CriticalWarning: page[0], Kelvin: binary.LittleEndian.Uint16(page[1:]),
		Spare: page[3], SpareThreshold: page[4], PercentUsed: page[5],
		DataUnitsRead: counter(0), DataUnitsWritten: counter(1), HostReads: counter(2), HostWrites: counter(3),
		BusyMinutes: counter(4), PowerCycles: counter(5), PowerOnHours: counter(6),
		UnsafeShutdowns: counter(7), MediaErrors: counter(8), ErrorLogEntries: counter(9),
	}
}
