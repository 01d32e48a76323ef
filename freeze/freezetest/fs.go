package freezetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// The two ioctls by which a test looks at a filesystem from outside the code
// under test.
const (
	fifreeze = 0xc0045877
	fithaw   = 0xc0045878
)

// FS is a filesystem to be made.
type FS struct {
	// Type is ext4, xfs, btrfs or vfat.
	Type string
	// Dir is where to mount it; it is made if it is not there.
	Dir string
	// Image is the file below it, on a tmpfs unless the path says otherwise;
	// "" is a new one.
	Image string
	// Size in bytes; zero is the least that its type does well with.
	Size int64
	// Flags and Options are those of mount(2).
	Flags   uintptr
	Options string
}

// sizes are what the mkfs programs accept; files are sparse.
var sizes = map[string]int64{"ext4": 64 << 20, "xfs": 320 << 20, "btrfs": 192 << 20, "vfat": 32 << 20}

var images atomic.Int64

// Mount makes a filesystem on a loop device and mounts it. Unmount undoes it.
func Mount(f FS) error {
	f, image, err := makeImage(f)
	if err != nil {
		return err
	}
	defer func() { _ = image.Close() }()
	return attach(f, image)
}

// makeImage makes the file with the filesystem, and fills in what f leaves
// out.
func makeImage(f FS) (FS, *os.File, error) {
	if !Inside() {
		return f, nil, errors.New("not in a freezing ground")
	}
	if f.Image == "" {
		f.Image = fmt.Sprintf("/image-%d", images.Add(1))
	}
	if f.Size == 0 {
		f.Size = sizes[f.Type]
	}
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return f, nil, err
	}
	image, err := os.OpenFile(f.Image, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return f, nil, err
	}
	if err := image.Truncate(f.Size); err != nil {
		return f, nil, errors.Join(err, image.Close())
	}
	if out, err := exec.Command("mkfs."+f.Type, f.Image).CombinedOutput(); err != nil {
		return f, nil, errors.Join(fmt.Errorf("cannot make %s: %w: %s", f.Type, err, out), image.Close())
	}
	return f, image, nil
}

// attach mounts the filesystem in image.
func attach(f FS, image *os.File) error {
	device, loop, err := Loop(image)
	if err != nil {
		return err
	}
	// The loop device clears itself once the mount, its last user, is gone.
	defer func() { _ = loop.Close() }()
	if err := unix.Mount(device, f.Dir, f.Type, f.Flags, f.Options); err != nil {
		return fmt.Errorf("cannot mount %s: %w", f.Dir, err)
	}
	return nil
}

// Loop puts a loop device over image, with a node below /dev.
func Loop(image *os.File) (device string, loop *os.File, err error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = control.Close() }()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", nil, fmt.Errorf("cannot find a free loop device: %w", err)
		}
		device = fmt.Sprintf("/dev/loop%d", n)
		err = unix.Mknod(device, unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(n))))
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return "", nil, err
		}
		loop, err = os.OpenFile(device, os.O_RDWR, 0)
		if err != nil {
			return "", nil, err
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{
			Fd: uint32(image.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR, File_name: name(image.Name())},
		})
		if err == nil {
			return device, loop, nil
		}
		_ = loop.Close()
		if !errors.Is(err, unix.EBUSY) { // somebody else was faster
			return "", nil, fmt.Errorf("cannot set up %s: %w", device, err)
		}
	}
}

func name(path string) (field [64]uint8) {
	copy(field[:63], path)
	return field
}

// Unmount thaws and unmounts what is at dir, if anything is, at once even if
// it is in use.
func Unmount(dir string) error {
	for Thaw(dir) == nil {
	}
	err := unix.Unmount(dir, unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // nothing is mounted there
	}
	return err
}

// Freeze freezes the filesystem at dir behind the back of the code under
// test; Thaw thaws it, with EINVAL when it is not frozen.
func Freeze(dir string) error { return ioctl(dir, fifreeze) }

// Thaw is the opposite of Freeze.
func Thaw(dir string) error { return ioctl(dir, fithaw) }

// FreezeFD and ThawFD are Freeze and Thaw by an open file or directory.
func FreezeFD(fd int) error { return unix.IoctlSetInt(fd, fifreeze, 0) }

// ThawFD is the opposite of FreezeFD.
func ThawFD(fd int) error { return unix.IoctlSetInt(fd, fithaw, 0) }

func ioctl(dir string, request uint) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.IoctlSetInt(fd, request, 0)
}

var probes atomic.Int64

// Writable tells whether the filesystem at dir takes a write within limit:
// the only test of a freeze that does not ask whoever did it. A write that
// waits goes on waiting after the answer and ends with the thaw.
func Writable(dir string, limit time.Duration) bool {
	wrote := make(chan error, 1)
	go func() {
		path := filepath.Join(dir, fmt.Sprintf(".probe-%d", probes.Add(1)))
		err := os.WriteFile(path, []byte("x"), 0o600)
		if err == nil {
			err = os.Remove(path)
		}
		wrote <- err
	}()
	select {
	case err := <-wrote:
		return err == nil
	case <-time.After(limit):
		return false
	}
}

// clearUp thaws and unmounts every filesystem of the ground, so that no loop
// device and no frozen superblock outlives it. First every process is killed:
// whoever waits for a hung disk comes back when the disk's server is gone.
func clearUp() {
	_ = unix.Kill(-1, unix.SIGKILL)
	mounts, err := mountinfo.Read("/proc/self/mountinfo")
	if err != nil {
		return
	}
	for _, m := range mounts {
		if m.Dev.Major == loopMajor || m.FSType == "btrfs" {
			for Thaw(m.Point) == nil {
			}
		}
	}
	for _, m := range slices.Backward(mounts) {
		_ = unix.Unmount(m.Point, unix.MNT_DETACH)
	}
}
