package qapi_test

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

const ping = `{"execute":"guest-ping"}`

// echo is a request whose reply shows how a value was understood.
func echo(value string) string { return `{"execute":"guest-ping","id":` + value + `}` }

// faults are the descriptions that answer a stream, "ok" for a success.
func faults(t testing.TB, stream string) []string {
	t.Helper()
	var got []string
	for _, line := range replies(t, stream) {
		_, desc, failed := strings.Cut(line, `"desc": "`)
		if !failed {
			desc = "ok"
		}
		desc, _, _ = strings.Cut(desc, `"}`)
		_, words, ok := strings.Cut(desc, ": JSON parse error, ")
		if ok {
			desc = words
		}
		got = append(got, desc)
	}
	return got
}

func TestAccepted(t *testing.T) {
	for sent, want := range map[string]string{
		`true`:            `true`,
		`[null, false]`:   `[null, false]`,
		"[\t\r\n ]":       `[]`,
		`{ }`:             `{}`,
		`{'a':{"b":[1]}}`: `{"a": {"b": [1]}}`,

		`'a"b'`:                    `"a\"b"`,
		`"it's"`:                   `"it's"`,
		`"\'"`:                     `"'"`,
		`'\'\"\\\/\b\f\n\r\t'`:     `"'\"\\/\b\f\n\r\t"`,
		`"\u0041\u00e9\u20AC"`:     `"A\u00E9\u20AC"`,
		"\"\x7f\xc3\xa9€\"":        `"\u007F\u00E9\u20AC"`,
		`"\ud83d\ude00"`:           `"\uD83D\uDE00"`,
		"\"\U0001F600\U0010FFFD\"": `"\uD83D\uDE00\uDBFF\uDFFD"`,
		`"a\u0000b"`:               `"a\u0000b"`,
		"\"a\xc0\x80b\"":           `"a\u0000b"`,
		"\"\ufffd\"":               `"\uFFFD"`,

		`0`:                      `0`,
		`-0`:                     `0`,
		`-0.0`:                   `-0`,
		`1.0`:                    `1`,
		`0.1`:                    `0.10000000000000001`,
		`1e5`:                    `100000`,
		`1E+17`:                  `1e+17`,
		`1e16`:                   `10000000000000000`,
		`1e-5`:                   `1.0000000000000001e-05`,
		`0.0001`:                 `0.0001`,
		`1e100`:                  `1e+100`,
		`9223372036854775807`:    `9223372036854775807`,
		`-9223372036854775808`:   `-9223372036854775808`,
		`18446744073709551615`:   `18446744073709551615`,
		`18446744073709551616`:   `1.8446744073709552e+19`,
		`-9223372036854775809`:   `-9.2233720368547758e+18`,
		`5e-324`:                 `4.9406564584124654e-324`,
		`1e-400`:                 `0`,
		`1e400`:                  `1e999`,
		`[-1.5E308,-1.5E999]`:    `[-1.5e+308, -1e999]`,
		strings.Repeat("9", 400): `1e999`,
	} {
		require.Equal(t, []string{`{"return": {}, "id": ` + want + "}"}, replies(t, echo(sent)), "%s", sent)
	}
}

func TestFaults(t *testing.T) {
	const (
		notObject = "QMP input must be a JSON object"
		expecting = "expecting value"
		fffd      = `stray '\uFFFD'`
		badUTF8   = "invalid UTF-8 sequence in string"
	)
	for stream, want := range map[string][]string{
		// Lexical: the next bracket, brace, colon or comma starts afresh.
		"\xff" + ping:              {fffd, "ok"},
		"\xfe" + ping:              {fffd, "ok"},
		"\x00" + ping:              {"stray ''", "ok"},
		"\xff\xff" + ping:          {fffd, fffd, "ok"},
		`{"a` + "\xff" + ping:      {`stray '\"a\uFFFD'`, "ok"},
		`{"a` + "\n" + ping:        {`stray '\"a\n'`, "ok"},
		`{'a` + "\\\n" + ping:      {`stray ''a\\\n'`, "ok"},
		`01 true ` + ping:          {"stray '01'", "ok"},
		`-a ` + ping:               {"stray '-a'", "ok"},
		`1. ` + ping:               {"stray '1. '", "ok"},
		`1e+` + ping:               {"stray '1e+{'", expecting, notObject, expecting},
		"$\tfalse\r1 " + ping:      {"stray '$'", notObject, "ok"},
		`[1,$ 2, 3] ` + ping:       {"stray '$'", expecting, notObject, expecting, "ok"},
		`0e0 ` + ping:              {notObject, "invalid keyword 'e'", notObject, "ok"},
		"True" + ping:              {"stray 'T'", "ok"},
		"{\"a\":tr\xff}" + ping:    {"invalid keyword 'tr'", expecting, "ok"},
		"\xef\xbb\xbf" + ping:      {`stray '\uFFFD'`, "ok"},
		`"` + "\x1f\x1e" + ping:    {`stray '\"\u001F'`, `stray '\u001E'`, "ok"},
		"/* no comments */" + ping: {"stray '/'", "ok"},

		// Syntax: silence until what is open is closed.
		`}` + ping:                      {expecting, "ok"},
		`:,]` + ping:                    {expecting, expecting, expecting, "ok"},
		`{"a" 1, [{"x"}] true}` + ping:  {"expecting ':'", "ok"},
		`{1:2}` + ping:                  {"expecting key", "ok"},
		`{"a":1,}` + ping:               {"expecting key", "ok"},
		`{,}` + ping:                    {"expecting key", "ok"},
		`{"a":}` + ping:                 {expecting, "ok"},
		`{"a":1 "b":2}` + ping:          {"expected ',' or '}'", "ok"},
		`{"a":1]}` + ping:               {"expected ',' or '}'", expecting, "ok"},
		`[1 2]` + ping:                  {"expected ',' or ']'", "ok"},
		`[1,]` + ping:                   {expecting, "ok"},
		`[}` + ping:                     {expecting, "ok"},
		`[[1 2] ` + ping + `]` + ping:   {"expected ',' or ']'", "ok"},
		`[nul]` + ping:                  {"invalid keyword 'nul'", "ok"},
		`truefalse ` + ping:             {"invalid keyword 'truefalse'", "ok"},
		"[1 2, \xff" + ping:             {"expected ',' or ']'", "ok"},
		"[1 2\n" + ping:                 {"expected ',' or ']'"},
		`{"a":1,"a":2}` + ping:          {"duplicate key", "ok"},
		`{"a":1,"\u0061":[2]}` + ping:   {"duplicate key", "ok"},
		`{"a":1,"a":2,` + "\xff" + ping: {"duplicate key", "ok"},
		`{"a":1,"a":x}` + ping:          {"invalid keyword 'x'", "ok"},
		`{"a":{"a":1},"b":{"a":1}}`:     {"QMP input member 'a' is unexpected"},

		// Text.
		`["\a"]` + ping:                 {"invalid escape sequence in string", "ok"},
		`["\é"]` + ping:                 {"invalid escape sequence in string", "ok"},
		`["\u12G4"]` + ping:             {`\\u12G4 is not a valid Unicode character`, "ok"},
		`["\u12"]` + ping:               {`\\u12 is not a valid Unicode character`, "ok"},
		`["\ud800"]` + ping:             {`\\ud800 is not a valid Unicode character`, "ok"},
		`["\udc00\ud800"]` + ping:       {`\\udc00 is not a valid Unicode character`, "ok"},
		`["\ud800\u0041"]` + ping:       {`\\ud800 is not a valid Unicode character`, "ok"},
		`["\uffff"]` + ping:             {`\\uffff is not a valid Unicode character`, "ok"},
		`["\ufdd0"]` + ping:             {`\\ufdd0 is not a valid Unicode character`, "ok"},
		`["\ud83f\udffe"]` + ping:       {`\\ud83f\\udffe is not a valid Unicode character`, "ok"},
		"[\"\x80\"]" + ping:             {badUTF8, "ok"},
		"[\"\xc0\x81\"]" + ping:         {badUTF8, "ok"},
		"[\"\xc1\xbf\"]" + ping:         {badUTF8, "ok"},
		"[\"\xe0\x9f\xbf\"]" + ping:     {badUTF8, "ok"},
		"[\"\xed\xa0\x80\"]" + ping:     {badUTF8, "ok"},
		"[\"\xef\xbf\xbe\"]" + ping:     {badUTF8, "ok"},
		"[\"\xef\xb7\x90\"]" + ping:     {badUTF8, "ok"},
		"[\"\xf4\x90\x80\x80\"]" + ping: {badUTF8, "ok"},
		"[\"\xe2\x82\"]" + ping:         {badUTF8, "ok"},
		"{\"\xc3\":1}" + ping:           {badUTF8, "ok"},

		// No object.
		`[]7 "x" null` + ping: {notObject, notObject, notObject, notObject, "ok"},
	} {
		require.Equal(t, want, faults(t, stream), "%q", stream)
	}
}

func TestPlaces(t *testing.T) {
	for stream, want := range map[string]string{
		"\n\n  }":               "3:3",
		"{\"a\":\n\r\t\"é\" 7 ": "2:8",
		"[\n\"a\n":              "2:1",
		"\xff":                  "1:1",
	} {
		require.Contains(t, replies(t, stream)[0], `"desc": "`+want+`: JSON parse error, `, "%q", stream)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	desc := faults(t, strings.Repeat("x", 5000)+" ")[0]
	require.Len(t, desc, 1023)
	require.Less(t, len(faults(t, `{"`+strings.Repeat("x", 1<<20)+`":0}`)[0]), 70_000)
}

// Requests are complete with their last brace; nothing behind it is awaited.
func TestNoReadAhead(t *testing.T) {
	r, w := io.Pipe()
	d := qapi.NewDecoder(r, qapi.Limits{})
	for range 3 {
		go w.Write([]byte(ping))
		v, err := d.Next()
		require.NoError(t, err)
		require.Equal(t, qapi.Object, v.Kind())
	}
}

func TestReaderErrors(t *testing.T) {
	d := qapi.NewDecoder(iotest.TimeoutReader(strings.NewReader(`{"execute":`)), qapi.Limits{})
	for range 2 {
		_, err := d.Next()
		require.ErrorIs(t, err, iotest.ErrTimeout, "final")
	}
	d = qapi.NewDecoder(iotest.DataErrReader(strings.NewReader(ping)), qapi.Limits{})
	_, err := d.Next()
	require.NoError(t, err, "bytes that come with an error are served")
	_, err = d.Next()
	require.ErrorIs(t, err, io.EOF)
	_, err = qapi.NewDecoder(silent{}, qapi.Limits{}).Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestChunks(t *testing.T) {
	stream := "\xff" + echo(`["é\u00e9\'", -12.5e+3, true]`) + `{"a":1,"a":` + "[1 2,\n" + `"\` + "\xff" + ping + "12 nul " + ping
	want, _ := serve(strings.NewReader(stream), qapi.Limits{})
	got, _ := serve(iotest.OneByteReader(strings.NewReader(stream)), qapi.Limits{})
	require.Equal(t, want, got)
}
