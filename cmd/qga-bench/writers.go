package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"time"
)

// writers are the process that writes, seen from the one that measures.
type writers struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startWriters(kind string, dirs []string) (*writers, error) {
	w := &writers{cmd: exec.Command("/proc/self/exe", append([]string{kind}, dirs...)...)}
	w.cmd.Args[0] = writersName
	w.cmd.Stderr = os.Stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.in, w.out = in, bufio.NewScanner(out)
	return w, w.cmd.Start()
}

// worst gives the longest write on any filesystem since it was called last.
func (w *writers) worst() (time.Duration, error) {
	if _, err := io.WriteString(w.in, "\n"); err != nil {
		return 0, err
	}
	if !w.out.Scan() {
		return 0, io.ErrUnexpectedEOF
	}
	var all []time.Duration
	if err := json.Unmarshal(w.out.Bytes(), &all); err != nil {
		return 0, err
	}
	var worst time.Duration
	for _, d := range all {
		worst = max(worst, d)
	}
	return worst, nil
}

func (w *writers) stop() error {
	if err := w.in.Close(); err != nil {
		return err
	}
	return w.cmd.Wait()
}
