package guest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// CPU is a logical processor of the guest.
type CPU struct {
	Number int
	Online bool
	// CanOffline tells whether the kernel can take it offline.
	CanOffline bool
}

const cpuDir = "/sys/devices/system/cpu"

// CPUs lists the guest's processors by their numbers.
func (r Root) CPUs() ([]CPU, error) {
	numbers, err := r.numberedDirs(cpuDir, "cpu")
	if err != nil {
		return nil, fmt.Errorf("cannot list the processors: %s", Strerror(err))
	}
	var list []CPU
	for _, n := range numbers {
		switch cpu, err := r.CPU(int64(n)); {
		case err == nil:
			list = append(list, cpu)
		case !errors.Is(err, fs.ErrNotExist): // unplugged meanwhile
			return nil, err
		}
	}
	return list, nil
}

// CPU returns the state of one processor.
func (r Root) CPU(number int64) (CPU, error) {
	dir := cpuDir + "/cpu" + strconv.FormatInt(number, 10)
	cpu := CPU{Number: int(number), Online: true}
	state, err := r.firstLine(dir + "/online")
	switch {
	case err == nil:
		cpu.CanOffline, cpu.Online = true, state[0] != '0'
		return cpu, nil
	case !errors.Is(err, fs.ErrNotExist):
		failed := &os.PathError{Op: "read", Path: dir + "/online", Err: io.ErrUnexpectedEOF}
		if system, ok := errors.AsType[*os.PathError](err); ok {
			failed.Op, failed.Err = system.Op, system.Err
		}
		return CPU{}, failed
	}
	// The kernel gives the processor that it cannot do without no switch.
	if err := unix.Access(r.Path(dir), unix.F_OK); err != nil {
		return CPU{}, &os.PathError{Op: "access", Path: dir, Err: err}
	}
	return cpu, nil
}

// SetCPU takes a processor on- or offline. Nothing is written if it is so
// already. What the system refuses is an os.PathError with the guest's name of
// the file, and access, open, read or write for its Op.
func (r Root) SetCPU(number int64, online bool) error {
	cpu, err := r.CPU(number)
	if err != nil || cpu.Online == online {
		return err
	}
	if !cpu.CanOffline {
		return fmt.Errorf("logical processor #%d can't be offlined", number)
	}
	state := "0"
	if online {
		state = "1"
	}
	return r.writeFile(cpuDir+"/cpu"+strconv.FormatInt(number, 10)+"/online", state)
}

// numberedDirs returns the numbers of the entries of dir that are called like
// cpu7, in order.
func (r Root) numberedDirs(dir, prefix string) ([]int, error) {
	entries, err := r.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []int
	for _, e := range entries {
		if n, ok := numbered(e.Name(), prefix); ok {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, nil
}

// writeFile writes to a file of /sys or /proc, in one piece.
func (r Root) writeFile(name, text string) error {
	fd, err := unix.Open(r.Path(name), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	n, err := unix.Write(fd, []byte(text))
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}
