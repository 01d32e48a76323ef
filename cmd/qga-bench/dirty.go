package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// makeDirty writes to each filesystem what a freeze has to write out.
func makeDirty(dirs []string, mib int) error {
	if mib == 0 {
		return nil
	}
	piece := make([]byte, 1<<20)
	for _, dir := range dirs {
		file, err := os.OpenFile(filepath.Join(dir, "bulk"), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		for range mib {
			if _, err := file.Write(piece); err != nil {
				return err
			}
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// The kernel's limits on dirty memory (sysctl vm): above the second writers
// have to write out themselves, above the first it is done for them. Each is
// in per cent of the memory or, if that is not 0, in bytes.
const (
	vm              = "/proc/sys/vm/"
	backgroundBytes = vm + "dirty_background_bytes"
	backgroundRatio = vm + "dirty_background_ratio"
	dirtyBytes      = vm + "dirty_bytes"
	dirtyRatio      = vm + "dirty_ratio"
)

// holdDirty lets so much memory be dirty, shared by the filesystems at dirs. A
// disk's share grows with what it has written before; each is given its own
// from the start. restore gives the kernel its limits back.
func holdDirty(bytes int64, dirs []string) (restore func() error, err error) {
	var saved [][2]string
	for _, names := range [][2]string{{backgroundBytes, backgroundRatio}, {dirtyBytes, dirtyRatio}} {
		for _, name := range names { // bytes, unless they are 0: then the ratio holds
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			if value := strings.TrimSpace(string(text)); value != "0" {
				saved = append(saved, [2]string{name, value})
				break
			}
		}
	}
	set := func(name, value string) error { return os.WriteFile(name, []byte(value), 0) }
	restore = func() (err error) {
		for _, s := range saved {
			err = errors.Join(err, set(s[0], s[1]))
		}
		return err
	}
	// The limit first, as that on what is done in the background is below it.
	err = set(dirtyBytes, strconv.FormatInt(bytes+bytes/2, 10))
	if err == nil {
		err = set(backgroundBytes, strconv.FormatInt(bytes+bytes/4, 10))
	}
	for _, dir := range dirs {
		var st unix.Stat_t
		if err == nil {
			err = unix.Stat(dir, &st)
		}
		share := fmt.Sprintf("/sys/class/bdi/%d:%d/min_ratio", unix.Major(st.Dev), unix.Minor(st.Dev))
		if _, serr := os.Stat(share); serr == nil && err == nil { // btrfs has one without a number
			saved = append(saved, [2]string{share, "0"})
			err = set(share, strconv.Itoa(96/len(dirs)))
		}
	}
	if err != nil {
		return nil, errors.Join(err, restore())
	}
	return restore, nil
}

// manyDirty is from how many MiB of dirty data on all filesystems together a
// scenario needs limits of its own, and is measured in few rounds.
const manyDirty = 4096

// room tells what keeps a scenario from being measured on this machine: its
// dirty data is in memory twice, once written out to the images. btrfs writes
// it to another place each time, until its image is in memory as a whole.
func (s scenario) room() error {
	const spare = 2 << 10 // MiB
	need := 2*s.count*s.dirty + spare
	if s.fsType == "btrfs" {
		need = s.count*(s.dirty+s.imageMiB()) + spare
	}
	if s.count*s.dirty < manyDirty {
		return nil
	}
	have, err := available()
	if err == nil && have < need {
		err = fmt.Errorf("it needs %d GiB of memory, and %d are available", (need+1023)>>10, have>>10)
	}
	return err
}

// available is how many MiB of memory programs can have.
//
//	MemAvailable:   19284560 kB
func available() (int, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			return kib >> 10, err
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}

// syncAll writes out what is dirty, one filesystem after the other.
func syncAll(dirs []string) error {
	for _, dir := range dirs {
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Syncfs(fd), unix.Close(fd)); err != nil {
			return err
		}
	}
	return nil
}
