package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setCapabilities makes set the effective and permitted capabilities of every
// thread, and leaves none to be inherited.
func setCapabilities(header unix.CapUserHeader, set uint64) error {
	header.Pid = 0 // each thread means itself
	data := [2]unix.CapUserData{
		{Effective: uint32(set), Permitted: uint32(set)},
		{Effective: uint32(set >> 32), Permitted: uint32(set >> 32)},
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return fmt.Errorf("cannot give up capabilities: capset: %w", errno)
	}
	return nil
}
