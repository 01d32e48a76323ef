package qapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

// request parses one request with the given arguments.
func request(t testing.TB, arguments string) qapi.Request {
	t.Helper()
	v, err := qapi.NewDecoder(strings.NewReader(`{"execute":"x","arguments":`+arguments+`}`), qapi.Limits{}).Next()
	require.NoError(t, err)
	req, err := qapi.ParseRequest(v)
	require.NoError(t, err)
	return req
}

type mode string

func (mode) Members() []string { return []string{"halt", "reboot"} }

// whence is a number or a name.
type whence struct {
	Code int64
	Name seek
}

type seek string

func (seek) Members() []string { return []string{"set", "cur", "end"} }

func (*whence) QAPIType() string { return "GuestFileWhence" }

func (w *whence) Branch(k qapi.Kind) any {
	switch k {
	case qapi.Number:
		return &w.Code
	case qapi.String:
		return &w.Name
	}
	return nil
}

type block struct {
	Index  uint64 `json:"phys-index"`
	Online bool   `json:"online"`
	CanOff bool   `json:"can-offline,omitzero"`
}

type base struct {
	Path string `json:"path"`
}

// everything has a member of each type there is.
type everything struct {
	base
	Handle int64       `json:"handle"`
	Mode   mode        `json:"mode,omitzero"`
	Arg    []string    `json:"arg,omitempty"`
	Blocks []block     `json:"mem-blks,omitzero"`
	Data   qapi.Base64 `json:"buf-b64,omitzero"`
	Whence whence      `json:"whence,omitzero"`
	Count  *int64      `json:"count"`
	Load   *float64    `json:"load"`
	Any    qapi.Value  `json:"any,omitzero"`
	Nested struct {
		Deep struct {
			OK bool `json:"ok"`
		} `json:"deep"`
	} `json:"nested,omitzero"`
}

func TestDecode(t *testing.T) {
	var got everything
	require.NoError(t, request(t, `{"nested":{"deep":{"ok":true}}, "load":1, "count":0, "whence":"end",
		"buf-b64":"SGVs\nbG8=", "mem-blks":[{"online":false,"phys-index":-1},
		{"can-offline":true,"online":true,"phys-index":18446744073709551615}], "arg":[],
		'mode':'re\u0062oot', "handle":-9223372036854775808, "any": [null], "path":"a\u0000é"}`).Decode(&got))

	want := everything{base: base{"a\xc0\x80é"}, Handle: -1 << 63, Mode: "reboot", Arg: []string{}}
	want.Blocks = []block{{Index: 1<<64 - 1}, {Index: 1<<64 - 1, Online: true, CanOff: true}}
	want.Data = qapi.Base64("Hello")
	want.Whence.Name = "end"
	want.Count = new(int64)
	want.Load = new(1.0)
	want.Nested.Deep.OK = true
	want.Any = got.Any
	require.Equal(t, want, got)
	require.Equal(t, qapi.Array, got.Any.Kind())
}

func TestDecodeKeepsDefaults(t *testing.T) {
	args := struct {
		Mode  string `json:"mode,omitzero"`
		Count *int64 `json:"count"`
	}{Mode: "r"}
	require.NoError(t, request(t, `{}`).Decode(&args))
	require.Equal(t, "r", args.Mode)
	require.Nil(t, args.Count)
	require.NoError(t, request(t, `{"mode":""}`).Decode(&args))
	require.Empty(t, args.Mode)
}

func TestDecodeRefuses(t *testing.T) {
	with := func(more string) string { return `{"path":"p","handle":1,` + more + `}` }
	for arguments, want := range map[string]string{
		`{}`:                       "Parameter 'path' is missing",
		`{"Path":"x","handle":1}`:  "Parameter 'path' is missing",
		`{"path":null,"handle":1}`: "Invalid parameter type for 'path', expected: string",
		`{"path":1,"handle":"x"}`:  "Invalid parameter type for 'path', expected: string",
		`{"handle":"x","path":1}`:  "Invalid parameter type for 'path', expected: string",
		`{"zzz":1,"path":"x"}`:     "Parameter 'handle' is missing",

		with(`"zzz":1,"yyy":2`): "Parameter 'zzz' is unexpected",

		`{"path":"","handle":1.0}`:                 "Invalid parameter type for 'handle', expected: integer",
		`{"path":"","handle":1e3}`:                 "Invalid parameter type for 'handle', expected: integer",
		`{"path":"","handle":"1"}`:                 "Invalid parameter type for 'handle', expected: integer",
		`{"path":"","handle":true}`:                "Invalid parameter type for 'handle', expected: integer",
		`{"path":"","handle":9223372036854775808}`: "Invalid parameter type for 'handle', expected: integer",

		with(`"mode":"Halt"`):   "Parameter 'mode' does not accept value 'Halt'",
		with(`"mode":""`):       "Parameter 'mode' does not accept value ''",
		with(`"mode":null`):     "Invalid parameter type for 'mode', expected: string",
		with(`"arg":{}`):        "Invalid parameter type for 'arg', expected: array",
		with(`"arg":null`):      "Invalid parameter type for 'arg', expected: array",
		with(`"arg":["",[]]`):   "Invalid parameter type for 'arg[1]', expected: string",
		with(`"count":null`):    "Invalid parameter type for 'count', expected: integer",
		with(`"load":"1"`):      "Invalid parameter type for 'load', expected: number",
		with(`"whence":[]`):     "Invalid parameter type for 'whence', expected: GuestFileWhence",
		with(`"whence":1.0`):    "Invalid parameter type for 'whence', expected: integer",
		with(`"whence":"SET"`):  "Parameter 'whence' does not accept value 'SET'",
		with(`"mem-blks":[1]`):  "Invalid parameter type for 'mem-blks[0]', expected: object",
		with(`"mem-blks":[{}]`): "Parameter 'mem-blks[0].phys-index' is missing",

		with(`"mem-blks":[{"phys-index":0.0}]`):                               "Parameter 'mem-blks[0].phys-index' expects uint64",
		with(`"mem-blks":[{"phys-index":"0"}]`):                               "Parameter 'mem-blks[0].phys-index' expects uint64",
		with(`"mem-blks":[{"phys-index":18446744073709551616}]`):              "Parameter 'mem-blks[0].phys-index' expects uint64",
		with(`"mem-blks":[{"phys-index":0,"online":0}]`):                      "Invalid parameter type for 'mem-blks[0].online', expected: boolean",
		with(`"mem-blks":[{"phys-index":0,"online":true,"x":1}],"whence":{}`): "Parameter 'mem-blks[0].x' is unexpected",

		with(`"nested":{}`):                    "Parameter 'nested.deep' is missing",
		with(`"nested":{"deep":{"ok":"yes"}}`): "Invalid parameter type for 'nested.deep.ok', expected: boolean",

		with(`"buf-b64":7`):               "Invalid parameter type for 'buf-b64', expected: string",
		with(`"buf-b64":"A!=="`):          "Base64 data contains invalid characters",
		with(`"buf-b64":"!","whence":{}`): "Invalid parameter type for 'whence', expected: GuestFileWhence",
		with(`"buf-b64":"!","zzz":1`):     "Parameter 'zzz' is unexpected",
	} {
		err := request(t, arguments).Decode(&everything{})
		var answer *qapi.Error
		require.ErrorAs(t, err, &answer, "%s", arguments)
		require.Equal(t, qapi.Error{Class: qapi.GenericError, Desc: want}, *answer, "%s", arguments)
	}
}

func TestDecodeNothing(t *testing.T) {
	require.NoError(t, request(t, `{}`).Decode(&struct{}{}))
	require.EqualError(t, request(t, `{"":1}`).Decode(&struct{}{}), "Parameter '' is unexpected")
	require.NoError(t, qapi.Request{}.Decode(&struct{}{}), "no arguments at all")
}

func TestDecodeTwice(t *testing.T) {
	req := request(t, `{"data":"QUJD"}`)
	for range 2 {
		var args struct {
			Data qapi.Base64 `json:"data"`
		}
		require.NoError(t, req.Decode(&args))
		require.Equal(t, "ABC", string(args.Data))
	}
}

// What cannot be decoded into is the program's mistake, not the client's.
func TestDecodeUnsupported(t *testing.T) {
	for _, dst := range []any{
		nil,
		everything{},
		new(int), (*everything)(nil),
		&struct {
			M map[string]int `json:"m"`
		}{},
		&struct{ Untagged int }{},
		&struct{ hidden int }{},
		&struct {
			List []func() `json:"list"`
		}{},
	} {
		err := request(t, `{}`).Decode(dst)
		require.Error(t, err)
		var answer *qapi.Error
		require.NotErrorAs(t, err, &answer)
	}
}

func TestEnvelope(t *testing.T) {
	for stream, want := range map[string]string{
		`{}`:                              "QMP input lacks member 'execute'",
		`{"execute":1}`:                   "QMP input member 'execute' must be a string",
		`{"execute":null}`:                "QMP input member 'execute' must be a string",
		`{"Execute":"guest-ping"}`:        "QMP input member 'Execute' is unexpected",
		`{"exec-oob":"guest-ping"}`:       "QMP input member 'exec-oob' is unexpected",
		`{"execute":"no","arguments":[]}`: "QMP input member 'arguments' must be an object",
		`{"execute":"guest-ping","arguments":null}`:    "QMP input member 'arguments' must be an object",
		`{"execute":"guest-ping","arguments":{"a":1}}`: "Parameter 'a' is unexpected",
		`{"execute":"Guest-ping"}`:                     "The command Guest-ping has not been found",
		`{"execute":"guest-ping "}`:                    "The command guest-ping  has not been found",
		`{"execute":"a\u0000b"}`:                       `The command a\u0000b has not been found`,
		`{"execute":"guest-info"}`:                     "Command guest-info has been disabled: the command is not allowed",
	} {
		require.Equal(t, []string{want}, faults(t, stream), "%s", stream)
	}
	require.Equal(t,
		[]string{`{"error": {"class": "GenericError", "desc": "QMP input lacks member 'execute'"}, "id": null}`},
		replies(t, `{"id":null}`))
	require.Equal(t,
		[]string{`{"error": {"class": "CommandNotFound", "desc": "The command x has not been found"}, "id": 7}`},
		replies(t, `{"execute":"x","id":7}`))
}
