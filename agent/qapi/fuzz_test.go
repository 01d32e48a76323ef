package qapi_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

// tight are limits that a fuzzer reaches.
var tight = qapi.Limits{Depth: 8, Tokens: 64, Bytes: 256}

// next reads one value of a text that holds no more.
func next(t testing.TB, text string) qapi.Value {
	t.Helper()
	v, err := qapi.NewDecoder(strings.NewReader(text+" "), qapi.Limits{}).Next()
	require.NoError(t, err, "%q", text)
	return v
}

func FuzzDecoder(f *testing.F) {
	for _, s := range append(pieces, ping, echo(`[1,"\ud83d\ude00",{'a':-0.5e3}]`), `{"a":1,"a":2}`, "[[[[[[[[[]]]]]]]]]", `[1 2,{"a":}]`+"\xff"+ping) {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream string, size uint8) {
		for _, lim := range []qapi.Limits{{}, tight} {
			want, err := serve(strings.NewReader(stream), lim)
			require.ErrorIs(t, err, io.EOF)
			// A byte draws two replies at most: one for the number it ends,
			// one for itself.
			require.LessOrEqual(t, strings.Count(want, "\n"), 2*len(stream))
			got, _ := serve(&chunks{stream, 1 + int(size)}, lim)
			require.Equal(t, want, got)
		}
		d := qapi.NewDecoder(strings.NewReader(stream), qapi.Limits{})
		for range 2*len(stream) + 1 {
			v, err := d.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				continue
			}
			text := encoded(t, v)
			again := next(t, text)
			require.Equal(t, v.Kind(), again.Kind())
			// -0.0 is printed as -0, which is read as the integer 0.
			zero := strings.NewReplacer("-0", "0")
			require.Equal(t, zero.Replace(text), zero.Replace(encoded(t, again)))
			qapi.ParseRequest(v)
		}
		t.Error("no end")
	})
}

func FuzzArguments(f *testing.F) {
	for _, s := range []string{
		`{"path":"p","handle":1}`,
		`{"path":"p","handle":1,"mode":"halt","arg":["a","b"],"count":7,"load":0.5,"any":{"x":[]}}`,
		`{"path":"p","handle":1,"mem-blks":[{"phys-index":1,"online":true},{"phys-index":-1,"online":false,"can-offline":true}]}`,
		`{"path":"p","handle":1,"buf-b64":"QUJD","whence":"cur","nested":{"deep":{"ok":true}}}`,
		`{"path":"p","handle":1,"buf-b64":"?","whence":2}`,
		`{"path":1}`, `{"path":"p","handle":1e3}`, `{"path":"p","handle":1,"whence":[]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arguments string) {
		v, err := qapi.NewDecoder(strings.NewReader(`{"execute":"x","arguments":`+arguments+`}`), tight).Next()
		if err != nil {
			return
		}
		req, err := qapi.ParseRequest(v)
		if err != nil {
			return
		}
		var got, again everything
		err = req.Decode(&got)
		var answer *qapi.Error
		require.True(t, err == nil || errors.As(err, &answer))
		require.Equal(t, err, req.Decode(&again))
		require.Equal(t, got, again)
		if err != nil {
			return
		}
		// What was taken is what was meant: it encodes to arguments that
		// are taken in the same way.
		type reply struct {
			base
			Handle int64       `json:"handle"`
			Mode   mode        `json:"mode,omitzero"`
			Arg    []string    `json:"arg,omitzero"`
			Blocks []block     `json:"mem-blks,omitzero"`
			Data   qapi.Base64 `json:"buf-b64,omitzero"`
			Count  *int64      `json:"count"`
			Load   *float64    `json:"load"`
			Any    qapi.Value  `json:"any,omitzero"`
		}
		text := encoded(t, reply{got.base, got.Handle, got.Mode, got.Arg, got.Blocks, got.Data, got.Count, got.Load, got.Any})
		again = everything{}
		require.NoError(t, request(t, text).Decode(&again), "%s", text)
		again.Whence, again.Nested = got.Whence, got.Nested
		require.Equal(t, encoded(t, got.Any), encoded(t, again.Any))
		again.Any = got.Any
		require.Equal(t, got, again)
	})
}
