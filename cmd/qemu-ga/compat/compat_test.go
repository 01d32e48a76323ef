package compat_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"qemu-ga/freeze/mountinfo"

	"github.com/stretchr/testify/require"
)

// leastRequests is how many requests the scripts are to hold at least.
const leastRequests = 400

// TestCompat runs every script against both programs.
func TestCompat(t *testing.T) {
	need(t)
	furnish(t)
	paths, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	found := findings{}
	requests := 0
	for _, path := range paths {
		s, err := readScript(path)
		require.NoError(t, err)
		requests += s.requests()
		t.Run(s.name, func(t *testing.T) {
			want := play(t, theirs, s, nil)
			got := play(t, ours, s, want)
			for i, st := range s.steps {
				compare(t, found, s, st, want[i], got[i])
			}
		})
	}
	if t.Failed() {
		return
	}
	require.GreaterOrEqual(t, requests, leastRequests)
	for _, d := range differences {
		require.NotEmpty(t, found[d.name], "the difference %s does not occur", d.name)
	}
	t.Logf("%d requests in %d scripts; %d differences, all on purpose:\n%s", requests, len(paths), len(differences), found)
}

// requests counts the steps that send something.
func (s script) requests() int {
	n := 0
	for _, st := range s.steps {
		if len(st.pieces) > 0 {
			n++
		}
	}
	return n
}

// compare compares what a step was answered.
func compare(t *testing.T, found findings, s script, st step, want, got answer) {
	t.Helper()
	parsed := func(lines []string, a answer) []reply { return parseAll(lines, a, st.masks) }
	theirs, ours := parsed(want.lines, want), parsed(got.lines, got)
	at := fmt.Sprintf("%s.txt:%d: %s %s", s.name, st.line, st.do, shorten(st.text))
	if d := st.differs; d != nil {
		switch {
		case same(theirs, ours):
			t.Errorf("%s\nthe difference %s does not occur: both answer%s", at, d.name, show(ours))
		case !same(theirs, parsed(d.theirs, want)):
			t.Errorf("%s\ntheirs:%s\nexpected:%s", at, show(theirs), show(parsed(d.theirs, want)))
		case !same(ours, parsed(d.ours, got)):
			t.Errorf("%s\nours:%s\nexpected:%s", at, show(ours), show(parsed(d.ours, got)))
		}
		found.add(t, d.name, fmt.Sprintf("%s:%d", s.name, st.line))
		return
	}
	if same(theirs, ours) {
		if len(st.masks) == 0 {
			requireSameText(t, at, theirs, ours)
		}
		return
	}
	used := applyRules(&theirs, &ours)
	if !same(theirs, ours) {
		t.Errorf("%s\ntheirs:%s\nours:%s", at, show(parsed(want.lines, want)), show(parsed(got.lines, got)))
		return
	}
	for _, name := range used {
		found.add(t, name, fmt.Sprintf("%s:%d", s.name, st.line))
	}
}

// requireSameText says that equal replies are also spelt equally, but for the
// order of members.
func requireSameText(t *testing.T, at string, theirs, ours []reply) {
	t.Helper()
	for i := range theirs {
		if theirs[i].size != ours[i].size {
			t.Errorf("%s\nreply %d is the same, but spelt in %d bytes by theirs and %d by ours", at, i+1, theirs[i].size, ours[i].size)
		}
	}
}

// findings tells where each difference occurred.
type findings map[string][]string

func (f findings) add(t *testing.T, name, where string) {
	t.Helper()
	if !slices.ContainsFunc(differences, func(d difference) bool { return d.name == name }) {
		t.Errorf("%s: the table has no difference %s", where, name)
	}
	f[name] = append(f[name], where)
}

// String is a table for people.
func (f findings) String() string {
	var b strings.Builder
	for _, d := range differences {
		fmt.Fprintf(&b, "%-20s %3d times, first at %s\n", d.name, len(f[d.name]), f[d.name][0])
	}
	return b.String()
}

func shorten(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// mounts are the filesystems on loop devices.
func mounts(t *testing.T) []mountinfo.Mount {
	t.Helper()
	all, err := mountinfo.Read("/proc/self/mountinfo")
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(m mountinfo.Mount) bool { return !strings.HasPrefix(m.Source, "/dev/loop") })
}

// mountPoints are where they are mounted.
func mountPoints(t *testing.T) []string {
	t.Helper()
	var points []string
	for _, m := range mounts(t) {
		points = append(points, m.Point)
	}
	return points
}

// groundDisks are the names of the ground's disks.
var groundDisks = sync.OnceValue(func() []string {
	all, _ := mountinfo.Read("/proc/self/mountinfo")
	var names []string
	for _, m := range all {
		if name, ok := strings.CutPrefix(m.Source, "/dev/"); ok {
			names = append(names, name)
		}
	}
	return names
})

// sourceOf is the device of the filesystem at point.
func sourceOf(t *testing.T, point string) string {
	t.Helper()
	for _, m := range mounts(t) {
		if m.Point == point {
			return m.Source
		}
	}
	t.Fatalf("nothing is mounted at %s", point)
	return ""
}
