package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMaps(t *testing.T) {
	spans := parseMaps(`00400000-0069d000 r-xp 00000000 fe:00 1837 /usr/bin/qemu-ga
Size:               2676 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
0069d000-007f2000 r--p 0029d000 fe:00 1837 /usr/bin/qemu-ga
Anonymous:             0 kB
007f2000-00800000 rw-p 003f2000 fe:00 1837 /usr/bin/qemu-ga
Anonymous:             0 kB
00800000-00830000 rw-p 00000000 00:00 0
Anonymous:             4 kB
00830000-00840000 r--p 00440000 fe:00 1837 /usr/bin/a program that is placed anywhere
Anonymous:            64 kB
c000000000-c000400000 rw-p 00000000 00:00 0 [heap]
Anonymous:             0 kB
7ffd1000-7ffd3000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
nonsense
7ffd5000-7ffd3000 r-xp 00000000 fe:00 1837 /usr/bin/backwards
Anonymous:             0 kB
`)
	require.Equal(t, []span{{0x400000, 0x29d000}, {0x69d000, 0x155000}}, spans)
}

// residentFile reads how much of files the process has mapped in, in kB: of
// files on a disk, or, if tests are built on a tmpfs, in memory.
func residentFile(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	sum := 0
	for _, key := range []string{"RssFile:", "RssShmem:"} {
		_, after, ok := strings.Cut(string(status), key)
		require.True(t, ok)
		kb, err := strconv.Atoi(strings.Fields(after)[0])
		require.NoError(t, err)
		sum += kb
	}
	return sum
}

// The program goes on after its pages were let go, with fewer of them.
func TestGiveBack(t *testing.T) {
	r := newResting()
	require.NotEmpty(t, r.program)
	before := residentFile(t)
	r.giveBack()
	require.Less(t, residentFile(t), before)
}
