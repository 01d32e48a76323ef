package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// entry is a key of a key file and its raw value.
type entry struct {
	group, key, value string
	line              int // from 1
}

// groupHead is where a group of a key file begins.
type groupHead struct {
	name string
	line int
}

// parseKeyFile reads the format of GLib's GKeyFile, that is, of desktop files:
//
//	# a comment; only at the beginning of a line, and with # alone
//	[group]
//	key = value, blanks and all, ; # and "quotes" included
//
// Groups of the same name are one, and of a key given twice the last counts.
// Entries are returned in the order of the last places, groups of the first.
func parseKeyFile(data []byte) ([]entry, []groupHead, error) {
	var entries []entry
	var groups []groupHead
	group := ""
	for i, raw := range bytes.Split(data, []byte("\n")) {
		line := strings.TrimSuffix(string(raw), "\r")
		text := strings.TrimLeft(line, spaces)
		if text == "" || text[0] == '#' {
			continue
		}
		fail := func(format string, args ...any) ([]entry, []groupHead, error) {
			return nil, nil, fmt.Errorf("line %d: %s", i+1, fmt.Sprintf(format, args...))
		}
		if strings.IndexByte(line, 0) >= 0 {
			return fail("it is not text")
		}
		if name, ok := groupName(text); ok {
			if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r == '[' || unicode.IsControl(r) }) {
				return fail("invalid group name: %q", name)
			}
			group = name
			groups = addGroup(groups, groupHead{name, i + 1})
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		key = strings.TrimRight(key, spaces)
		switch {
		case !ok:
			return fail("%q is not a key-value pair, group, or comment", text)
		case group == "":
			return fail("the file does not start with a group: begin it with [%s]", general)
		case !validKey(key):
			return fail("invalid key name: %q", key)
		}
		entries = addEntry(entries, entry{group, key, strings.TrimLeft(value, spaces), i + 1})
	}
	return entries, groups, nil
}

// spaces is what GLib's g_ascii_isspace takes for white space.
const spaces = " \t\n\f\r"

// groupName takes a group's name out of "[name]", blanks behind it allowed.
func groupName(text string) (string, bool) {
	if text[0] != '[' {
		return "", false
	}
	name, after, ok := strings.Cut(text[1:], "]")
	return name, ok && strings.Trim(after, " \t") == ""
}

// validKey tells whether a key may be one: a locale in brackets may follow it.
func validKey(key string) bool {
	name, locale, ok := strings.Cut(key, "[")
	if ok {
		locale, ok = strings.CutSuffix(locale, "]")
		if !ok || strings.ContainsFunc(locale, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@", r)
		}) {
			return false
		}
	}
	return name != "" && !strings.HasSuffix(name, " ") && !strings.Contains(name, "]")
}

func addGroup(groups []groupHead, g groupHead) []groupHead {
	for _, old := range groups {
		if old.name == g.name {
			return groups
		}
	}
	return append(groups, g)
}

func addEntry(entries []entry, e entry) []entry {
	for i, old := range entries {
		if old.group == e.group && old.key == e.key {
			entries = append(entries[:i], entries[i+1:]...)
			break
		}
	}
	return append(entries, e)
}

// unescape resolves the escapes in a value: \s \n \t \r \\.
func unescape(value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", errors.New("it is not UTF-8 text")
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(value, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if after == "" {
			return "", errors.New("it ends with a single backslash: write two")
		}
		i := strings.IndexByte(`sntr\`, after[0])
		if i < 0 {
			return "", fmt.Errorf("invalid escape sequence %q: write a backslash as two", `\`+after[:1])
		}
		b.WriteByte(" \n\t\r\\"[i])
		value = after[1:]
	}
}

// escape is the reverse of unescape, for leading blanks and what cannot stand
// in a line.
func escape(text string) string {
	rest := strings.TrimLeft(text, " \t")
	lead := strings.NewReplacer(" ", `\s`, "\t", `\t`).Replace(text[:len(text)-len(rest)])
	return lead + strings.NewReplacer("\n", `\n`, "\r", `\r`, `\`, `\\`).Replace(rest)
}
