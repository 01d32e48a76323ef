package guest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The wanted values are the answers of QEMU's agent 11.1 to the same file.
func TestParseOSRelease(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"plain":                 {"NAME=Debian", "Debian"},
		"double quotes":         {`NAME="Debian GNU/Linux"`, "Debian GNU/Linux"},
		"single quotes are not": {`NAME='Debian GNU/Linux'`, "'Debian"},
		"ends at a blank":       {"NAME=Debian GNU", "Debian"},
		"ends at a semicolon":   {"NAME=a;b", "a"},
		"quoted semicolon":      {`NAME="a;b"`, "a;b"},
		"escapes":               {`NAME="\"\\\$\'\` + "`" + `\n\x"`, `"\$'` + "`" + `\n\x`},
		"behind the quote":      {`NAME="a" # comment`, "a"},
		"quote inside":          {`NAME=a"b c"`, `a"b`},
		"unclosed":              {`NAME="un`, "unn"},
		"unclosed, escape":      {`NAME="a\`, `a\\`},
		"empty":                 {"NAME=", ""},
		"empty quotes":          {`NAME=""`, ""},
		"lone quote":            {`NAME="`, `"`},
		"last one counts":       {"NAME=a\nNAME=b", "b"},
		"blanks around":         {"  NAME =\t a", "a"},
		"carriage return":       {"NAME=a\r\n", "a"},
		"another key":           {"NAME=a\nNAME[de]=b", "a"},
		"own group":             {"[x]\nNAME=b\n[os-release]\nNAME=a", "a"},
		"another group":         {"NAME=a\n[x]\nNAME=b", "a"},
		"comments":              {"# NAME=b\n\n \t\nNAME=a#b", "a#b"},
		"NUL ends the file":     {"NAME=a\x00\nNAME=b", "a"},
		"non-ASCII":             {"NAME=\"Äpfel\"", "Äpfel"},
	} {
		vars, err := parseOSRelease(strings.NewReader(c.file))
		require.NoError(t, err, name)
		got, ok := vars["NAME"]
		require.True(t, ok, name)
		require.Equal(t, c.want, got, name)
	}
}

func TestParseOSReleaseRefusesTheWholeFile(t *testing.T) {
	for _, file := range []string{
		"NAME=a\nno assignment", "=a", "NAME=a\n[", "[]\nNAME=a", "[a]b]\nNAME=a",
		"NAME=\xff", "NA]ME=a", "NAME[de=a", "NAME [de]=a", "NAME=a\n\v",
	} {
		_, err := parseOSRelease(strings.NewReader(file))
		require.Error(t, err, file)
	}
}

func TestOSReleaseTakesTheFirstFileThatParses(t *testing.T) {
	t.Setenv("QGA_OS_RELEASE", "")
	r := tree(t, map[string]string{
		"/etc/os-release":     "broken",
		"/usr/lib/os-release": "ID=lib",
		"/fixture":            "ID=fixture",
		"/broken":             "broken",
	})
	require.Equal(t, map[string]string{"ID": "lib"}, r.OSRelease())
	t.Setenv("QGA_OS_RELEASE", "/fixture")
	require.Equal(t, map[string]string{"ID": "fixture"}, r.OSRelease())
	t.Setenv("QGA_OS_RELEASE", "/broken")
	require.Nil(t, r.OSRelease())
}

func FuzzParseOSRelease(f *testing.F) {
	f.Add("NAME=\"Debian GNU/Linux\"\nID=debian\n")
	f.Add("NAME=\"un\\")
	f.Add("[x]\nA[de]=b;c d\r\n# x")
	f.Fuzz(func(t *testing.T, file string) {
		vars, err := parseOSRelease(strings.NewReader(file))
		if err != nil {
			require.Nil(t, vars)
		}
		for key, value := range vars {
			require.NotEmpty(t, key)
			require.LessOrEqual(t, len(value), len(file))
		}
	})
}
