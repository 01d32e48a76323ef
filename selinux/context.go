package selinux

import (
	"slices"
	"strings"
)

// Context is a security context as the kernel writes it:
// "system_u:object_r:mysqld_db_t:s0:c1,c2"; user, role, type and, in a policy
// with levels, a range.
type Context string

// maxContext bounds a context, in bytes: the kernel takes a page.
const maxContext = 4096

// parseContext reads what the kernel gives, which may end with a NUL or a
// line end. What is no context gives "", as the name of AppArmor's profile.
func parseContext(text []byte) Context {
	s := strings.TrimRight(string(text), "\x00\n")
	if Context(s).valid() {
		return Context(s)
	}
	return ""
}

func (c Context) valid() bool {
	fields := strings.SplitN(string(c), ":", 4)
	if len(fields) < 3 || len(c) > maxContext {
		return false
	}
	if slices.Contains(fields, "") {
		return false
	}
	// One question of the access query takes contexts parted by blanks.
	return !strings.ContainsFunc(string(c), func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// Type is the third part, which most rules are about: "mysqld_db_t". "" if c
// is no context.
func (c Context) Type() string {
	if !c.valid() {
		return ""
	}
	return strings.SplitN(string(c), ":", 4)[2]
}

// optionLabel finds the label that a mount option gives to a filesystem's
// root: context= for all of its files, rootcontext= for the root. The kernel
// writes a value with a comma in quotes:
//
//	rw,context="system_u:object_r:tmp_t:s0:c1,c2",size=4k
func optionLabel(options string) Context {
	var label Context
	for options != "" {
		var word string
		word, options = nextOption(options)
		name, value, _ := strings.Cut(word, "=")
		if name == "context" || name == "rootcontext" {
			if c := parseContext([]byte(strings.Trim(value, `"`))); c != "" {
				label = c
			}
		}
	}
	return label
}

// nextOption cuts the first option off, minding quotes.
func nextOption(options string) (word, rest string) {
	quoted := false
	for i := range len(options) {
		switch options[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return options[:i], options[i+1:]
			}
		}
	}
	return options, ""
}
