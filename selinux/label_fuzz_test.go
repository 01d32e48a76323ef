package selinux

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLabel: whatever a mount table or a filesystem has for a label, what is
// taken from it is one word of a question to the kernel, or nothing.
func FuzzLabel(f *testing.F) {
	for _, text := range []string{
		`rw,context="u:r:a_t:s0:c1,c2",size=4k`, "rootcontext=u:r:b_t:s0", `context="`, "u:r:t:s0 x", "\x00", ",,=,",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range []Context{optionLabel(text), parseContext([]byte(text))} {
			if c == "" {
				continue
			}
			require.Len(t, strings.Fields(string(c)), 1, "%q", c)
			require.LessOrEqual(t, len(c), maxContext)
			require.NotEmpty(t, c.Type())
			require.Equal(t, c, parseContext([]byte(string(c)+"\x00")))
		}
	})
}
