package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// OSRelease returns the variables of the guest's os-release file, see
// os-release(5): /etc/os-release, or /usr/lib/os-release where that is missing
// or broken. QGA_OS_RELEASE in the environment names another file instead of
// both, as it does for QEMU's agent. No file that can be read gives nil.
//
// The values are those QEMU's agent would return, which are not always those a
// shell would see: only double quotes are quotes, and an unquoted value ends
// at its first blank.
func (r Root) OSRelease() map[string]string {
	names := []string{"/etc/os-release", "/usr/lib/os-release"}
	if name := os.Getenv("QGA_OS_RELEASE"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		f, err := r.Open(name)
		if err != nil {
			continue
		}
		vars, err := parseOSRelease(f)
		_ = f.Close()
		if err == nil {
			return vars
		}
	}
	return nil
}

var errNotUTF8 = errors.New("not UTF-8")

// parseOSRelease reads variables as GLib's key file parser would if the file
// were one group:
//
//	PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
//
// A line that is neither variable, comment, blank nor group header spoils the
// whole file. Of a variable set twice the last counts; variables behind a
// header of another group do not.
func parseOSRelease(rd io.Reader) (map[string]string, error) {
	data, err := io.ReadAll(rd)
	if err != nil {
		return nil, err
	}
	data, _, _ = bytes.Cut(data, []byte{0}) // a C string
	if !utf8.Valid(data) {
		return nil, errNotUTF8
	}
	vars := map[string]string{}
	ours := true
	for line := range strings.SplitSeq(string(data), "\n") {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), keyFileSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		if group, ok := strings.CutPrefix(line, "["); ok {
			group = strings.TrimRight(group, keyFileSpace)
			name, closed := strings.CutSuffix(group, "]")
			if !closed || name == "" || strings.ContainsAny(name, "[]") {
				return nil, fmt.Errorf("bad group header %q", line)
			}
			ours = name == "os-release"
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimRight(key, keyFileSpace)
		if !ok || !validKey(key) {
			return nil, fmt.Errorf("no variable in %q", line)
		}
		if ours {
			vars[key] = unquote(strings.TrimLeft(value, keyFileSpace))
		}
	}
	return vars, nil
}

// keyFileSpace is white space as GLib counts it: no vertical tab.
const keyFileSpace = " \t\n\f\r"

// validKey tells whether a key file may hold the key: a name without
// brackets, with a locale in brackets behind it or not.
func validKey(key string) bool {
	name, locale, found := strings.Cut(key, "[")
	if name == "" || strings.Contains(name, "]") || strings.HasSuffix(name, " ") {
		return false
	}
	if !found {
		return true
	}
	locale, closed := strings.CutSuffix(locale, "]")
	return closed && !strings.ContainsAny(locale, "[] ")
}

// unquote takes a raw value's quotes away. A value whose closing quote is
// missing keeps its last bytes twice, which is how QEMU's agent answers:
// it moves the text one byte to the left inside its own buffer.
func unquote(raw string) string {
	if !strings.HasPrefix(raw, `"`) {
		raw, _, _ = strings.Cut(raw, " ")
		raw, _, _ = strings.Cut(raw, ";")
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 1; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			return string(out)
		case c == '\\' && i+1 < len(raw) && strings.IndexByte("$'\"\\`", raw[i+1]) >= 0:
			i++
			out = append(out, raw[i])
		default:
			out = append(out, c)
		}
	}
	return string(out) + raw[len(out):]
}
