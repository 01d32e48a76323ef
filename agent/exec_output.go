package agent

import (
	"bytes"
	"io"
	"sync/atomic"

	"qemu-ga/agent/qapi"
)

const (
	// maxHeld is how much is kept of all processes that were not asked for.
	maxHeld = 64 << 20
	// firstPiece and lastPiece are how large the pieces are that an output
	// is kept in: most are a line or two.
	firstPiece = 512
	lastPiece  = 1 << 20
)

// output keeps what a process writes to one of its outputs. A nil one belongs
// to an output that is not captured.
type output struct {
	pieces    [][]byte
	size      int
	limit     int // of size
	truncated bool
	held      *atomic.Int64 // what all outputs keep
}

// drain reads r to its end. What is too much is read all the same: the
// process shall not wait for us.
func (o *output) drain(r io.Reader) {
	var waste []byte
	for {
		room := o.room()
		keep := room != nil
		if !keep {
			if waste == nil {
				waste = make([]byte, 32<<10)
			}
			room = waste
		}
		n, err := r.Read(room)
		switch {
		case keep:
			o.grow(n)
		case n > 0:
			o.truncated = true
		}
		if err != nil {
			return
		}
	}
}

// room returns where the next bytes go, nil if no more are kept.
func (o *output) room() []byte {
	if o.size >= o.limit || o.held.Load() >= maxHeld {
		return nil
	}
	last := len(o.pieces) - 1
	if last < 0 || len(o.pieces[last]) == cap(o.pieces[last]) {
		size := firstPiece
		if last >= 0 {
			size = min(2*cap(o.pieces[last]), lastPiece)
		}
		o.pieces = append(o.pieces, make([]byte, 0, min(size, o.limit-o.size)))
		last++
	}
	p := o.pieces[last]
	return p[len(p):cap(p)]
}

// grow takes in n bytes that were read into room.
func (o *output) grow(n int) {
	last := len(o.pieces) - 1
	o.pieces[last] = o.pieces[last][:len(o.pieces[last])+n]
	o.size += n
	o.held.Add(int64(n))
}

// len is how much is kept.
func (o *output) len() int {
	if o == nil {
		return 0
	}
	return o.size
}

// forget gives up what is kept.
func (o *output) forget() {
	if o != nil {
		o.held.Add(-int64(o.size))
		o.pieces, o.size = nil, 0
	}
}

// result returns all that was kept, and whether there was more; nothing if
// nothing was written.
func (o *output) result() (qapi.Base64, *bool) {
	if o == nil || o.size == 0 {
		return nil, nil
	}
	truncated := o.truncated
	if len(o.pieces) == 1 {
		return o.pieces[0], &truncated
	}
	return bytes.Join(o.pieces, nil), &truncated
}
