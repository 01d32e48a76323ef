package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// pidFile is a file with the daemon's process ID, locked as long as the daemon
// lives.
type pidFile struct {
	f    *os.File
	path string
}

// writePIDFile makes the file, or takes over one that nobody has locked, and
// writes this process's ID into it.
func writePIDFile(path string) (*pidFile, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("Could not create '%s': %w: give another path with --pidfile", path, withoutPath(err)) //nolint:staticcheck // qemu-ga's words
		}
		p := &pidFile{f, path}
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
			return nil, errors.Join(lockError(path, err), f.Close())
		}
		if !p.ours() {
			// Its owner removed it after we had opened it.
			if err := f.Close(); err != nil {
				return nil, err
			}
			continue
		}
		if err := p.write(); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot write pid file %s: %w", path, withoutPath(err)), f.Close())
		}
		// The daemon changes its directory.
		if whole, err := filepath.Abs(path); err == nil {
			p.path = whole
		}
		return p, nil
	}
}

// lockError is the error of a lock that was not given.
func lockError(path string, err error) error {
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("Cannot lock pid file: Resource temporarily unavailable: another agent runs and holds %s: stop it, or use another --pidfile", path) //nolint:staticcheck // qemu-ga's words
	}
	return fmt.Errorf("Cannot lock pid file: %w: use another --pidfile than %s", err, path) //nolint:staticcheck // qemu-ga's words
}

func (p *pidFile) write() error {
	if err := p.f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.f, "%d\n", os.Getpid())
	return err
}

// ours tells whether the file at the path is still the one that is locked.
func (p *pidFile) ours() bool {
	locked, err := p.f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(p.path)
	return err == nil && os.SameFile(locked, there)
}

// remove removes the file, unless the path has another one by now, and gives
// up the lock.
func (p *pidFile) remove() {
	if p.ours() {
		_ = os.Remove(p.path)
	}
	_ = p.f.Close()
}
