package freezetest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// loopMajor is the device number of loop devices, the only disks of a ground.
const loopMajor = 7

// build makes the ground and steps into it.
func build(cfg Config) error {
	work, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make the mounts private: %w", err)
	}
	newRoot, err := place(work)
	if err != nil {
		return err
	}
	if err := unix.Mount("ground", newRoot, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("cannot mount a tmpfs: %w", err)
	}
	// Before anything is copied, as what is copied may lie below one of them.
	for _, dir := range []string{"run", "tmp", "dev"} {
		if err := mountKernel("tmpfs", filepath.Join(newRoot, dir)); err != nil {
			return err
		}
	}
	if err := furnish(cfg, work, newRoot); err != nil {
		return err
	}
	old := filepath.Join(newRoot, "old")
	if err := os.MkdirAll(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(newRoot, old); err != nil {
		return fmt.Errorf("cannot change the root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := kernelFilesystems(); err != nil {
		return err
	}
	if err := unix.Unmount("/old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot detach the old root: %w", err)
	}
	if err := os.Remove("/old"); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	if err := os.Chdir(work); err != nil {
		return err
	}
	return onlyLoops()
}

// place chooses the directory that the ground is mounted on, of those that
// every Debian has: none that hides what is to be copied.
func place(work string) (string, error) {
	for _, dir := range []string{"/mnt", "/media", "/srv", "/opt"} {
		if exists(dir) && !strings.HasPrefix(work, dir+"/") {
			return dir, nil
		}
	}
	return "", errors.New("no directory to mount it on: make /mnt")
}

// mountKernel mounts a filesystem that needs no device.
func mountKernel(fsType, point string) error {
	if err := os.MkdirAll(point, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(fsType, point, fsType, 0, ""); err != nil {
		return fmt.Errorf("cannot mount %s: %w", point, err)
	}
	return nil
}

// kernelFilesystems mounts the ground's own /proc and /sys and makes the
// device nodes; none of a disk.
func kernelFilesystems() error {
	for point, fsType := range map[string]string{"/proc": "proc", "/sys": "sysfs"} {
		if err := mountKernel(fsType, point); err != nil {
			return err
		}
	}
	for name, dev := range map[string][2]uint32{
		"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "kmsg": {1, 11},
		"tty": {5, 0}, "ptmx": {5, 2}, "loop-control": {10, 237}, "fuse": {10, 229},
	} {
		if err := unix.Mknod("/dev/"+name, unix.S_IFCHR|0o666, int(unix.Mkdev(dev[0], dev[1]))); err != nil {
			return fmt.Errorf("cannot make /dev/%s: %w", name, err)
		}
	}
	return nil
}

// onlyLoops makes sure of what the whole package is for.
func onlyLoops() error {
	mounts, err := mountinfo.Read("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if m.Dev.Major != 0 && m.Dev.Major != loopMajor {
			return fmt.Errorf("the ground has a way to a real disk: %s at %s", m.Source, m.Point)
		}
	}
	return nil
}

// furnish copies into the ground what has to be there: the program itself,
// its testdata, the tools with their libraries, and what cfg names.
func furnish(cfg Config, work, newRoot string) error {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := copyTree(self, filepath.Join(newRoot, "self")); err != nil {
		return err
	}
	if data := filepath.Join(work, "testdata"); exists(data) {
		if err := copyTree(data, filepath.Join(newRoot, data)); err != nil {
			return err
		}
	}
	for _, tool := range Tools {
		if err := copyTool(tool, newRoot); err != nil {
			return err
		}
	}
	for from, to := range cfg.Files {
		if err := copyTree(from, filepath.Join(newRoot, to)); err != nil {
			return err
		}
	}
	for _, applet := range []string{"sh", "cat", "sleep", "echo", "true", "false", "mkdir", "rm", "ls", "dd", "mount", "umount", "ip", "touch", "kill"} {
		if err := os.Symlink("busybox", filepath.Join(newRoot, "bin", applet)); err != nil {
			return err
		}
	}
	return nil
}

// copyTool copies a program into /bin and its libraries to where they are
// looked for.
func copyTool(name, newRoot string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	if err := copyTree(path, filepath.Join(newRoot, "bin", name)); err != nil {
		return err
	}
	// A static program has none, and ldd says so by failing.
	libraries, _ := exec.Command("ldd", path).Output()
	for word := range strings.FieldsSeq(string(libraries)) {
		if strings.HasPrefix(word, "/") && !exists(filepath.Join(newRoot, word)) {
			if err := copyTree(word, filepath.Join(newRoot, word)); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyTree copies a file or a directory. A link is followed if it is what is
// to be copied, and copied as a link below.
func copyTree(from, to string) error {
	from = resolved(from)
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case entry.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		default:
			return copyFile(path, target)
		}
	})
}

func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
