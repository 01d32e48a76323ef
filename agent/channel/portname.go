package channel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// nodePrefix is what the kernel calls the devices of virtio-serial ports.
const nodePrefix = "vport"

// portDirs are the directories that have virtio-serial ports.
type portDirs struct {
	links   string // udev's, by the ports' names
	class   string // the kernel's list
	devices string
}

var systemPorts = portDirs{links: "/dev/virtio-ports", class: "/sys/class/virtio-ports", devices: "/dev"}

// open opens the device of a serial channel. A guest without udev may have
// nobody who makes the links by the ports' names: there the kernel's list says
// which device it is.
func (cfg Config) open() (*device, error) {
	dev, err := openDevice(cfg.Method, cfg.Path)
	if !errors.Is(err, unix.ENOENT) || !cfg.byName() {
		return dev, err
	}
	if node, _ := cfg.ports.find(filepath.Base(cfg.Path)); node != "" {
		return openDevice(cfg.Method, node)
	}
	return nil, err
}

// byName tells whether the path is a port's name.
func (cfg Config) byName() bool {
	return cfg.Method == VirtioSerial && filepath.Dir(cfg.Path) == cfg.ports.links
}

// nameless tells whether the port may be there, without its name as yet.
func (cfg Config) nameless() bool {
	if !cfg.byName() {
		return false
	}
	_, nameless := cfg.ports.find(filepath.Base(cfg.Path))
	return nameless
}

// find returns the device of the port with a name, "" if there is none.
// nameless says that a port has no name: consoles have none, and every port is
// given its own only after it has come.
func (p portDirs) find(name string) (node string, nameless bool) {
	ports, _ := os.ReadDir(p.class) // one that is missing has no port
	for _, port := range ports {
		is, err := os.ReadFile(filepath.Join(p.class, port.Name(), "name"))
		if errors.Is(err, unix.ENOENT) {
			nameless = true
		}
		if err == nil && strings.TrimSpace(string(is)) == name {
			return filepath.Join(p.devices, port.Name()), false
		}
	}
	return "", nameless
}
