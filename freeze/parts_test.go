package freeze

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func number(major, minor uint32) device { return device{Major: major, Minor: minor} }

func TestWords(t *testing.T) {
	require.Equal(t, "Permission denied", words(unix.EACCES))
	require.Equal(t, "Input/output error", words(unix.EIO))
	require.ErrorIs(t, spell(unix.EIO), unix.EIO)
}

// Everything that a target lands on is thawed before it, one that is refused
// keeps those above it, and the rest does not wait.
func TestThawingOrder(t *testing.T) {
	var begun []int
	th := newThawing([][]int{{1}, {2}, nil, nil}, []bool{true, true, true, true}, func(i int) { begun = append(begun, i) })
	always := func(int) bool { return true }
	th.next(always)
	require.Equal(t, []int{2, 3}, begun)
	th.finished(3, 0)
	th.next(always)
	require.Equal(t, []int{2, 3}, begun)
	th.finished(2, unix.EINVAL) // thawed by somebody else
	th.next(always)
	require.Equal(t, []int{2, 3, 1}, begun)
	th.finished(1, unix.EACCES)
	th.next(always)
	require.Equal(t, []int{2, 3, 1}, begun, "0 lands on what is frozen still")
}

// statLine is what the kernel writes, with so many writes completed.
func statLine(t *testing.T, sys, dev, writes string) {
	t.Helper()
	path := filepath.Join(sys, "dev/block", dev, "stat")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	line := "9 0 72 1 " + writes + " 0 0 0 0 4 4 0 0 0 0 2 0\n"
	require.NoError(t, os.WriteFile(path, []byte(line), 0o600))
}

func TestCompleted(t *testing.T) {
	sys := t.TempDir()
	statLine(t, sys, "8:1", "40")
	statLine(t, sys, "8:2", "1")
	done := func(minors ...uint32) uint64 {
		var devices []device
		for _, minor := range minors {
			devices = append(devices, number(8, minor))
		}
		n, known := completed(sys, devices)
		require.True(t, known)
		return n
	}
	require.EqualValues(t, 42, done(1), "writes and flushes")
	require.EqualValues(t, 45, done(1, 2, 3))
	require.NoError(t, os.WriteFile(filepath.Join(sys, "dev/block/8:2/stat"), []byte("1 2 3 4 5 6\n"), 0o600))
	require.EqualValues(t, 5, done(2), "kernels before 4.18 have fewer fields")
	_, known := completed(sys, []device{number(8, 3)})
	require.False(t, known)
	require.NoError(t, os.Mkdir(filepath.Join(sys, "dev/block/8:1/queue"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(sys, "dev/block/8:1/queue/iostats"), []byte("0\n"), 0o600))
	_, known = completed(sys, []device{number(8, 1)})
	require.False(t, known, "it does not count")
}

func TestStallWatch(t *testing.T) {
	sys := t.TempDir()
	statLine(t, sys, "8:1", "1")
	statLine(t, sys, "8:2", "1")
	disk := func(minor uint32, point string) target {
		return target{filesystem: &filesystem{Source: "/dev/sd", Devices: []device{number(8, minor)}}, point: point}
	}
	w := newStallWatch(sys, 15*time.Second)
	look := func(seconds int) (err error) {
		for range time.Duration(seconds) * time.Second / stallPeriod {
			err = errors.Join(err, w.check())
		}
		return err
	}
	w.begin(0, disk(1, "/slow"))
	w.begin(1, disk(2, "/hung"))
	w.begin(2, disk(3, "/blind"))
	require.NoError(t, look(14))
	statLine(t, sys, "8:1", "2")
	require.ErrorContains(t, look(2), "cannot freeze /hung: its disk (/dev/sd) has completed no write for 15s")
	w.end(1)
	require.NoError(t, look(12))
	require.ErrorContains(t, look(2), "/slow")
	w.end(0)
	require.NoError(t, look(25))
	require.ErrorContains(t, look(10), "cannot freeze /blind: its disk (/dev/sd) has completed no write for 1m0s", "nobody can tell whether it works")
}

func TestStandstill(t *testing.T) {
	sys := t.TempDir()
	statLine(t, sys, "8:1", "1")
	statLine(t, sys, "8:2", "1")
	disk := func(devices ...uint32) []string {
		f := &filesystem{}
		for _, minor := range devices {
			f.Devices = append(f.Devices, number(8, minor))
		}
		return target{filesystem: f}.statFiles(sys)
	}
	require.Len(t, disk(1, 2), 2)
	waits := []bool{true, true, true}
	s := newStandstill([][]string{disk(1), disk(1, 2), disk(3)}, 250*time.Millisecond)
	look := func() bool { return s.look(func(i int) bool { return waits[i] }) }
	require.False(t, look(), "what is there at first is no progress, and no standstill either")
	require.False(t, look())
	statLine(t, sys, "8:1", "2")
	require.False(t, look())
	require.False(t, look())
	require.False(t, look())
	statLine(t, sys, "8:2", "2")
	require.True(t, look(), "the first stands still")
	waits[0] = false
	require.False(t, look(), "it does not wait any more, and nothing is known of the last")
	require.False(t, look())
	require.True(t, look(), "the second stands still")
}

func TestTail(t *testing.T) {
	var out tail
	for _, piece := range []string{"begin", strings.Repeat("x", 3*tailSize), "end\n"} {
		n, err := out.Write([]byte(piece))
		require.NoError(t, err)
		require.Equal(t, len(piece), n)
	}
	require.Len(t, out.raw(), tailSize)
	require.True(t, strings.HasSuffix(out.String(), "xend"))
}

func TestStateFile(t *testing.T) {
	dir := t.TempDir()
	_, found, err := readState(dir)
	require.NoError(t, err)
	require.False(t, found)
	s := state{Phase: Frozen, Boot: bootID(), By: "me", Deadline: time.Minute, Targets: []stateTarget{{Dev: number(7, 1), Point: "/a b", Lands: []int{0}}}}
	file, err := s.write(dir)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	got, found, err := readState(dir)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, s, got)
	for _, text := range []string{"", "{", `{"phase":"sideways"}`, "\x00"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, stateName), []byte(text), 0o600))
		got, _, err = readState(dir)
		require.NoError(t, err)
		require.Equal(t, foreign, got, "%q", text)
	}
	require.NoError(t, removeState(dir))
	require.NoError(t, removeState(dir))
	_, err = s.write(filepath.Join(dir, "none"))
	require.ErrorContains(t, err, "cannot write the state file")
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"phase":"frozen","targets":[{"dev":{"Major":7,"Minor":1},"point":"/a","lands":[3]}]}`))
	f.Add([]byte(`{"phase":"expired","deadline":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, stateName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, _, err := readState(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains([]State{Freezing, Frozen, Expired, Thawed}, s.Phase) {
			t.Fatalf("phase %q", s.Phase)
		}
		for _, target := range s.Targets {
			if slices.ContainsFunc(target.Lands, func(j int) bool { return j < 0 || j >= len(s.Targets) }) {
				t.Fatalf("a target lands on what is not there: %v", target)
			}
		}
	})
}

// A state file that is written anew, in whichever domain of SELinux, stays
// the agent's.
func TestStateKeepsLabel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("labelling a file needs it: run the tests as root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, stateName)
	const name, label = "security.selinux", "system_u:object_r:qemu_ga_runtime_t:s0\x00"
	write := func(phase State) {
		file, err := state{Phase: phase}.write(dir)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	write(Frozen)
	require.NoError(t, unix.Lsetxattr(path, name, []byte(label), 0))
	write(Expired)
	var found [256]byte
	n, err := unix.Lgetxattr(path, name, found[:])
	require.NoError(t, err)
	require.Equal(t, label, string(found[:n]))
}
