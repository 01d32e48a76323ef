package selinux

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzKernelText reads what the kernel says of its policy, of a process and of
// its own lockdown, whatever that is.
func FuzzKernelText(f *testing.F) {
	for _, text := range []string{
		"system_u:system_r:virt_qemu_ga_t:s0\x00", "ffffffff 0 ffffffff 0 4 0", "1", "0\n",
		"none [integrity] confidentiality\n", "Name:\tqemu-ga\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n",
		"/usr/bin/qemu-ga (enforce)\n", "::::", "[", "CapEff:\t" + string(make([]byte, 64)),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_ = parseContext([]byte(text))
		_ = parseMode([]byte(text))
		require.LessOrEqual(t, len(parseLockdown(text)), len(text))
		require.LessOrEqual(t, len(parseProfile(text)), len(text))
		_ = parseStatus(text)
		_, _ = parseDecision(text)
	})
}
