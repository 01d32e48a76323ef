package compat_test

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// reply is a line in a form that can be compared: the order of members means
// nothing, and neither do blanks.
type reply struct {
	marked bool // a byte 0xFF comes before it
	value  any  // of text that is no JSON, the text
	size   int  // in bytes
}

// parse makes a reply of a line.
func parse(line string, a answer, masks []mask) reply {
	line = strings.TrimSuffix(line, "\n")
	r := reply{marked: strings.HasPrefix(line, "\xff"), size: len(line)}
	line = strings.TrimPrefix(line, "\xff")
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if err := dec.Decode(&r.value); err != nil || dec.More() {
		r.value = line
	}
	for _, m := range masks {
		r.value = m.apply(r.value, strings.Split(m.path, "."), a)
	}
	return r
}

func parseAll(lines []string, a answer, masks []mask) []reply {
	var all []reply
	for _, line := range lines {
		all = append(all, parse(line, a, masks))
	}
	return all
}

// same tells whether replies are equal. Sizes are not looked at.
func same(a, b []reply) bool {
	return reflect.DeepEqual(unsized(a), unsized(b))
}

func unsized(replies []reply) []reply {
	var all []reply
	for _, r := range replies {
		all = append(all, reply{marked: r.marked, value: r.value})
	}
	return all
}

// show prints replies for people.
func show(replies []reply) string {
	var b strings.Builder
	for _, r := range replies {
		text, ok := r.value.(string)
		if !ok {
			data, _ := json.Marshal(r.value)
			text = string(data)
		}
		if r.marked {
			text = `\xff` + text
		}
		fmt.Fprintf(&b, "\n\t%s", text)
	}
	if len(replies) == 0 {
		return " nothing"
	}
	return b.String()
}

// mask hides values that are never the same twice.
type mask struct {
	path string // members, with [] for each element: return[].used-bytes
	kind string // "now" is for a time in nanoseconds, "time" for one in a text
	// and "digits" for numbers in a text,
	// "ground" for a list of which only the ground's disks are compared
}

// timePattern is a time as Go's time.RFC3339 writes it, in UTC.
var (
	timePattern   = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	digitsPattern = regexp.MustCompile(`\d+`)
)

// apply replaces what the path leads to by the kind of value it is.
func (m mask) apply(v any, way []string, a answer) any {
	if len(way) == 0 {
		return m.hidden(v, a)
	}
	name, each := strings.CutSuffix(way[0], "[]")
	object, ok := v.(map[string]any)
	member, has := object[name]
	if !ok || !has {
		return v
	}
	if list, ok := member.([]any); each && ok {
		for i := range list {
			list[i] = m.apply(list[i], way[1:], a)
		}
	} else {
		object[name] = m.apply(member, way[1:], a)
	}
	return v
}

func (m mask) hidden(v any, a answer) any {
	n, number := v.(json.Number)
	if list, ok := v.([]any); ok && m.kind == "ground" {
		return slices.DeleteFunc(list, func(e any) bool { return !slices.Contains(groundDisks(), path.Base(nameOf(e))) })
	}
	switch text, _ := v.(string); m.kind {
	case "time":
		return timePattern.ReplaceAllString(text, "TIME")
	case "digits":
		return digitsPattern.ReplaceAllString(text, "N")
	}
	if m.kind == "now" {
		ns, err := n.Int64()
		if err != nil || ns < a.from.UnixMicro()*1000 || ns > a.to.UnixNano() {
			return fmt.Sprintf("<not now: %v>", v)
		}
		return "<now>"
	}
	if number {
		return "<number>"
	}
	return fmt.Sprintf("<%T>", v)
}
