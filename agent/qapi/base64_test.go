package qapi

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBase64(t *testing.T) {
	for text, want := range map[string]string{
		"":             "",
		"SGVsbG8=":     "Hello",
		"SGVsbG8h":     "Hello!",
		"SGVs\nbG8=\n": "Hello",
		"\n\n":         "",
		"S\nG\nV\ns":   "Hel",
		"AA=A":         "\x00\x00",
		"A===":         "\x00",
		"====":         "\x00",
		"AA==AA==":     "\x00\x00",
		"=AAA":         "\x00\x00\x00",
		"A=AA":         "\x00\x00\x00",
		"AAA":          "",
		"AAAAA":        "\x00\x00\x00",
		"AAAAAAA\n":    "\x00\x00\x00",
		"+/+/":         "\xfb\xff\xbf",
		"QUFBAA==QUFB": "AAA\x00AAA",
	} {
		got, ok := decodeBase64([]byte(text))
		require.True(t, ok, "%q", text)
		require.Equal(t, want, string(got), "%q", text)
	}
	for _, text := range []string{"!", "QUFB ", "QUFB\r\n", "QU-_", "QUF\x00", "QUFBé", "\t"} {
		b := []byte(text)
		_, ok := decodeBase64(b)
		require.False(t, ok, "%q", text)
		require.Equal(t, text, string(b), "untouched")
	}
}

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "QUJD", "QUI=", "QQ==", "QU\nJD\n", "AA=A", "=====", "QUJDREVG=", "é", "QUJDQUJD\nQUJD"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// Any bytes survive the way there and back, also in lines.
		text := base64.StdEncoding.EncodeToString(data)
		got, ok := decodeBase64([]byte(text))
		require.True(t, ok)
		require.True(t, bytes.Equal(data, got))
		lines := strings.Join(slices.Collect(split(text, 7)), "\n")
		got, ok = decodeBase64([]byte(lines))
		require.True(t, ok)
		require.True(t, bytes.Equal(data, got))

		// Any text is refused, or decoded as the rules say.
		got, ok = decodeBase64(bytes.Clone(data))
		want, wantOK := slowBase64(string(data))
		require.Equal(t, wantOK, ok)
		require.True(t, bytes.Equal(want, got))
	})
}

// split cuts s into pieces of n bytes.
func split(s string, n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > n && yield(s[:n]) {
			s = s[n:]
		}
		yield(s)
	}
}

// slowBase64 is the rules once more, as plainly as can be.
func slowBase64(s string) (data []byte, ok bool) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	if strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(digits+"=\n", r) }) {
		return nil, false
	}
	s = strings.ReplaceAll(s, "\n", "")
	for ; len(s) >= 4; s = s[4:] {
		n := 0
		for i := range 4 {
			n = n<<6 | max(0, strings.IndexByte(digits, s[i]))
		}
		group := []byte{byte(n >> 16), byte(n >> 8), byte(n)}
		data = append(data, group[0])
		if s[2] != '=' {
			data = append(data, group[1])
		}
		if s[3] != '=' {
			data = append(data, group[2])
		}
	}
	return data, true
}
