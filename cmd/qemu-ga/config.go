package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxConfig bounds the configuration file, which is read into memory.
const maxConfig = 1 << 20

// loadConfig reads the configuration file into o: that of the last -c, else
// $QGA_CONF, else the default one. A missing file is an error only with -c.
func loadConfig(o *options, opts []given, getenv func(string) string) error {
	path, must := defaultConfig, false
	if env := getenv("QGA_CONF"); env != "" {
		path = env
	}
	for _, g := range opts {
		if g.err == nil && g.option.long == "config" {
			path, must = g.value, true
		}
	}
	o.config = path
	data, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return nil
	}
	if err == nil {
		err = applyConfig(o, path, data)
	}
	if err != nil {
		return fmt.Errorf("error loading configuration from path: %s, %w", path, err)
	}
	return nil
}

// readConfig reads a regular file. Its errors name no path.
func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case !st.Mode().IsRegular():
		return nil, errors.New("Not a regular file") //nolint:staticcheck // qemu-ga's words
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if len(data) > maxConfig {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxConfig)
	}
	return data, withoutPath(err)
}

// withoutPath leaves of an error of package os what is not known already.
func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// applyConfig sets o from the text of a configuration file. What a file left
// by another version says in our own groups is taken as far as it is known:
// the agent runs, and the log names the rest.
func applyConfig(o *options, path string, data []byte) error {
	entries, groups, err := parseKeyFile(data)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if keysOf(g.name) == nil {
			o.warnings = append(o.warnings, fmt.Sprintf("%s, line %d: group [%s] is not known and is ignored", path, g.line, g.name))
		}
	}
	for _, e := range entries {
		s := findSetting(e.group, e.key)
		if s == nil && e.group == general && e.key == "blacklist" {
			s = findSetting(general, "block-rpcs") // its name up to version 8
		}
		switch keys := keysOf(e.group); {
		case keys == nil:
		case s == nil && e.group == general:
			// qemu-ga ignores these silently.
			o.warnings = append(o.warnings, fmt.Sprintf("%s, line %d: key %q of [%s] is not known and is ignored", path, e.line, e.key, e.group))
		case s == nil && strict(e.group):
			return fmt.Errorf("line %d: key %q of [%s] is not known: use %s", e.line, e.key, e.group, strings.Join(keys, ", "))
		case s == nil:
			o.warnings = append(o.warnings, fmt.Sprintf("%s, line %d: key %q of [%s] is not known and is ignored: use %s",
				path, e.line, e.key, e.group, strings.Join(keys, ", ")))
		default:
			text, err := unescape(e.value)
			if err == nil {
				err = s.bind(o).set(text)
			}
			switch {
			case err == nil:
			case e.group == general || strict(e.group):
				// As qemu-ga has it: an agent that took no notice of, say, its
				// list of blocked commands would be worse than none.
				return fmt.Errorf("line %d: key %q of [%s]: %w", e.line, e.key, e.group, err)
			default:
				o.warnings = append(o.warnings, fmt.Sprintf("%s, line %d: key %q of [%s]: %v: it is left at %s",
					path, e.line, e.key, e.group, err, shownDefault(s.bind(o))))
			}
		}
	}
	return nil
}

// strict tells of the groups that say what hosts may do: an agent that took no
// notice of a key there would let them do more.
func strict(group string) bool { return group == "commands" || group == "exec" || group == "file" }

// shownDefault is a value as a warning shows it.
func shownDefault(v value) string {
	if text := v.String(); text != "" {
		return text
	}
	return "its default"
}

// keysOf returns the keys that a group has; nil if it is not ours.
func keysOf(group string) []string {
	var keys []string
	for _, s := range settings {
		if s.group == group {
			keys = append(keys, s.key)
		}
	}
	return keys
}
