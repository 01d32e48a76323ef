package qapi

import (
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
)

// base64Piece is how many bytes are encoded at once: a multiple of three,
// which needs no padding, and less than flushBytes in Base64.
const base64Piece = 36 << 10

// encode writes v, whose type has the shape s.
func (e *Encoder) encode(s *shape, v reflect.Value) {
	switch s.form {
	case formBool:
		e.raw(strconv.FormatBool(v.Bool()))
	case formInt:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	case formUint:
		e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	case formFloat:
		e.double(v.Float())
	case formString, formEnum:
		e.text(v.String())
	case formBase64:
		e.base64(v.Bytes())
	case formList:
		e.buf = append(e.buf, '[')
		for i := range v.Len() {
			e.separate(i)
			e.encode(s.elem, v.Index(i))
		}
		e.raw("]")
	case formStruct:
		e.structure(s, v)
	case formPointer:
		if v.IsNil() {
			e.raw("null")
			return
		}
		e.encode(s.elem, v.Elem())
	case formValue:
		e.value(v.Interface().(Value))
	}
}

// structure writes a struct as an object.
func (e *Encoder) structure(s *shape, v reflect.Value) {
	e.buf = append(e.buf, '{')
	n := 0
	for i := range s.fields {
		f := &s.fields[i]
		m := v.FieldByIndex(f.index)
		if f.zero && m.IsZero() || f.empty && isEmpty(m) {
			continue
		}
		e.separate(n)
		e.text(f.name)
		e.raw(": ")
		e.encode(f.shape, m)
		n++
	}
	e.raw("}")
}

// isEmpty is what omitempty means in encoding/json, as far as types go here.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func (e *Encoder) separate(n int) {
	if n > 0 {
		e.raw(", ")
	}
}

// value writes a client's value back.
func (e *Encoder) value(v Value) {
	switch v.Kind() {
	case Absent, Null:
		e.raw("null")
	case Bool:
		b, _ := v.Bool()
		e.raw(strconv.FormatBool(b))
	case Number:
		e.number(v)
	case String:
		t := v.tape[0]
		if t.flags&decoded != 0 {
			e.base64(t.bytes(v.text))
			return
		}
		appendText(e, t.bytes(v.text))
	case Array:
		e.buf = append(e.buf, '[')
		n := 0
		for m := range v.elements() {
			e.separate(n)
			e.value(m)
			n++
		}
		e.raw("]")
	case Object:
		e.buf = append(e.buf, '{')
		n := 0
		for key, m := range v.members() {
			e.separate(n)
			appendText(e, key.bytes(v.text))
			e.raw(": ")
			e.value(m)
			n++
		}
		e.raw("}")
	}
}

// number writes a client's number back: an integer of 64 bits exactly,
// anything else as the double it is nearest to.
func (e *Encoder) number(v Value) {
	if n, ok := v.Int64(); ok {
		e.buf = strconv.AppendInt(e.buf, n, 10)
	} else if n, ok := v.Uint64(); ok {
		e.buf = strconv.AppendUint(e.buf, n, 10)
	} else {
		f, _ := v.Float64()
		e.double(f)
	}
	e.spill()
}

// double writes f as C's %.17g does. JSON has no infinity, and QEMU's "inf"
// breaks the client's parser; a number that is too large for any double is
// read back as the same infinity. A NaN, which no client can send, is null.
func (e *Encoder) double(f float64) {
	switch {
	case math.IsNaN(f):
		e.raw("null")
	case math.IsInf(f, 1):
		e.raw("1e999")
	case math.IsInf(f, -1):
		e.raw("-1e999")
	default:
		e.buf = strconv.AppendFloat(e.buf, f, 'g', 17, 64)
	}
}

// base64 writes data as Base64, piece by piece.
func (e *Encoder) base64(data []byte) {
	e.buf = append(e.buf, '"')
	for len(data) > 0 {
		n := min(len(data), base64Piece)
		e.buf = base64.StdEncoding.AppendEncode(e.buf, data[:n])
		e.spill()
		data = data[n:]
	}
	e.raw(`"`)
}

func (e *Encoder) text(s string) { appendText(e, s) }
