package qapi

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A mismatch is an argument that is not what the schema asks for. Its path is
// put together on the way out.
type mismatch struct{ before, path, after string }

// Decode fills dst, a pointer to a struct, from the arguments. The struct is
// the schema: members are checked in the order of its fields, the first fault
// is the answer, and members it does not know come last. Names are compared
// exactly and nothing is coerced. A field is optional if its tag says omitzero
// or omitempty or its type is a pointer; null is not the same as absent. What
// is not sent leaves its field as it was.
//
// Integers take what is written as one and fits; a uint64 takes negative
// numbers too, wrapped, as in QEMU. A Base64 field gets the request's memory:
// decoding the same Request again returns the same bytes. A string's text is
// modified UTF-8 (U+0000 is C0 80) and holds no byte 0.
//
// The error is an *Error for the client, unless dst cannot be decoded into at
// all, which depends on its type alone.
func (r Request) Decode(dst any) error {
	p := reflect.ValueOf(dst)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("cannot decode arguments into a %T: it is no pointer to a struct", dst)
	}
	s, err := shapeOf(p.Type().Elem())
	if err != nil {
		return fmt.Errorf("cannot decode arguments: %w", err)
	}
	var d arguments
	m := d.structure(r.args, s, p.Elem())
	if m == nil {
		m = d.late
	}
	if m != nil {
		if m == d.late {
			return ErrBase64
		}
		if m.path == "" {
			return Errorf("%s", m.before)
		}
		return Errorf("%s'%s'%s", m.before, strings.TrimPrefix(m.path, "."), m.after)
	}
	return nil
}

// ErrBase64 is Decode's error where everything is as it should be but Base64
// text; all other fields are filled then.
var ErrBase64 = Errorf("Base64 data contains invalid characters")

// arguments is the state of one Decode.
type arguments struct {
	// late is a fault in Base64 text, which QEMU sees only after all types.
	late *mismatch
}

// decode fills dst from v by the shape of dst's type.
func (d *arguments) decode(v Value, s *shape, dst reflect.Value) *mismatch {
	switch s.form {
	case formBool:
		b, ok := v.Bool()
		if !ok {
			return expected("boolean")
		}
		dst.SetBool(b)
	case formInt:
		n, ok := v.Int64()
		if !ok || dst.OverflowInt(n) {
			return expected("integer")
		}
		dst.SetInt(n)
	case formUint:
		return decodeUint(v, dst)
	case formFloat:
		f, ok := v.Float64()
		if !ok {
			return expected("number")
		}
		dst.SetFloat(f)
	case formString, formEnum:
		text, ok := v.Text()
		if !ok {
			return expected("string")
		}
		if s.form == formEnum && !slices.Contains(s.members, text) {
			return &mismatch{before: "Parameter ", after: " does not accept value '" + clip(text) + "'"}
		}
		dst.SetString(text)
	case formBase64:
		return d.bytes(v, dst)
	case formList:
		return d.list(v, s, dst)
	case formStruct:
		if v.Kind() != Object {
			return expected("object")
		}
		return d.structure(v, s, dst)
	case formPointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		return d.decode(v, s.elem, dst.Elem())
	case formAlternate:
		return d.alternate(v, dst.Addr().Interface().(Alternate))
	case formValue:
		dst.Set(reflect.ValueOf(v))
	}
	return nil
}

// structure fills dst from v, an object or absent.
func (d *arguments) structure(v Value, s *shape, dst reflect.Value) *mismatch {
	for i := range s.fields {
		f := &s.fields[i]
		m := v.member(f.name)
		if !m.Present() {
			if f.optional {
				continue
			}
			return (&mismatch{before: "Parameter ", after: " is missing"}).in("." + f.name)
		}
		if err := d.decode(m, f.shape, dst.FieldByIndex(f.index)); err != nil {
			return err.in("." + f.name)
		}
	}
	for key := range v.members() {
		if !s.has(v, key) {
			unknown := &mismatch{before: "Parameter ", after: " is unexpected"}
			return unknown.in("." + clip(string(key.bytes(v.text))))
		}
	}
	return nil
}

func (s *shape) has(v Value, key token) bool {
	for i := range s.fields {
		if key.is(v.text, s.fields[i].name) {
			return true
		}
	}
	return false
}

func (d *arguments) list(v Value, s *shape, dst reflect.Value) *mismatch {
	if v.Kind() != Array {
		return expected("array")
	}
	list := reflect.MakeSlice(dst.Type(), 0, 0)
	for e := range v.elements() {
		i := list.Len()
		list = reflect.Append(list, reflect.Zero(dst.Type().Elem()))
		if err := d.decode(e, s.elem, list.Index(i)); err != nil {
			return err.in("[" + strconv.Itoa(i) + "]")
		}
	}
	dst.Set(list)
	return nil
}

func decodeUint(v Value, dst reflect.Value) *mismatch {
	n, ok := v.Uint64()
	if !ok {
		var negative int64
		if negative, ok = v.Int64(); ok {
			n = uint64(negative)
		}
	}
	if !ok || dst.OverflowUint(n) {
		return &mismatch{before: "Parameter ", after: " expects uint64"}
	}
	dst.SetUint(n)
	return nil
}

// bytes decodes Base64 in place, once.
func (d *arguments) bytes(v Value, dst reflect.Value) *mismatch {
	if v.Kind() != String {
		return expected("string")
	}
	t := &v.tape[0]
	if t.flags&decoded == 0 {
		data, ok := decodeBase64(t.bytes(v.text))
		if !ok {
			if d.late == nil {
				d.late = &mismatch{before: ErrBase64.Desc}
			}
			return nil
		}
		t.n = uint32(len(data))
		t.flags |= decoded
	}
	dst.SetBytes(slices.Clip(t.bytes(v.text)))
	return nil
}

func (d *arguments) alternate(v Value, a Alternate) *mismatch {
	branch := a.Branch(v.Kind())
	if branch == nil {
		return expected(a.QAPIType())
	}
	dst := reflect.ValueOf(branch).Elem()
	s, err := shapeOf(dst.Type())
	if err != nil {
		return &mismatch{before: "cannot decode arguments: " + err.Error()}
	}
	return d.decode(v, s, dst)
}

func expected(what string) *mismatch {
	return &mismatch{before: "Invalid parameter type for ", after: ", expected: " + what}
}

// in puts a step in front of the path; a mismatch that does not speak of the
// path stays without one.
func (m *mismatch) in(step string) *mismatch {
	if m.after != "" {
		m.path = step + m.path
	}
	return m
}
