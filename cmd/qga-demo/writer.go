package main

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// writer appends to a file and syncs it, over and over, as a database does,
// and notes how long each write takes.
type writer struct {
	dir  string
	quit chan struct{}
	done chan error

	mu      sync.Mutex
	count   int
	slowest time.Duration
}

func startWriter(dir string) *writer {
	w := &writer{dir: dir, quit: make(chan struct{}), done: make(chan error, 1)}
	go func() { w.done <- w.run() }()
	return w
}

// blockSize is what a writer writes at a time, maxBlocks after how many it
// begins the file anew.
const (
	blockSize = 4096
	maxBlocks = 1024
)

func (w *writer) run() error {
	f, err := os.OpenFile(filepath.Join(w.dir, "journal"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	block := bytes.Repeat([]byte("a transaction\n"), blockSize/14)
	for n := 0; ; n++ {
		select {
		case <-w.quit:
			return nil
		default:
		}
		begun := time.Now()
		if _, err := f.WriteAt(block, int64(n%maxBlocks)*blockSize); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		w.note(time.Since(begun))
	}
}

func (w *writer) note(took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	w.slowest = max(w.slowest, took)
}

// forget begins the search for the slowest write anew.
func (w *writer) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slowest = 0
}

func (w *writer) worst() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slowest
}

func (w *writer) written() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

func (w *writer) stop() error {
	close(w.quit)
	return <-w.done
}

// counts tells how much each writer has written.
func counts(writers []*writer) []int {
	all := make([]int, len(writers))
	for i, w := range writers {
		all[i] = w.written()
	}
	return all
}

// allGrown tells whether each writer has written since.
func allGrown(writers []*writer, since []int) bool {
	for i, n := range counts(writers) {
		if n <= since[i] {
			return false
		}
	}
	return true
}
