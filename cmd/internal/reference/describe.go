package main

import (
	"fmt"
	"reflect"
	"strings"

	"qemu-ga/agent"
	"qemu-ga/agent/qapi"
)

// command is all that is said of a command. Names of members are between
// backquotes in all texts.
type command struct {
	name    string
	words   []string // paragraphs
	args    []member
	returns string // what kind of value
	members []member
}

// member is a member of an object, with the members that lead to it: or
// several that have one comment.
type member struct {
	names    []string // disk[].pci-controller.bus
	kind     string
	optional bool
	words    string
}

// describe describes a row of the table.
func describe(row *agent.Command, p *prose) (command, error) {
	c := command{name: row.Name}
	first := p.ofCommand(row.Name)
	if first == "" {
		return c, fmt.Errorf("the comment on %s says nothing of the command", p.handlers[row.Name])
	}
	c.words = append(c.words, first)
	var notes []string
	if row.Silent() {
		notes = append(notes, "Success has no reply.")
	}
	if row.Delimited() {
		notes = append(notes, "A byte 0xFF stands before the reply.")
	}
	if row.WhileFrozen() {
		notes = append(notes, "Served while filesystems are frozen.")
	}
	if row.Audited() {
		notes = append(notes, "The log has a line for each call.")
	}
	if row.Needs.What != "" {
		notes = append(notes, "SELinux must let the agent "+row.Needs.What+".")
	}
	if notes != nil {
		c.words = append(c.words, strings.Join(notes, " "))
	}
	d := describer{prose: p}
	c.args = d.members("", row.Args)
	c.returns = kind(row.Returns)
	c.members = d.members("", element(row.Returns))
	return c, d.err
}

// describer walks through structs.
type describer struct {
	prose *prose
	err   error
}

// members lists the members of a struct, those of the structs in it included.
func (d *describer) members(before string, t reflect.Type) []member {
	if t.Kind() != reflect.Struct || isAlternate(t) {
		return nil
	}
	var list []member
	grouped := false // the member before is of this struct, and no object
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if !ok || name == "-" {
			continue
		}
		m := member{names: []string{before + name}, kind: kind(f.Type), optional: options != "" || f.Type.Kind() == reflect.Pointer}
		owner := t // of an embedded struct's member, that struct
		for _, i := range f.Index[:len(f.Index)-1] {
			owner = owner.Field(i).Type
		}
		words, known := d.prose.fields[owner.Name()][f.Name]
		switch {
		case !known, words == "" && !grouped:
			d.err = fmt.Errorf("%s.%s has no comment", t.Name(), f.Name)
		case words == "": // it goes with the one before
			last := &list[len(list)-1]
			last.names = append(last.names, m.names[0])
			continue
		}
		m.words = shortened(wireNames(words, t, quoted), quoted(name))
		list = append(list, m)
		inner := d.members(m.names[0]+suffix(f.Type), element(f.Type))
		grouped = inner == nil
		list = append(list, inner...)
	}
	return list
}

// shortened leaves out what the first column of a table says: "x is the" is
// "The".
func shortened(words, name string) string {
	for _, verb := range []string{" is ", " are "} {
		rest, ok := strings.CutPrefix(words, name+verb)
		if ok && isLetter(rune(rest[0])) {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return words
}

func quoted(name string) string { return "`" + name + "`" }

// suffix is what stands between the name of a member and those in it.
func suffix(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice {
		return "[]."
	}
	return "."
}

// element is the type of what a pointer points to or a list holds.
func element(t reflect.Type) reflect.Type {
	for (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) && t != reflect.TypeFor[qapi.Base64]() {
		t = t.Elem()
	}
	return t
}

func isAlternate(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[qapi.Alternate]())
}

// kind says what a type is on the wire.
func kind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[qapi.Base64]():
		return "base64"
	case isAlternate(t):
		return alternatives(t)
	case t.Implements(reflect.TypeFor[qapi.Enum]()):
		return `"` + strings.Join(reflect.Zero(t).Interface().(qapi.Enum).Members(), `", "`) + `"`
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kind(t.Elem())
	case reflect.Slice:
		return "list of " + kind(t.Elem()) + "s"
	case reflect.Struct:
		return "object"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.Uint64:
		return "unsigned integer"
	case reflect.String:
		return "string"
	default:
		return "integer"
	}
}

// alternatives lists what an alternate takes.
func alternatives(t reflect.Type) string {
	var kinds []string
	alternate := reflect.New(t).Interface().(qapi.Alternate)
	for _, k := range []qapi.Kind{qapi.Bool, qapi.Number, qapi.String} {
		if branch := alternate.Branch(k); branch != nil {
			kinds = append(kinds, kind(reflect.TypeOf(branch).Elem()))
		}
	}
	return strings.Join(kinds, " or ")
}
