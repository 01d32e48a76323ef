package freezetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// diskName is the name that the program is started by to be a Disk's server.
const diskName = "freezetest-disk"

// The orders to a Disk's server, one byte each, and its answer.
const (
	diskHang   = 'h'
	diskResume = 'r'
	diskSlow   = 's' // and the milliseconds for each write, in another byte
	diskDone   = 'k'
)

// Disk is a disk that hangs, or is slow, when it is told to: a loop device over a FUSE
// file. Its server is a process of its own, as whoever waits for a hung disk
// cannot be killed, and could not bring the disk back either.
type Disk struct {
	server *exec.Cmd
	orders io.WriteCloser
	answer *bufio.Reader
}

// MountOnDisk is Mount on a disk that can hang. Unmount undoes it, and Close
// then ends the disk.
func MountOnDisk(f FS) (*Disk, error) {
	f, image, err := makeImage(f)
	if err != nil {
		return nil, err
	}
	_ = image.Close()
	point := f.Image + ".fuse"
	if err := os.WriteFile(point, nil, 0o600); err != nil {
		return nil, err
	}
	d, err := startDisk(f.Image, point)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(point, os.O_RDWR, 0)
	if err == nil {
		// The loop device holds the file; nobody needs its name.
		err = errors.Join(unix.Unmount(point, unix.MNT_DETACH), attach(f, file), file.Close())
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func startDisk(image, point string) (*Disk, error) {
	d := &Disk{server: exec.Command("/proc/self/exe", image, point)}
	d.server.Args[0] = diskName
	d.server.Stderr = os.Stderr
	// A signal to the test's process group is not meant for it.
	d.server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var err error
	if d.orders, err = d.server.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.answer = bufio.NewReader(out)
	if err := d.server.Start(); err != nil {
		return nil, err
	}
	if err := d.wait(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Hang makes the disk stop: what is asked of it from now on waits.
func (d *Disk) Hang() error { return d.order(diskHang) }

// Resume makes it go on, with what it was asked meanwhile first.
func (d *Disk) Resume() error { return d.order(diskResume) }

// Slow makes every write and flush take pause, one after the other: whole
// milliseconds, at most 255.
func (d *Disk) Slow(pause time.Duration) error {
	return d.order(diskSlow, byte(pause/time.Millisecond))
}

// Close ends the disk. What still waits for it fails with EIO.
func (d *Disk) Close() error {
	_ = d.server.Process.Kill()
	_ = d.server.Wait() // it was killed
	return nil
}

func (d *Disk) order(what ...byte) error {
	if _, err := d.orders.Write(what); err != nil {
		return err
	}
	return d.wait()
}

func (d *Disk) wait() error {
	answer, err := d.answer.ReadByte()
	if err != nil || answer != diskDone {
		return fmt.Errorf("the disk's server has ended: %w", err)
	}
	return nil
}

// serveDisk is the main function of a Disk's server. It returns the exit
// status.
func serveDisk(imagePath, point string) int {
	image, err := os.OpenFile(imagePath, os.O_RDWR, 0)
	if err != nil {
		return 1
	}
	file, err := mountFuse(image, point)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		for orders := bufio.NewReader(os.Stdin); ; {
			_, _ = os.Stdout.Write([]byte{diskDone})
			order, err := orders.ReadByte()
			if err != nil {
				os.Exit(0)
			}
			if order != diskSlow {
				file.hang(order == diskHang)
				continue
			}
			ms, err := orders.ReadByte()
			if err != nil {
				os.Exit(0)
			}
			file.slow(time.Duration(ms) * time.Millisecond)
		}
	}()
	if err := file.serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
