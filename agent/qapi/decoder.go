package qapi

import "io"

const (
	// inputBytes is read at once at most.
	inputBytes = 16 << 10
	// slabBytes and slabTokens are allocated for many small requests
	// together: a guest-ping takes 17 bytes and 3 tokens of them.
	slabBytes  = 4 << 10
	slabTokens = 128
	// idleReads is how many empty reads in a row mean a broken reader.
	idleReads = 100
)

// Limits bound one value and so the memory of a Decoder. Within the default
// limits a value takes at most 64 MiB of text, 13 MB of tokens and 20 MB to
// find duplicate keys, and half as much again while one of these grows. A zero
// field stands for the default, which is the limit of qemu-ga 11.1.
type Limits struct {
	Depth  int // brackets and braces open at once; default 1024
	Tokens int // tokens, punctuation included; default 2,097,152
	Bytes  int // all tokens together are shorter; default 64 MiB, at most 1 GiB
}

func (l Limits) withDefaults() Limits {
	if l.Depth <= 0 {
		l.Depth = 1024
	}
	if l.Tokens <= 0 {
		l.Tokens = 2 << 20
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	l.Bytes = min(l.Bytes, 1<<30) // offsets on the tape have 32 bits
	return l
}

// A Decoder finds JSON values in a byte stream. What it accepts, what it
// calls a fault and where it goes on after one is as in qemu-ga 11.1; see the
// package comment. The state between values belongs to the Decoder: half a
// request of one connection never meets the next connection's bytes. A Decoder
// is for one goroutine; the values it returns may be handed to others.
type Decoder struct {
	r   io.Reader
	buf []byte
	err error // the reader's, once it has failed
	lex lexer
	parser
}

// NewDecoder returns a Decoder that reads r, in pieces of up to 16 KiB.
func NewDecoder(r io.Reader, lim Limits) *Decoder {
	lim = lim.withDefaults()
	return &Decoder{
		r:      r,
		buf:    make([]byte, inputBytes),
		lex:    lexer{line: 1, limit: lim.Bytes},
		parser: parser{limits: lim},
	}
}

// Next returns the next complete value, without waiting for the byte behind
// it unless it is a bare number or keyword. A fault in the input is an *Error
// to be answered, after which Next goes on; any other error is the reader's
// own, or io.ErrNoProgress, and final.
func (d *Decoder) Next() (Value, error) {
	for {
		t := d.lex.next()
		if t == lexMore {
			if err := d.fill(); err != nil {
				return Value{}, err
			}
			continue
		}
		done, fault := d.accept(&d.lex, t)
		if fault != nil {
			return Value{}, fault
		}
		if done {
			return d.detach(), nil
		}
	}
}

// fill reads more input.
func (d *Decoder) fill() error {
	for range idleReads {
		if d.err != nil {
			return d.err
		}
		n, err := d.r.Read(d.buf)
		d.err = err
		if n > 0 {
			d.lex.passed += len(d.lex.in)
			d.lex.in, d.lex.at = d.buf[:n], 0
			return nil
		}
	}
	d.err = io.ErrNoProgress
	return d.err
}

// detach returns the value that was parsed last, and gives up its memory: a
// small value's share of the slabs, a large one's own arrays.
func (d *Decoder) detach() Value {
	v := Value{d.lex.text, d.tape}
	if len(v.text) > slabBytes {
		d.lex.usual = len(v.text)
	}
	d.lex.text = rest(d.lex.text, slabBytes)
	d.tape = rest(d.tape, slabTokens)
	d.reset()
	return v
}

// rest returns the unused end of a slab, or nil for what is no slab.
func rest[T any](s []T, slab int) []T {
	if cap(s) > slab {
		return nil
	}
	return s[len(s):]
}
