// Command guestinit is process 1 of a test guest. It mounts what a program
// expects, loads the kernel modules it was given, keeps /dev/virtio-ports as
// udev would, and then does what the host asks for. It lives in memory and
// touches no disk of its own accord, so it stays alive whatever is frozen.
//
// In a guest with an init of its own, of a system on a disk or in the initramfs,
// it is process 1 only until that can take over; then it goes on as a daemon
// beside it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"qemu-ga/cmd/internal/vm/control"
)

// programPath is where programs are found.
const programPath = "/usr/sbin:/usr/bin:/sbin:/bin"

func main() {
	if os.Args[0] == control.Daemon {
		fmt.Fprintln(os.Stderr, "guestinit:", daemon())
		os.Exit(1)
	}
	if err := boot(); err != nil {
		fmt.Fprintln(os.Stderr, "guestinit:", err)
		// The host sees the end of the guest at once, not a time-out.
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
}

func boot() error {
	if err := prepare(); err != nil {
		return err
	}
	data, err := os.ReadFile(control.Boot)
	if err != nil {
		return err
	}
	var config control.BootConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("%s: %w", control.Boot, err)
	}
	for _, module := range config.Modules {
		if err := load(module); err != nil {
			return err
		}
	}
	if config.Root != "" {
		return enter(config.Root)
	}
	if len(config.Init) > 0 {
		return handOver(config.Init)
	}
	ports, err := watchPorts()
	if err != nil {
		return err
	}
	go ports.keep()
	go reapOrphans()
	return newServer().serve(filepath.Join(portDir, control.Port))
}

// prepare gives programs what they take for granted.
func prepare() error {
	for _, m := range []struct{ fstype, target, data string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devtmpfs", "/dev", ""},
		{"tmpfs", "/run", "mode=755"},
		{"tmpfs", "/tmp", ""},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fstype, m.target, m.fstype, 0, m.data); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.target, err)
		}
	}
	// What every distribution's init does: descriptors by their usual names.
	for name, target := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, name); err != nil {
			return err
		}
	}
	if err := unix.Sethostname([]byte("scratch")); err != nil {
		return err
	}
	return os.Setenv("PATH", programPath)
}

func load(module string) error {
	file, err := os.Open(module)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	err = unix.FinitModule(int(file.Fd()), "", 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot load %s: %w", module, err)
	}
	return nil
}
