package compat_test

import (
	"fmt"
	"slices"
	"strings"
)

// rule is a difference so common that scripts do not name it at each step:
// it takes from a reply what may differ. It is applied to replies that are
// not the same as they are.
type rule struct {
	name string // of an entry in the table of differences
	// strip changes theirs and ours so that they no longer differ in what
	// the rule is about.
	strip func(theirs, ours *reply)
}

// rules are tried in this order.
var rules = []rule{
	{"json-position", each(withoutPosition)},
	{"version", each(withoutVersion)},
	{"own-commands", func(_, ours *reply) { ours.value = withoutOwn(ours.value) }},
	{"list-order", each(sortedByName)},
	{"dump-order", each(sortedLists)},
	{"hidden-sizes", withoutSizes},
	{"frozen-reason", func(_, ours *reply) { ours.value = withoutFrozen(ours.value) }},
}

// each makes a rule of a change to one value.
func each(change func(any) any) func(theirs, ours *reply) {
	return func(theirs, ours *reply) {
		theirs.value, ours.value = change(theirs.value), change(ours.value)
	}
}

// listsNames tells whether replies are what -b help prints.
func listsNames(replies []reply) bool {
	return len(replies) > 1 && replies[0].value == "guest-sync-delimited"
}

// withoutNames takes our own commands from what -b help prints.
func withoutNames(theirs, ours *[]reply) []string {
	if !listsNames(*theirs) || !listsNames(*ours) {
		return nil
	}
	n := len(*ours)
	*ours = slices.DeleteFunc(*ours, func(r reply) bool { return strings.HasPrefix(r.value.(string), "x-") })
	if len(*ours) == n {
		return nil
	}
	return []string{"own-commands"}
}

// applyRules applies the rules that make a difference smaller, and returns
// their names.
func applyRules(theirs, ours *[]reply) []string {
	used := withoutNames(theirs, ours)
	for _, r := range rules {
		for i := range min(len(*theirs), len(*ours)) {
			their, our := &(*theirs)[i], &(*ours)[i]
			if same([]reply{*their}, []reply{*our}) {
				continue
			}
			before := show([]reply{*their, *our})
			r.strip(their, our)
			if show([]reply{*their, *our}) != before && !slices.Contains(used, r.name) {
				used = append(used, r.name)
			}
		}
	}
	return used
}

// withoutPosition takes LINE:COL from what is said of bad JSON.
func withoutPosition(v any) any {
	reply, _ := v.(map[string]any)
	fault, _ := reply["error"].(map[string]any)
	desc, _ := fault["desc"].(string)
	place, words, ok := strings.Cut(desc, ": JSON parse error, ")
	if !ok || strings.Trim(place, "0123456789:") != "" {
		return v
	}
	fault["desc"] = "JSON parse error, " + words
	return reply
}

// withoutVersion takes the version from guest-info and from what -V prints.
func withoutVersion(v any) any {
	if text, ok := v.(string); ok {
		if words, version, ok := strings.Cut(text, "QEMU Guest Agent "); ok && words == "" && strings.Count(version, ".") == 2 {
			return "QEMU Guest Agent VERSION"
		}
		return v
	}
	if info := infoOf(v); info != nil {
		if version, ok := info["version"].(string); ok && strings.Count(version, ".") == 2 {
			info["version"] = "VERSION"
		}
	}
	return v
}

// infoOf returns what guest-info tells, or nil.
func infoOf(v any) map[string]any {
	reply, _ := v.(map[string]any)
	info, _ := reply["return"].(map[string]any)
	if _, ok := info["supported_commands"].([]any); !ok {
		return nil
	}
	return info
}

// nameOf is the name of an element of a list.
func nameOf(element any) string {
	c, _ := element.(map[string]any)
	name, _ := c["name"].(string)
	return name
}

// withoutOwn takes our own commands from guest-info and from a list of names.
func withoutOwn(v any) any {
	own := func(name string) bool { return strings.HasPrefix(name, "x-") }
	if info := infoOf(v); info != nil {
		list := info["supported_commands"].([]any)
		info["supported_commands"] = slices.DeleteFunc(list, func(c any) bool { return own(nameOf(c)) })
	}
	return v
}

// withoutFrozen takes the reason from the refusal of a command while filesystems
// are frozen.
func withoutFrozen(v any) any {
	reply, _ := v.(map[string]any)
	fault, _ := reply["error"].(map[string]any)
	desc, _ := fault["desc"].(string)
	if refusal, ok := strings.CutSuffix(desc, ": the command is not allowed: the agent is in frozen state"); ok {
		fault["desc"] = refusal + ": the command is not allowed"
	}
	return v
}

// withoutSizes takes from their filesystems the sizes that ours do not have:
// those of the filesystem that hides them.
func withoutSizes(theirs, ours *reply) {
	listOf := func(r *reply) []any {
		object, _ := r.value.(map[string]any)
		list, _ := object["return"].([]any)
		return list
	}
	our := listOf(ours)
	for i, e := range listOf(theirs) {
		their, _ := e.(map[string]any)
		if i >= len(our) || their["total-bytes"] == nil {
			continue
		}
		if fs, ok := our[i].(map[string]any); ok && fs["mountpoint"] == their["mountpoint"] && fs["total-bytes"] == nil {
			for _, size := range []string{"used-bytes", "total-bytes", "total-bytes-privileged"} {
				delete(their, size)
			}
		}
	}
}

// sortedByName sorts lists of disks, processors and blocks of memory.
func sortedByName(v any) any {
	reply, _ := v.(map[string]any)
	list, ok := reply["return"].([]any)
	if !ok {
		return v
	}
	key := func(e any) string {
		element, _ := e.(map[string]any)
		for _, name := range []string{"logical-id", "phys-index", "name"} {
			if value, ok := element[name]; ok {
				return fmt.Sprint(value)
			}
		}
		return ""
	}
	slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(key(a), key(b)) })
	return v
}

// sortedLists sorts the lists of a dumped configuration.
func sortedLists(v any) any {
	text, _ := v.(string)
	key, list, ok := strings.Cut(text, "-rpcs=")
	if !ok {
		return v
	}
	names := strings.Split(list, ",")
	slices.Sort(names)
	return key + "-rpcs=" + strings.Join(names, ",")
}
