package main

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// children are the processes that init started itself and waits for.
var children = family{pids: map[int]bool{}}

type family struct {
	mu   sync.Mutex
	pids map[int]bool
}

func (f *family) start(cmd *exec.Cmd) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		f.pids[cmd.Process.Pid] = true
	}
	return err
}

// reapOrphans ends the zombies of processes whose parent died before them:
// they became init's children, and nobody else will wait for them.
func reapOrphans() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for range ended {
		children.mu.Lock()
		for _, pid := range zombies() {
			if !children.pids[pid] {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
		children.mu.Unlock()
	}
}

// zombies lists init's children that have ended, whoever started them.
func zombies() []int {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	var found []int
	for _, file := range files {
		// 42 (name) Z 1 ...
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		end := bytes.LastIndexByte(stat, ')')
		if end < 0 || !bytes.HasPrefix(stat[end+1:], []byte(" Z 1 ")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			found = append(found, pid)
		}
	}
	return found
}
