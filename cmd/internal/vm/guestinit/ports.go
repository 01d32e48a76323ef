package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// portDir is where udev links the ports by their names.
const portDir = "/dev/virtio-ports"

// ports keeps portDir in step with the kernel's ports.
type ports struct {
	uevents int
}

// watchPorts links the ports there are and subscribes to changes.
func watchPorts() (*ports, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := os.MkdirAll(portDir, 0o755); err != nil {
		return nil, err
	}
	p := &ports{uevents: fd}
	return p, p.link()
}

// keep links and unlinks ports as they come and go.
func (p *ports) keep() {
	buffer := make([]byte, 8192)
	for {
		_, _, err := unix.Recvfrom(p.uevents, buffer, 0)
		// ENOBUFS only means that events were lost, which a look cures too.
		if err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		_ = p.link()
	}
}

// findPort returns the device file of the port with a name, "" if there is none.
func findPort(name string) (string, error) {
	devices, err := filepath.Glob("/sys/class/virtio-ports/*")
	for _, device := range devices {
		is, err := os.ReadFile(filepath.Join(device, "name"))
		if err == nil && strings.TrimSpace(string(is)) == name {
			return filepath.Join("/dev", filepath.Base(device)), nil
		}
	}
	return "", err
}

func (p *ports) link() error {
	devices, err := filepath.Glob("/sys/class/virtio-ports/*")
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, device := range devices {
		name, err := os.ReadFile(filepath.Join(device, "name"))
		if err != nil {
			continue // a console has no name; an unplugged port is gone
		}
		link := filepath.Join(portDir, strings.TrimSpace(string(name)))
		target := filepath.Join("..", filepath.Base(device))
		wanted[link] = true
		if old, err := os.Readlink(link); err == nil && old == target {
			continue
		}
		_ = os.Remove(link)
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	links, err := filepath.Glob(portDir + "/*")
	for _, link := range links {
		if wanted[link] {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}
