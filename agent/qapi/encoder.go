package qapi

import (
	"fmt"
	"io"
	"reflect"
)

const (
	// flushBytes is from where on a reply is passed on in pieces.
	flushBytes = 64 << 10
	// keepBytes is the largest buffer that is kept for the next reply.
	keepBytes = 4 << 10
	// delimiter stands before the reply of guest-sync-delimited. It occurs
	// in no JSON text, so that a client can find the reply behind garbage.
	delimiter = 0xFF
)

// An Encoder writes replies, one line each, in ASCII only. A reply below
// 64 KiB reaches the writer in one Write; a larger one in pieces of about that
// size, without ever being held as a whole. An error of the writer is final:
// every later call returns it, as the stream may end within a reply. An
// Encoder is for one goroutine.
type Encoder struct {
	w    io.Writer
	buf  []byte
	mark bool
	err  error
}

// NewEncoder returns an Encoder that writes to w.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{w: w} }

// Mark has the byte 0xFF written directly before the next reply, if that is a
// Return. guest-sync-delimited wants it; its failures are not marked.
func (e *Encoder) Mark() { e.mark = true }

// Return writes {"return": ret, "id": id}, without the id if it is absent.
// ret may be made of booleans, numbers, strings, slices, pointers, structs
// with json tags, Base64 and Values; nil stands for {}. A nil slice is [], a
// nil pointer to a struct member is left out, as omitzero and omitempty ask
// for with other types. Text is modified UTF-8; what is not comes as U+FFFD.
//
// If ret is of another type, which is a mistake in the program, nothing is
// written. Otherwise the error is the writer's.
func (e *Encoder) Return(id Value, ret any) error {
	if ret == nil {
		ret = struct{}{}
	}
	v := reflect.ValueOf(ret)
	s, err := shapeOf(v.Type())
	if err == nil && s.oneWay {
		err = fmt.Errorf("%T holds an alternate", ret)
	}
	if err != nil {
		return fmt.Errorf("cannot encode a reply: %w", err)
	}
	if e.mark {
		e.buf = append(e.buf, delimiter)
	}
	e.raw(`{"return": `)
	e.encode(s, v)
	return e.end(id)
}

// Fail writes {"error": {"class": ..., "desc": ...}, "id": id}. An error that
// is no *Error, and wraps none, is of class GenericError.
func (e *Encoder) Fail(id Value, err error) error {
	told := asError(err)
	e.raw(`{"error": {"class": `)
	e.text(told.Class)
	e.raw(`, "desc": `)
	e.text(told.Desc)
	e.raw("}")
	return e.end(id)
}

// end completes a reply and passes it on.
func (e *Encoder) end(id Value) error {
	if id.Present() {
		e.raw(`, "id": `)
		e.value(id)
	}
	e.raw("}\n")
	e.mark = false
	e.flush()
	if cap(e.buf) > keepBytes {
		e.buf = nil
	}
	return e.err
}

// raw writes what needs no escapes, and passes the buffer on when it is full.
func (e *Encoder) raw(s string) {
	e.buf = append(e.buf, s...)
	e.spill()
}

func (e *Encoder) spill() {
	if len(e.buf) >= flushBytes {
		e.flush()
	}
}

func (e *Encoder) flush() {
	if e.err == nil {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
}
