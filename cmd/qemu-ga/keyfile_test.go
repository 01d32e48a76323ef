package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseKeyFile(t *testing.T) {
	entries, groups, err := parseKeyFile([]byte("" +
		"# comment\r\n  # comment\n\n" +
		"  [one]  \n" +
		"a = 1 ; # not a comment \n" +
		"b=\n" +
		"a=2\r\n" +
		"name[de]=x\n" +
		"spaced key=y=z\n" +
		"[two]\na=3\n" +
		"[one]\nc=4"))
	require.NoError(t, err)
	require.Equal(t, []entry{
		{"one", "b", "", 6},
		{"one", "a", "2", 7},
		{"one", "name[de]", "x", 8},
		{"one", "spaced key", "y=z", 9},
		{"two", "a", "3", 11},
		{"one", "c", "4", 13},
	}, entries)
	require.Equal(t, []groupHead{{"one", 4}, {"two", 10}}, groups)
}

func TestParseKeyFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"[g]\nword":     `line 2: "word" is not a key-value pair, group, or comment`,
		"[g":            `line 1: "[g" is not`,
		"[g] x":         `line 1: "[g] x" is not`,
		"[]":            "line 1: invalid group name: \"\"",
		"[a[b]":         "line 1: invalid group name: \"a[b\"",
		"[a\tb]":        "line 1: invalid group name: \"a\\tb\"",
		"[g]\n=x":       `line 2: invalid key name: ""`,
		"[g]\na]=x":     `line 2: invalid key name: "a]"`,
		"[g]\na[x=1":    `line 2: invalid key name: "a[x"`,
		"[g]\na[x]y=1":  `line 2: invalid key name`,
		"[g]\na[$]=1":   `line 2: invalid key name`,
		"[g]\na=\x00":   "line 2: it is not text",
		"a=b\n[g]\nc=d": "line 1: the file does not start with a group",
	} {
		_, _, err := parseKeyFile([]byte(text))
		require.ErrorContains(t, err, want, "%q", text)
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"":             "",
		"plain text ":  "plain text ",
		"  two\tthree": `\s\stwo` + "\tthree",
		"\t x":         `\t\sx`,
		"a\nb\rc\\d":   `a\nb\rc\\d`,
		"größe":        "größe",
	} {
		require.Equal(t, want, escape(text))
		back, err := unescape(want)
		require.NoError(t, err)
		require.Equal(t, text, back)
	}
}

func FuzzKeyFile(f *testing.F) {
	for _, text := range []string{
		"[general]\na=b\n", "# c\n[g]\nk[de]=\\s\\n\n", "[g]\nk=v\nk=w", "\xef\xbb\xbf[g]", "[a]\n[b]\n[a]\nx = y ;z",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, groups, err := parseKeyFile(data)
		if err != nil {
			return
		}
		known := map[string]bool{}
		for _, g := range groups {
			require.NotEmpty(t, g.name)
			known[g.name] = true
		}
		seen := map[[2]string]bool{}
		for _, e := range entries {
			require.True(t, known[e.group])
			require.True(t, validKey(e.key))
			require.False(t, seen[[2]string{e.group, e.key}])
			seen[[2]string{e.group, e.key}] = true
			if text, err := unescape(e.value); err == nil {
				back, err := unescape(escape(text))
				require.NoError(t, err)
				require.Equal(t, text, back)
			}
		}
	})
}
