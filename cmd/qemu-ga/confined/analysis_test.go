package confined_test

import (
	"slices"
	"strings"
	"testing"

	"qemu-ga/cmd/internal/vm"
)

// root is the attribute of the module that thousands of types have.
const root = "qemu_ga_root"

// analysis is what setools find in a linked policy.
type analysis struct {
	// lists are its lists: of permissions by rule, of types by role, of
	// attributes by type, and, empty, everything else that it declares.
	lists map[string][]string
	// attributes are those of each type.
	attributes map[string][]string
}

// analyse reads a linked policy.
func analyse(t *testing.T, linked string) analysis {
	t.Helper()
	vm.Tools(t, "sesearch", "seinfo")
	a := analysis{lists: map[string][]string{}, attributes: map[string][]string{}}
	rules := run(t, "sesearch", "-A", "--allowxperm", "--auditallow", "--dontaudit", "-T",
		"--range_trans", "--role_allow", "--role_trans", linked)
	declared := run(t, "seinfo", "--all", "-x", linked)
	for line := range strings.Lines(rules + declared) {
		a.add(strings.TrimSpace(line))
	}
	return a
}

// add takes a line of sesearch or seinfo, such as
//
//	allow init_t bin_t:file { read open }; [ a_boolean ]:True
//	type boot_t alias old_t, file_type, mountpoint;
//	role system_r types { init_t initrc_t };
//	user root roles { staff_r } level s0 range s0;
func (a analysis) add(line string) {
	switch {
	case !strings.ContainsAny(line, ":;{("), strings.HasPrefix(line, "Statistics"), counts(line):
		// A heading; or the types of an attribute, which each type tells.
	case strings.HasPrefix(line, "type ") && strings.HasSuffix(line, ";"):
		name, rest, _ := strings.Cut(strings.TrimSuffix(line[len("type "):], ";"), ",")
		name, _, _ = strings.Cut(name, " alias ")
		attributes := strings.Fields(strings.ReplaceAll(rest, ",", " "))
		a.attributes[name] = attributes
		a.lists["type "+name] = attributes
	default:
		head, list, tail := items(line)
		a.lists[head+" {}"+tail] = append(a.lists[head+" {}"+tail], list...)
	}
}

// items takes the list out of a line: what is in braces, or the last word.
func items(line string) (head string, list []string, tail string) {
	if before, rest, ok := strings.Cut(line, " { "); ok {
		if inside, after, ok := strings.Cut(rest, " }"); ok && !strings.Contains(inside, "{") {
			return before, strings.Fields(inside), after
		}
	}
	words, condition, ok := strings.Cut(line, ";")
	if last := strings.LastIndexByte(words, ' '); ok && last > 0 {
		return words[:last], []string{words[last+1:]}, ";" + condition
	}
	return line, nil, ""
}

// counts tells whether a line counts things, as "Types: 3942 Attributes: 217"
// or "Booleans: 291" above their list.
func counts(line string) bool {
	name, count, ok := strings.Cut(line, ":")
	return ok && !strings.ContainsAny(name, "({;") &&
		strings.Trim(strings.Fields(count + " x")[0], "0123456789") == ""
}

// notIn lists what b does not have, each behind a mark, less the membership in
// root.
func (a analysis) notIn(b analysis, mark string) []string {
	var missing []string
	for key, list := range a.lists {
		others, there := b.lists[key]
		var more []string
		for _, item := range list {
			if !slices.Contains(others, item) && (item != root || !strings.HasPrefix(key, "type ")) {
				more = append(more, item)
			}
		}
		slices.Sort(more)
		if len(more) > 0 || !there {
			missing = append(missing, mark+strings.Replace(key, "{}", "{ "+strings.Join(more, " ")+" }", 1)+
				typeList(key, more))
		}
	}
	return missing
}

// typeList is the end of a type's line.
func typeList(key string, attributes []string) string {
	if strings.HasSuffix(key, "}") || !strings.HasPrefix(key, "type ") {
		return ""
	}
	return ": " + strings.Join(attributes, " ")
}

// allowed finds the rules that allow a domain something on a target, "" for any,
// of a class, with their permissions.
func (a analysis) allowed(domain, target, class string) map[string][]string {
	found := map[string][]string{}
	for key, permissions := range a.lists {
		// allow SOURCE TARGET:CLASS {}; [ BOOLEAN ]:True
		fields := strings.Fields(key)
		if len(fields) < 4 || fields[0] != "allow" || !a.covers(fields[1], domain) {
			continue
		}
		object, of, _ := strings.Cut(fields[2], ":")
		if of == class && (target == "" || a.covers(object, target)) {
			found[key] = permissions
		}
	}
	return found
}

// covers tells whether a type is the one that a rule names, or has the attribute.
func (a analysis) covers(named, name string) bool {
	return named == name || a.has(name, named)
}

func (a analysis) has(name, attribute string) bool {
	return slices.Contains(a.attributes[name], attribute)
}
