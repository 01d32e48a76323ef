package qapi

import (
	"encoding/base64"
	"iter"
	"math"
	"strconv"
)

// Kind is the JSON type of a value.
type Kind uint8

// The kinds. Absent is the kind of the zero Value.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Value is a JSON value that a Decoder has checked. It stays valid as long as
// it is referred to, whatever the Decoder does next, and is cheap to copy. The
// zero Value stands for an absent one.
type Value struct {
	text []byte  // what the tokens refer to
	tape []token // the value's first
}

// Present reports whether there is a value; null is one.
func (v Value) Present() bool { return len(v.tape) > 0 }

// Kind returns the JSON type of the value.
func (v Value) Kind() Kind {
	if len(v.tape) == 0 {
		return Absent
	}
	return v.tape[0].kind
}

// Bool returns the value of a boolean; ok is false for any other kind.
func (v Value) Bool() (b, ok bool) {
	if v.Kind() != Bool {
		return false, false
	}
	return v.tape[0].flags&truth != 0, true
}

// Text returns a string; ok is false for any other kind. The text is modified UTF-8 as in QEMU: U+0000 is the bytes C0 80.
func (v Value) Text() (s string, ok bool) {
	if v.Kind() != String {
		return "", false
	}
	t := v.tape[0]
	if t.flags&decoded != 0 {
		return base64.StdEncoding.EncodeToString(t.bytes(v.text)), true
	}
	return string(t.bytes(v.text)), true
}

// Int64 returns a number written as an integer that fits; ok is false for
// anything else. 1.0 and 1e3 are not integers in QEMU, and here neither.
func (v Value) Int64() (n int64, ok bool) {
	if !v.integral() {
		return 0, false
	}
	n, err := strconv.ParseInt(v.number(), 10, 64)
	return n, err == nil
}

// Uint64 is Int64 for the numbers from 0 to 2^64-1.
func (v Value) Uint64() (n uint64, ok bool) {
	if !v.integral() {
		return 0, false
	}
	s := v.number()
	if s == "-0" {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// Float64 returns any number as the nearest double, infinite where it is too
// large; ok is false for any other kind.
func (v Value) Float64() (f float64, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.number(), 64)
	return f, err == nil || math.IsInf(f, 0)
}

// integral reports whether v is an integer of no more digits than 64 bits have.
func (v Value) integral() bool {
	const digits = len("-9223372036854775808")
	return v.Kind() == Number && v.tape[0].flags&integral != 0 && v.tape[0].n <= uint32(digits)
}

// number returns the text of a number.
func (v Value) number() string { return string(v.tape[0].bytes(v.text)) }

// elements yields the elements of an array, and nothing for another kind.
func (v Value) elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != Array {
			return
		}
		for i := uint32(1); i < v.tape[0].n; {
			e := v.at(i)
			if !yield(e) {
				return
			}
			i += uint32(len(e.tape))
		}
	}
}

// members yields the keys and values of an object in the order they were
// sent, and nothing for another kind.
func (v Value) members() iter.Seq2[token, Value] {
	return func(yield func(token, Value) bool) {
		if v.Kind() != Object {
			return
		}
		for i := uint32(1); i < v.tape[0].n; {
			m := v.at(i + 1)
			if !yield(v.tape[i], m) {
				return
			}
			i += 1 + uint32(len(m.tape))
		}
	}
}

// member returns the value of the key name, absent if there is none. Names
// are told apart by case.
func (v Value) member(name string) Value {
	for key, m := range v.members() {
		if key.is(v.text, name) {
			return m
		}
	}
	return Value{}
}

// at returns the value that starts with the tape's entry i.
func (v Value) at(i uint32) Value {
	return Value{v.text, v.tape[i : i+v.tape[i].span()]}
}
