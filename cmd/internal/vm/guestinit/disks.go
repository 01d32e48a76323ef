package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"qemu-ga/cmd/internal/vm/control"
)

// findDisk waits for the virtio disk with a serial number.
func findDisk(args control.Disk) (control.Found, error) {
	end := time.Now().Add(time.Duration(args.TimeoutMS) * time.Millisecond)
	for {
		serials, err := filepath.Glob("/sys/block/*/serial")
		if err != nil {
			return control.Found{}, err
		}
		for _, file := range serials {
			serial, err := os.ReadFile(file)
			if err != nil || strings.TrimSpace(string(serial)) != args.Serial {
				continue // another disk, or one on its way out
			}
			path := filepath.Join("/dev", filepath.Base(filepath.Dir(file)))
			if _, err := os.Stat(path); err == nil {
				return control.Found{Path: path}, nil
			}
		}
		if time.Now().After(end) {
			return control.Found{}, fmt.Errorf("no disk with the serial %q came", args.Serial)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// accepts tries all filesystems at the same time. A try that blocks goes on
// after the reply and ends, with its file removed, when its filesystem thaws.
func accepts(args control.Accepts) ([]control.Accepted, error) {
	results := make([]control.Accepted, len(args.Paths))
	limit := time.Duration(args.TimeoutMS) * time.Millisecond
	var all sync.WaitGroup
	for i, path := range args.Paths {
		all.Go(func() { results[i] = tryWrite(path, limit) })
	}
	all.Wait()
	return results, nil
}

func tryWrite(path string, limit time.Duration) control.Accepted {
	start := now()
	done := make(chan error, 1)
	go func() { done <- writeProbe(path) }()
	result := control.Accepted{Path: path}
	select {
	case err := <-done:
		result.OK = err == nil
		if err != nil {
			result.Error = err.Error()
		}
	case <-time.After(limit):
		result.Blocked = true
	}
	result.TookMS = now() - start
	return result
}

func writeProbe(dir string) error {
	file, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	defer func() { _ = file.Close() }()
	if _, err := file.WriteString("probe\n"); err != nil {
		return err
	}
	return file.Sync()
}
