package main

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// addInterfaces makes network interfaces with an address each, in the
// ground's own network namespace. They last as long as the namespace.
func addInterfaces(count int) error {
	const node = "/dev/net/tun"
	if err := os.MkdirAll("/dev/net", 0o755); err != nil {
		return err
	}
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 200))); err != nil {
		return err
	}
	control, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(control) }()
	for i := range count {
		if err := addInterface(node, control, i); err != nil {
			return fmt.Errorf("cannot make an interface: %w", err)
		}
	}
	return nil
}

func addInterface(node string, control, i int) error {
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	r, err := unix.NewIfreq(fmt.Sprintf("bench%d", i))
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		return err
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		return err
	}
	address := binary.BigEndian.AppendUint32(nil, 10<<24+uint32(i)<<8+1)
	if err := r.SetInet4Addr(address); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(control, unix.SIOCSIFADDR, r); err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(control, unix.SIOCSIFFLAGS, r)
}
