package main

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"qemu-ga/cmd/internal/vm/control"
)

// writers are the writers that the host started, by name.
type writers struct {
	mu     sync.Mutex
	byName map[string]*writer
}

// writer appends to a file until it is stopped.
type writer struct {
	stop atomic.Bool
	done chan struct{}

	mu      sync.Mutex
	started float64 // of the write under way, 0 between two
	worst   float64
	err     error
	writes  []control.Write
}

// now is the time since the guest booted, in milliseconds.
func now() float64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // fails for bad clocks only
	return float64(t.Nano()) / 1e6
}

func (ws *writers) start(args control.Writer) (struct{}, error) {
	file, err := os.OpenFile(args.Path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return struct{}{}, err
	}
	w := &writer{done: make(chan struct{})}
	ws.mu.Lock()
	ws.byName[args.Name] = w
	ws.mu.Unlock()
	go w.run(file, !args.Buffered, time.Duration(args.PauseMS)*time.Millisecond)
	return struct{}{}, nil
}

func (w *writer) run(file *os.File, sync bool, pause time.Duration) {
	defer close(w.done)
	defer func() { _ = file.Close() }()
	for n := 0; !w.stop.Load(); n++ {
		w.mu.Lock()
		w.started = now()
		w.mu.Unlock()

		_, err := file.Write(bytes.Repeat(fmt.Appendf(nil, "%15d\n", n), 256))
		if err == nil && sync {
			err = file.Sync()
		}

		w.mu.Lock()
		write := control.Write{StartMS: w.started, EndMS: now()}
		w.worst = max(w.worst, write.EndMS-write.StartMS)
		w.started = 0
		w.err = err
		if err == nil {
			w.writes = append(w.writes, write)
		}
		w.mu.Unlock()
		if err != nil {
			return
		}
		time.Sleep(pause)
	}
}

func (w *writer) stats() control.WriterStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := control.WriterStats{Count: len(w.writes), WorstMS: w.worst}
	if w.started != 0 {
		s.InFlightMS = now() - w.started
	}
	if w.err != nil {
		s.Error = w.err.Error()
	}
	return s
}

func (ws *writers) named(name string) (*writer, error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w, ok := ws.byName[name]
	if !ok {
		return nil, fmt.Errorf("there is no writer %q", name)
	}
	return w, nil
}

func (ws *writers) stats(args control.Named) (control.WriterStats, error) {
	w, err := ws.named(args.Name)
	if err != nil {
		return control.WriterStats{}, err
	}
	return w.stats(), nil
}

// stop ends a writer and tells all it did. It blocks while the writer does.
func (ws *writers) stop(args control.Named) (control.WriterStats, error) {
	w, err := ws.named(args.Name)
	if err != nil {
		return control.WriterStats{}, err
	}
	w.stop.Store(true)
	<-w.done
	s := w.stats()
	s.Writes = w.writes
	return s, nil
}
