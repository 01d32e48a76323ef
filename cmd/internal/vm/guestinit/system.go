package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"qemu-ga/cmd/internal/vm/control"
)

const (
	// newRoot is where the system is mounted until it takes over.
	newRoot = "/newroot"
	// daemonPath is the daemon's program: in memory, so that nothing it needs
	// can be frozen.
	daemonPath = "/run/guestinit"
	// installed is the mark of a system that has got its files.
	installed = "/var/lib/guestinit.installed"
)

// enter mounts the system on the disk with a serial number, starts the daemon
// as a process of that system, and becomes the system's own init.
func enter(serial string) error {
	disk, err := findDisk(control.Disk{Serial: serial, TimeoutMS: 10_000})
	if err != nil {
		return err
	}
	if err := os.Mkdir(newRoot, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(disk.Path, newRoot, "ext4", 0, ""); err != nil {
		return fmt.Errorf("cannot mount %s: %w", disk.Path, err)
	}
	if err := install(); err != nil {
		return err
	}
	if err := keepProgram(); err != nil {
		return err
	}
	if err := unix.Unmount("/tmp", 0); err != nil {
		return err
	}
	for _, dir := range []string{"/proc", "/sys", "/dev", "/run"} {
		if err := unix.Mount(dir, newRoot+dir, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("cannot move %s: %w", dir, err)
		}
	}
	if err := changeRoot(); err != nil {
		return err
	}
	return becomeInit([]string{"/sbin/init"})
}

// handOver starts the daemon beside an init of the initramfs, and becomes that
// init.
func handOver(init []string) error {
	if err := keepProgram(); err != nil {
		return err
	}
	return becomeInit(init)
}

// keepProgram puts the daemon's program where it stays.
func keepProgram() error {
	return copyFile("/init", daemonPath, 0o755)
}

// becomeInit starts the daemon and becomes another init.
func becomeInit(argv []string) error {
	if err := startDaemon(); err != nil {
		return err
	}
	return unix.Exec(argv[0], argv, []string{"TERM=linux"})
}

// changeRoot makes newRoot the root, as switch_root(8) does.
func changeRoot() error {
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("cannot move the new root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

// startDaemon starts this program once more. It becomes a child of the
// system's init, which knows nothing of it.
func startDaemon() error {
	console, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = os.StartProcess(daemonPath, []string{control.Daemon}, &os.ProcAttr{
		Env:   []string{"PATH=" + programPath, "HOME=/root", "LANG=C.UTF-8"},
		Files: []*os.File{nil, console, console},
	})
	return errors.Join(err, console.Close())
}

// daemon answers calls in a system with an init of its own. It waits for the
// port itself, without the help of the system's udev.
func daemon() error {
	for {
		port, err := findPort(control.Port)
		if err != nil {
			return err
		}
		if port != "" {
			return newServer().serve(port)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// install puts the host's files into a system that boots for the first time.
func install() error {
	if _, err := os.Lstat(newRoot + installed); err == nil {
		return nil
	}
	err := filepath.WalkDir(control.Files, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == control.Files {
			return nil // there are none
		}
		if err != nil {
			return err
		}
		target := newRoot + path[len(control.Files):]
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			return copyLink(path, target)
		default:
			return copyEntry(path, target, d)
		}
	})
	if err != nil {
		return err
	}
	return os.WriteFile(newRoot+installed, nil, 0o644)
}

func copyLink(source, target string) error {
	points, err := os.Readlink(source)
	if err != nil {
		return err
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(points, target)
}

func copyEntry(source, target string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	return copyFile(source, target, info.Mode().Perm())
}

func copyFile(source, target string, mode fs.FileMode) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Chmod(mode), to.Close())
}
