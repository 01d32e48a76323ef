package qapi

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// An Enum is a string type with a fixed set of values:
//
//	type shutdownMode string
//
//	func (shutdownMode) Members() []string { return []string{"halt", "powerdown", "reboot"} }
//
// Decode refuses any other string.
type Enum interface {
	Members() []string
}

// An Alternate is a value that may be of more than one JSON type. It is
// implemented on the pointer to a type, for arguments only.
type Alternate interface {
	// QAPIType returns the name of the type in QEMU's schema, which is what
	// a client is told when no branch takes its value.
	QAPIType() string
	// Branch returns a pointer to where a value of kind k goes, to be
	// decoded as strictly as any other argument, or nil if there is no
	// branch for it. It is called once for each value.
	Branch(k Kind) any
}

// form is what a Go type is on the wire.
type form uint8

const (
	formBool form = iota
	formInt
	formUint
	formFloat
	formString
	formEnum
	formBase64
	formList
	formStruct
	formPointer
	formAlternate
	formValue
)

// A shape is all there is to know of a Go type to decode and encode it.
type shape struct {
	form    form
	elem    *shape   // of a list or pointer
	fields  []field  // of a struct
	members []string // of an enum
	oneWay  bool     // holds an alternate, which is for arguments only
}

// A field is a member of a struct.
type field struct {
	name     string
	index    []int
	shape    *shape
	optional bool // may be absent in arguments
	zero     bool // left out of replies if zero (omitzero)
	empty    bool // left out of replies if empty (omitempty)
}

// shapes holds a *shape for each type met so far.
var shapes sync.Map

var (
	alternateType = reflect.TypeFor[Alternate]()
	enumType      = reflect.TypeFor[Enum]()
	base64Type    = reflect.TypeFor[Base64]()
	valueType     = reflect.TypeFor[Value]()
)

// shapeOf returns the shape of t, or an error if t or a type in it has none.
// As shapes are of types and not of values, a zero value that can be decoded
// or encoded shows that every value of its type can.
func shapeOf(t reflect.Type) (*shape, error) {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape), nil
	}
	s, err := newShape(t)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", t, err)
	}
	shapes.Store(t, s)
	return s, nil
}

func newShape(t reflect.Type) (*shape, error) {
	switch {
	case t == base64Type:
		return &shape{form: formBase64}, nil
	case t == valueType:
		return &shape{form: formValue}, nil
	case reflect.PointerTo(t).Implements(alternateType):
		return &shape{form: formAlternate, oneWay: true}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return &shape{form: formBool}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &shape{form: formInt}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &shape{form: formUint}, nil
	case reflect.Float32, reflect.Float64:
		return &shape{form: formFloat}, nil
	case reflect.String:
		if t.Implements(enumType) {
			return &shape{form: formEnum, members: reflect.Zero(t).Interface().(Enum).Members()}, nil
		}
		return &shape{form: formString}, nil
	case reflect.Slice:
		return elemShape(formList, t)
	case reflect.Pointer:
		return elemShape(formPointer, t)
	case reflect.Struct:
		return structShape(t)
	}
	return nil, fmt.Errorf("no wire form for a Go %v", t.Kind())
}

func elemShape(f form, t reflect.Type) (*shape, error) {
	elem, err := shapeOf(t.Elem())
	if err != nil {
		return nil, err
	}
	return &shape{form: f, elem: elem, oneWay: elem.oneWay}, nil
}

// structShape reads the tags of t. The members of an embedded struct without
// a tag count as its own, as a QAPI base type's do.
func structShape(t reflect.Type) (*shape, error) {
	s := &shape{form: formStruct}
	for _, f := range reflect.VisibleFields(t) {
		tag, tagged := f.Tag.Lookup("json")
		if tag == "-" || f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !f.IsExported() || name == "" {
			return nil, fmt.Errorf("field %s is not exported or has no json name", f.Name)
		}
		elem, err := shapeOf(f.Type)
		if err != nil {
			return nil, err
		}
		s.oneWay = s.oneWay || elem.oneWay
		zero := strings.Contains(options, "omitzero")
		empty := strings.Contains(options, "omitempty")
		pointer := elem.form == formPointer
		s.fields = append(s.fields, field{
			name: name, index: f.Index, shape: elem,
			optional: zero || empty || pointer,
			zero:     zero || pointer,
			empty:    empty,
		})
	}
	return s, nil
}
