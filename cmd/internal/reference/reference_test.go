package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent"
)

const top = "../../.."

// TestReferenceIsFresh says that the committed pages are what the source says.
func TestReferenceIsFresh(t *testing.T) {
	files, err := generate(top)
	require.NoError(t, err)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(top, name))
		require.NoError(t, err, "run make generate")
		require.Equal(t, want, string(got), "%s is not what the source says: run make generate", name)
	}
}

// TestReferenceIsComplete looks for every command and every member of the
// table in both pages.
func TestReferenceIsComplete(t *testing.T) {
	files, err := generate(top)
	require.NoError(t, err)
	for _, row := range agent.Table() {
		_, onPage, ok := strings.Cut(files[pageFile], "\n## "+row.Name+"\n")
		require.True(t, ok, row.Name)
		onPage, _, _ = strings.Cut(onPage, "\n## ")
		_, inManual, ok := strings.Cut(files[manFile], "\n.SS "+roff(row.Name)+"\n")
		require.True(t, ok, row.Name)
		inManual, _, _ = strings.Cut(inManual, "\n.SS ")
		for _, name := range append(tags(row.Args), tags(row.Returns)...) {
			require.Contains(t, onPage, name+"`", row.Name)
			require.Contains(t, inManual, roff(name), row.Name)
		}
	}
}

// tags lists the names of all members below a type.
func tags(t reflect.Type) (names []string) {
	if t = element(t); t.Kind() != reflect.Struct || isAlternate(t) {
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		names = append(append(names, name), tags(f.Type)...)
	}
	return names
}

func TestWireNames(t *testing.T) {
	type s struct {
		Out  int `json:"out-data"`
		More int `json:"more"`
	}
	require.Equal(t, "`out-data` comes with `more`, as Outer does.",
		wireNames("Out comes with More, as Outer does.", reflect.TypeFor[s](), quoted))
}
