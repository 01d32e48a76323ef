package agent

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// schema is QEMU's description of the protocol, as far as Linux has it.
type schema struct {
	commands map[string]map[string]any
	structs  map[string]map[string]any
	unions   map[string]map[string]any
	enums    map[string][]string
	// alternates are by name and then by branch.
	alternates map[string]map[string]any
}

// linuxConditions are the options that a Linux build of QEMU has.
var linuxConditions = map[string]bool{
	"CONFIG_LINUX": true, "CONFIG_FSFREEZE": true, "CONFIG_FSTRIM": true, "HAVE_GETIFADDRS": true,
	"CONFIG_LIBUDEV": true, "HAVE_UTMPX": true, "CONFIG_GETLOADAVG": true,
}

// applies tells whether Linux has what carries the condition, an "if".
func applies(condition any) bool {
	switch c := condition.(type) {
	case nil:
		return true
	case string:
		return linuxConditions[c]
	case map[string]any:
		if not, ok := c["not"]; ok {
			return !applies(not)
		}
		return slices.ContainsFunc(c["any"].([]any), applies)
	}
	return false
}

// schemaFile is where .ci/setup puts the schema.
const schemaFile = "../.cache/reference/qapi-schema.json.gz"

// readSchema reads the schema that .ci/setup unpacks.
func readSchema(t *testing.T) *schema {
	t.Helper()
	f, err := os.Open(schemaFile)
	if err != nil {
		const remedy = "QEMU's schema is missing: run .ci/setup reference"
		if os.Getenv("CI") == "true" {
			t.Fatal(remedy)
		}
		t.Skip(remedy)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	s := &schema{
		commands: map[string]map[string]any{}, structs: map[string]map[string]any{},
		unions: map[string]map[string]any{}, enums: map[string][]string{}, alternates: map[string]map[string]any{},
	}
	p := schemaParser{text: withoutComments(string(text))}
	for p.skip(); p.text != ""; p.skip() {
		s.add(p.value().(map[string]any))
	}
	return s
}

// add takes in one expression: {'command': NAME, 'data': {...}, ...}.
func (s *schema) add(e map[string]any) {
	if !applies(e["if"]) {
		return
	}
	for kind, into := range map[string]map[string]map[string]any{
		"command": s.commands, "struct": s.structs, "union": s.unions,
	} {
		if name, ok := e[kind].(string); ok {
			into[name] = e
		}
	}
	if name, ok := e["alternate"].(string); ok {
		s.alternates[name] = e["data"].(map[string]any)
	}
	if name, ok := e["enum"].(string); ok {
		for _, m := range e["data"].([]any) {
			switch m := m.(type) {
			case string:
				s.enums[name] = append(s.enums[name], m)
			case map[string]any:
				if applies(m["if"]) {
					s.enums[name] = append(s.enums[name], m["name"].(string))
				}
			}
		}
	}
}

// withoutComments drops the schema's comments: no string in it has a #.
func withoutComments(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		out.WriteString(line + "\n")
	}
	return out.String()
}

// schemaParser reads QEMU's schema language: objects and lists as in JSON,
// strings in single quotes, true and false.
type schemaParser struct{ text string }

func (p *schemaParser) skip() { p.text = strings.TrimLeft(p.text, " \t\r\n,:") }

func (p *schemaParser) value() any {
	p.skip()
	switch {
	case p.take("{"):
		m := map[string]any{}
		for !p.take("}") {
			key := p.value().(string)
			m[key] = p.value()
		}
		return m
	case p.take("["):
		list := []any{}
		for !p.take("]") {
			list = append(list, p.value())
		}
		return list
	case p.take("'"):
		s, rest, _ := strings.Cut(p.text, "'")
		p.text = rest
		return s
	case p.take("true"):
		return true
	case p.take("false"):
		return false
	}
	panic(fmt.Sprintf("not QAPI: %.40q", p.text))
}

func (p *schemaParser) take(token string) bool {
	p.skip()
	rest, ok := strings.CutPrefix(p.text, token)
	if ok {
		p.text = rest
	}
	return ok
}
