package main

import (
	"errors"
	"os"
	"time"

	"qemu-ga/freeze/freezetest"
)

// bare does what a freeze has to do without any agent, and takes down how long
// writers waited: for the dirty data to be written out, and then for FIFREEZE
// and FITHAW on all filesystems at once, under expedited RCU.
func (s *stalls) bare(w *writers, dirs []string) error {
	if s.count*s.dirty >= manyDirty {
		return nil // it takes too long
	}
	if s.dirty > 0 {
		if err := makeDirty(dirs, s.dirty); err != nil {
			return err
		}
		if err := s.watch(&s.synced, w, func() error { return syncAll(dirs) }); err != nil {
			return err
		}
	}
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	for _, dir := range dirs {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	knob, err := os.OpenFile("/sys/kernel/rcu_expedited", os.O_WRONLY, 0)
	if err != nil {
		return nil // no such kernel: nothing to compare with
	}
	defer func() { _ = knob.Close() }()
	if err := syncAll(dirs); err != nil {
		return err
	}
	return s.watch(&s.floor, w, func() error {
		_, err := knob.WriteString("1")
		err = errors.Join(err, each(files, freezetest.FreezeFD), each(files, freezetest.ThawFD))
		_, kerr := knob.WriteString("0")
		return errors.Join(err, kerr)
	})
}

// watch takes down the longest write while something is done.
func (s *stalls) watch(into *[]float64, w *writers, do func() error) error {
	if _, err := w.worst(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	worst, err := w.worst()
	*into = append(*into, float64(worst)/float64(time.Millisecond))
	return err
}

// each makes a system call on all files at once.
func each(files []*os.File, call func(fd int) error) error {
	results := make(chan error, len(files))
	for _, f := range files {
		go func() { results <- call(int(f.Fd())) }()
	}
	var err error
	for range files {
		err = errors.Join(err, <-results)
	}
	return err
}
