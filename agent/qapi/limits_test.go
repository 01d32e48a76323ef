package qapi_test

import (
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

func TestLimits(t *testing.T) {
	lim := qapi.Limits{Depth: 4, Tokens: 12, Bytes: 32}
	const (
		depth  = "JSON nesting depth limit exceeded"
		tokens = "JSON token count limit exceeded"
		size   = "JSON token size limit exceeded"
	)
	long := strings.Repeat("a", 29) // with its quotes one byte below the limit
	for stream, want := range map[string][]string{
		`[[[[]]]] `:                {"QMP input must be a JSON object"},
		`[{"a":[{}]}] `:            {"QMP input must be a JSON object"},
		`[[[[[1]]], "x"]] ` + "[]": {depth, "QMP input must be a JSON object"},
		`[[[[{"a" 1}]]]]` + "[]":   {depth, "QMP input must be a JSON object"},
		`[0,1,2,3,[]]`:             {"QMP input must be a JSON object"},
		`[0,1,2,3,4,5]` + "[]":     {tokens, "QMP input must be a JSON object"},

		`"` + long + `"`:                                 {"QMP input must be a JSON object"},
		`"` + long + `a"[]`:                              {size, "QMP input must be a JSON object"},
		`["` + long + `"][]`:                             {size, "QMP input must be a JSON object"},
		`[` + strings.Repeat(" \n", 99) + "1]":           {"QMP input must be a JSON object"},
		`["aaaaaaaaaa", "aaaaaaaaaa", "aaaaaaaa"][]`:     {size, "QMP input must be a JSON object"},
		`["` + long + `aaaa, {}] tail"]` + "\xff" + `[]`: {size, "JSON parse error", "JSON parse error", "QMP input must be a JSON object"},
		strings.Repeat("1", 40) + " []":                  {size, "QMP input must be a JSON object", "QMP input must be a JSON object"},
	} {
		for _, r := range readers(stream) {
			out, _ := serve(r, lim)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			require.Len(t, lines, len(want), "%q", stream)
			for i := range lines {
				require.Contains(t, lines[i], want[i], "%q", stream)
			}
		}
	}
}

func readers(stream string) []io.Reader {
	return []io.Reader{strings.NewReader(stream), &chunks{s: stream, size: 1}, &chunks{s: stream, size: 7}}
}

// chunks reads a string in pieces.
type chunks struct {
	s    string
	size int
}

func (c *chunks) Read(b []byte) (int, error) {
	if c.s == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), c.size)], c.s)
	c.s = c.s[n:]
	return n, nil
}

// hostile are the requests within the default limits that cost most.
func hostile() map[string]string {
	keys := strings.Builder{}
	for i := range 524_000 {
		keys.WriteString(`,"` + strconv.Itoa(i) + `":0`)
	}
	return map[string]string{
		"values": "[" + strings.Repeat("0,", 1<<20-2) + "[]]",
		"keys":   "{" + keys.String()[1:] + "}",
		"bytes":  `["` + strings.Repeat("a", 64<<20-5) + `"]`,
		"faults": strings.Repeat("\xff", 100_000),
	}
}

func TestHostile(t *testing.T) {
	for name, stream := range hostile() {
		d := qapi.NewDecoder(strings.NewReader(stream), qapi.Limits{})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		v, err := d.Next()
		took := time.Since(start)
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.Equal(t, name == "faults", err != nil)
		t.Logf("%s: %v, allocated %d MB, holds %d MB", name, took,
			(after.TotalAlloc-before.TotalAlloc)>>20, (after.HeapAlloc-before.HeapAlloc)>>20)
		require.Less(t, int(after.HeapAlloc-before.HeapAlloc), 80<<20)
		require.Less(t, int(after.TotalAlloc-before.TotalAlloc), 160<<20)
		runtime.KeepAlive(v)
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.Less(t, int(after.HeapAlloc)-int(before.HeapAlloc), 1<<20, "given back")
		runtime.KeepAlive(d)
		runtime.KeepAlive(stream)
	}
}

// Duplicate keys are found among many, however they are written.
func TestManyKeys(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 18, 100} {
		object := "{"
		for i := range n {
			object += `"` + strconv.Itoa(i) + `":{"0":[]},`
		}
		ok := object + `"x":{},"X":1}`
		require.Equal(t, "ok", faults(t, echo(ok))[0])
		require.Equal(t, []string{"duplicate key", "ok"}, faults(t, object+`"\u0030":{}}`+ping))
		require.Equal(t, []string{"duplicate key", "ok"}, faults(t, object+`"x":{},"x":{}}`+ping))
		require.Equal(t, []string{"duplicate key", "ok"}, faults(t, "["+ok+","+object+`"x":{},"x":{}}]`+ping))
	}
}
