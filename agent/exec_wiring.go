package agent

import (
	"fmt"
	"os"

	"qemu-ga/agent/guest"
)

// wiring is the files between the agent and a process.
type wiring struct {
	theirs [3]*os.File // standard input, output and error
	input  *os.File    // our end of standard input; nil if that is /dev/null
	drains []drain
}

// drain is our end of an output and what is kept of it.
type drain struct {
	from *os.File
	into *output
}

// connect makes the files of a process and the outputs of c that keep what
// comes through them.
func (t *childTable) connect(c *child, args execArgs) (w *wiring, err error) {
	w = &wiring{}
	defer func() {
		if err != nil {
			w.closeTheirs()
			w.closeOurs()
			err = fmt.Errorf("cannot start a process: %w", guest.Worded(err))
		}
	}()
	if args.InputData != nil {
		w.theirs[0], w.input, err = os.Pipe()
	} else {
		w.theirs[0], err = os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	}
	if err != nil {
		return w, err
	}
	mode := args.CaptureOutput.value()
	out := mode == captureStdout || mode == captureSeparated || mode == captureMerged
	limit := t.limit
	if mode == captureSeparated {
		limit /= 2
	}
	if c.out, w.theirs[1], err = t.outlet(w, out, limit); err != nil {
		return w, err
	}
	if mode == captureMerged {
		w.theirs[2] = w.theirs[1]
		return w, nil
	}
	c.err, w.theirs[2], err = t.outlet(w, mode == captureStderr || mode == captureSeparated, limit)
	return w, err
}

// outlet makes the process's end of an output: of a pipe if it is captured,
// of which limit bytes are kept, else of /dev/null.
func (t *childTable) outlet(w *wiring, captured bool, limit int) (*output, *os.File, error) {
	if !captured {
		f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		return nil, f, err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	o := &output{limit: limit, held: &t.held}
	w.drains = append(w.drains, drain{from, o})
	return o, to, nil
}

// closeTheirs closes what the process has of its own by now.
func (w *wiring) closeTheirs() {
	for i, f := range w.theirs {
		if f != nil && (i == 0 || f != w.theirs[i-1]) {
			_ = f.Close()
		}
	}
}

// closeOurs closes what is of no use without a process.
func (w *wiring) closeOurs() {
	if w.input != nil {
		_ = w.input.Close()
	}
	for _, d := range w.drains {
		_ = d.from.Close()
	}
}
