package main

import (
	"errors"
	"os"
	"time"

	"qemu-ga/freeze/freezetest"

	"golang.org/x/sys/unix"
)

// bare freezes and thaws a single idle filesystem without any agent, under
// expedited RCU, and takes down how long writers waited.
func (s *stalls) bare(w *writers, dirs []string) error {
	if len(dirs) != 1 || s.dirty > 0 {
		return nil
	}
	dir, err := os.Open(dirs[0])
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	knob, err := os.OpenFile("/sys/kernel/rcu_expedited", os.O_WRONLY, 0)
	if err != nil {
		return nil // no such kernel: nothing to compare with
	}
	defer func() { _ = knob.Close() }()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return err
	}
	if _, err := w.worst(); err != nil {
		return err
	}
	if _, err := knob.WriteString("1"); err != nil {
		return err
	}
	fd := int(dir.Fd())
	err = errors.Join(freezetest.FreezeFD(fd), freezetest.ThawFD(fd))
	if _, kerr := knob.WriteString("0"); kerr != nil || err != nil {
		return errors.Join(err, kerr)
	}
	worst, err := w.worst()
	s.floor = append(s.floor, float64(worst)/float64(time.Millisecond))
	return err
}
