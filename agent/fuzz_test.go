package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
	"qemu-ga/agent/qapi"
)

// odd are values that no member, or hardly one, expects.
var odd = []string{
	`null`, `true`, `0`, `-1`, `1.5`, `1e400`, `9223372036854775807`, `9223372036854775808`, `18446744073709551615`,
	`-9223372036854775809`, `""`, `"\u0000"`, `"a\u0000b"`, `"\ud83d\ude00"`, `"*"`, `"AA=A"`, `"` + strings.Repeat("A", 5000) + `"`,
	`[]`, `[null]`, `[[]]`, `[""]`, `{}`, `{"a":{}}`, strings.Repeat("[", 500) + strings.Repeat("]", 500),
	strings.Repeat(`{"a":`, 500) + `1` + strings.Repeat("}", 500), `[` + strings.Repeat(`1,`, 2000) + `1]`,
}

// valid makes arguments that a struct takes.
func valid(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[qapi.Alternate]()) {
		return `"end"`
	}
	if enum, ok := reflect.TypeAssert[qapi.Enum](reflect.Zero(t)); ok {
		return `"` + enum.Members()[0] + `"`
	}
	switch {
	case t == reflect.TypeFor[qapi.Base64]():
		return `"QQ=="`
	case t.Kind() == reflect.Pointer:
		return valid(t.Elem())
	case t.Kind() == reflect.Slice:
		return "[" + valid(t.Elem()) + "," + valid(t.Elem()) + "]"
	case t.Kind() == reflect.Struct:
		return object(t, nil)
	case t.Kind() == reflect.Bool:
		return "false"
	case t.Kind() == reflect.String:
		return `"root"`
	}
	return "1"
}

// object makes a struct's arguments, with some members of another value, and
// those left out whose value is "".
func object(t reflect.Type, values map[string]string) string {
	var members []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		value, other := values[name]
		if !other {
			value = valid(f.Type)
		}
		if value != "" {
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
	}
	if extra, ok := values[""]; ok {
		members = append(members, extra)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// variants are arguments of a command, from good to absurd: each member
// missing, of every odd value, at every depth, twice, and one too many.
func variants(t reflect.Type) []string {
	all := []string{object(t, nil), object(t, map[string]string{"": `"unknown":1`})}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, object(t, map[string]string{name: ""}), object(t, map[string]string{"": fmt.Sprintf("%q:1", name)}))
		for _, value := range odd {
			all = append(all, object(t, map[string]string{name: value}))
		}
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			for _, inner := range variants(f.Type.Elem()) {
				all = append(all, object(t, map[string]string{name: "[" + inner + "]"}))
			}
		}
	}
	return all
}

// harmless is an agent in a guest of no files. Its policy lets nothing be run
// or opened, so that whatever is asked for, nothing happens to this machine.
func harmless(t testing.TB) *Agent {
	a := New(Config{
		Root: guest.Root(t.TempDir()), Programs: &guest.PathList{}, Files: &guest.FilePolicy{},
		Log: slog.New(slog.DiscardHandler),
	})
	return a
}

// FuzzArguments gives every command arguments made of its structs, good and
// bad. It must answer one line of JSON, within a moment.
func FuzzArguments(f *testing.F) {
	rows := table()
	for i, c := range rows {
		for _, args := range append(variants(c.Args), odd...) {
			f.Add(uint8(i), args)
		}
	}
	a := harmless(f)
	f.Fuzz(func(t *testing.T, row uint8, args string) {
		c := rows[int(row)%len(rows)]
		dec := qapi.NewDecoder(strings.NewReader(`{"execute":"`+c.Name+`","arguments":`+args+`}`), qapi.Limits{})
		v, err := dec.Next()
		if err != nil {
			return // package qapi's own matter
		}
		req, err := qapi.ParseRequest(v)
		if err != nil {
			return
		}
		var out bytes.Buffer
		enc := qapi.NewEncoder(&out)
		begun := time.Now()
		var ret any
		if c.is(freezes) || c.is(thaws) || strings.HasPrefix(c.Name, "x-") || c.Name == "guest-fstrim" || c.Name == "guest-fsfreeze-status" || c.Name == "guest-info" {
			// These are the engine's, which is there for real filesystems only.
			err = req.Decode(reflect.New(c.Args).Interface())
		} else {
			ret, err = c.call(a, t.Context(), req)
		}
		if err != nil {
			require.NoError(t, enc.Fail(req.ID, err))
			require.NotEmpty(t, err.Error())
		} else {
			require.NoError(t, enc.Return(req.ID, ret))
		}
		require.Less(t, time.Since(begun), 10*time.Second)
		require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")))
		require.True(t, json.Valid(out.Bytes()), "%s", out.Bytes())
	})
}

// TestVariants says that the fuzzer starts from what the commands take.
func TestVariants(t *testing.T) {
	for _, c := range table() {
		good := 0
		for _, args := range variants(c.Args) {
			v, err := qapi.NewDecoder(strings.NewReader(`{"execute":"`+c.Name+`","arguments":`+args+`}`), qapi.Limits{}).Next()
			if err != nil {
				continue // a key given twice
			}
			req, err := qapi.ParseRequest(v)
			require.NoError(t, err)
			if req.Decode(reflect.New(c.Args).Interface()) == nil {
				good++
			}
		}
		require.Positive(t, good, c.Name)
	}
}
