package qapi_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

// encoded returns what a value looks like in a reply.
func encoded(t testing.TB, ret any) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, qapi.NewEncoder(&out).Return(qapi.Value{}, ret))
	s, ok := strings.CutPrefix(out.String(), `{"return": `)
	require.True(t, ok)
	s, ok = strings.CutSuffix(s, "}\n")
	require.True(t, ok)
	return s
}

func TestReturn(t *testing.T) {
	type inner struct {
		A int `json:"a"`
	}
	type all struct {
		Int    int64       `json:"int"`
		Zero   int         `json:"zero,omitzero"`
		Empty  []string    `json:"empty,omitempty"`
		None   []string    `json:"none,omitzero"`
		List   []inner     `json:"list"`
		Ptr    *inner      `json:"ptr"`
		Bool   *bool       `json:"bool,omitempty"`
		Mode   mode        `json:"mode"`
		Data   qapi.Base64 `json:"buf-b64"`
		Hidden int         `json:"-"`
		base
	}
	for _, c := range []struct {
		ret  any
		want string
	}{
		{nil, `{}`},
		{struct{}{}, `{}`},
		{int64(math.MinInt64), `-9223372036854775808`},
		{uint64(math.MaxUint64), `18446744073709551615`},
		{true, `true`},
		{mode("halt"), `"halt"`},
		{[]int(nil), `[]`},
		{[]*inner{{1}, nil}, `[{"a": 1}, null]`},
		{&inner{2}, `{"a": 2}`},
		{0.1, `0.10000000000000001`},
		{0.0, `0`},
		{math.Copysign(0, -1), `-0`},
		{1e21, `1e+21`},
		{math.Inf(1), `1e999`},
		{math.Inf(-1), `-1e999`},
		{math.NaN(), `null`},
		{all{}, `{"int": 0, "list": [], "mode": "", "buf-b64": "", "path": ""}`},
		{
			all{1, 2, []string{"x"}, []string{}, []inner{{1}, {2}}, &inner{3}, new(false), "halt", qapi.Base64("\xff\xfe"), 9, base{"p"}},
			`{"int": 1, "zero": 2, "empty": ["x"], "none": [], "list": [{"a": 1}, {"a": 2}], "ptr": {"a": 3}, ` +
				`"bool": false, "mode": "halt", "buf-b64": "//4=", "path": "p"}`,
		},

		{"\x00\x1f \"\\/\b\f\n\r\t\x7f", `"\u0000\u001F \"\\/\b\f\n\r\t\u007F"`},
		{"é€\uffff\U0001F600\ue000", `"\u00E9\u20AC\uFFFD\uD83D\uDE00\uE000"`},
		{"\xc0\x80", `"\u0000"`},
		// One fault is one replacement character, as in QEMU.
		{"\x80\xbf", `"\uFFFD\uFFFD"`},
		{"\xc0 \xc1", `"\uFFFD \uFFFD"`},
		{"\xe2\x82-\xe2", `"\uFFFD-\uFFFD"`},
		{"\xed\xa0\x80\xed\xb0\x80", `"\uFFFD\uFFFD"`},
		{"\xe0\x80\x80\xf0\x80\x80\x80", `"\uFFFD\uFFFD"`},
		{"\xf8\x88\x80\x80\x80\xfc\x84\x80\x80\x80\x80", `"\uFFFD\uFFFD"`},
		{"\xef\xb7\x90\xfe\xff", `"\uFFFD\uFFFD\uFFFD"`},
	} {
		require.Equal(t, c.want, encoded(t, c.ret), "%#v", c.ret)
	}
}

func TestReturnUnsupported(t *testing.T) {
	for _, ret := range []any{
		map[string]int{},
		func() {},
		struct{ Untagged int }{},
		[]any{1},
		whence{},
		struct {
			W []whence `json:"w"`
		}{},
	} {
		var out bytes.Buffer
		require.Error(t, qapi.NewEncoder(&out).Return(qapi.Value{}, ret))
		require.Zero(t, out.Len(), "no half reply")
	}
}

func TestFail(t *testing.T) {
	for want, err := range map[string]error{
		`"GenericError", "desc": "cannot a: \"b\""`:                                                                          errors.New(`cannot a: "b"`),
		`"GenericError", "desc": "value '7'"`:                                                                                qapi.Errorf("value '%d'", 7),
		`"GenericError", "desc": "x"`:                                                                                        &qapi.Error{Desc: "x"},
		`"CommandNotFound", "desc": "The command x has not been found"`:                                                      qapi.NotFound("x"),
		`"CommandNotFound", "desc": "hint: The command x has not been found"`:                                                fmt.Errorf("hint: %w", qapi.NotFound("x")),
		`"CommandNotFound", "desc": "Command x has been disabled: the command is not allowed"`:                               qapi.Disabled("x"),
		`"CommandNotFound", "desc": "Command x has been disabled: the command is not allowed: the agent is in frozen state"`: qapi.Frozen("x"),
	} {
		var out bytes.Buffer
		require.NoError(t, qapi.NewEncoder(&out).Fail(qapi.Value{}, err))
		require.Equal(t, `{"error": {"class": `+want+"}}\n", out.String())
	}
}

func TestMark(t *testing.T) {
	var out bytes.Buffer
	e := qapi.NewEncoder(&out)
	e.Mark()
	require.NoError(t, e.Return(qapi.Value{}, 1))
	require.NoError(t, e.Return(qapi.Value{}, 2))
	e.Mark()
	require.NoError(t, e.Fail(qapi.Value{}, errors.New("x")))
	require.NoError(t, e.Return(qapi.Value{}, 3))
	require.Equal(t, "\xff{\"return\": 1}\n{\"return\": 2}\n"+
		"{\"error\": {\"class\": \"GenericError\", \"desc\": \"x\"}}\n{\"return\": 3}\n", out.String())
}

// writes remembers the size of each Write, and fails after a number of them.
type writes struct {
	bytes.Buffer
	sizes []int
	fail  int
}

func (w *writes) Write(b []byte) (int, error) {
	if w.fail--; w.fail == 0 {
		return 0, errors.New("broken pipe")
	}
	w.sizes = append(w.sizes, len(b))
	return w.Buffer.Write(b)
}

func TestWrites(t *testing.T) {
	var w writes
	e := qapi.NewEncoder(&w)
	require.NoError(t, e.Return(qapi.Value{}, strings.Repeat("x", 60_000)))
	require.Len(t, w.sizes, 1)

	data := bytes.Repeat([]byte("0123456789"), 1<<17)
	for _, ret := range []any{qapi.Base64(data), string(data), []string{string(data), "\n"}, bytes.Runes(data[:1<<18])} {
		w = writes{}
		require.NoError(t, e.Return(qapi.Value{}, ret))
		require.Greater(t, len(w.sizes), w.Len()/(128<<10))
		for i, n := range w.sizes {
			require.LessOrEqual(t, n, 128<<10)
			require.True(t, i == len(w.sizes)-1 || n >= 64<<10, "full pieces")
		}
	}
	w = writes{}
	require.NoError(t, e.Return(qapi.Value{}, qapi.Base64(data)))
	require.Equal(t, `{"return": "`+base64.StdEncoding.EncodeToString(data)+"\"}\n", w.String())

	w = writes{fail: 2}
	require.EqualError(t, e.Return(qapi.Value{}, qapi.Base64(data)), "broken pipe")
	require.EqualError(t, e.Return(qapi.Value{}, 1), "broken pipe", "final")
	require.Len(t, w.sizes, 1)
}
