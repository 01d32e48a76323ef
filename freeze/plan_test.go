package freeze

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/freeze/mountinfo"
)

var update = flag.Bool("update", false, "write the golden files anew")

// render shows a plan as text.
func render(p plan) string {
	var b strings.Builder
	for n, level := range p.levels {
		for _, i := range level {
			f := p.targets[i]
			fmt.Fprintf(&b, "level %d: %s %s %s\n", n, f.Dev, f.Type, strings.Join(f.points(), " "))
			if len(f.Devices) != 1 || f.Devices[0] != f.Dev {
				fmt.Fprintf(&b, "\tdevices %v\n", f.Devices)
			}
			if len(f.Disks) > 0 {
				fmt.Fprintf(&b, "\tdisks %v\n", f.Disks)
			}
			for _, file := range f.Backing {
				fmt.Fprintf(&b, "\ton file %s\n", file.Path)
			}
			for _, j := range p.lands[i] {
				fmt.Fprintf(&b, "\tlands on %s\n", p.targets[j].name())
			}
		}
	}
	for _, s := range p.skipped {
		fmt.Fprintf(&b, "skipped: %s %s: %s\n", s.fs.Type, s.fs.name(), s.reason)
	}
	return b.String()
}

// The plans for captured guests.
func TestPlanOfGuests(t *testing.T) {
	tables, err := filepath.Glob("../testdata/guests/*/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	for _, table := range tables {
		root := strings.TrimSuffix(table, "/proc/self/mountinfo")
		t.Run(filepath.Base(root), func(t *testing.T) {
			e := New(Config{Mounts: table, Sys: root + "/sys", Dev: root + "/dev"})
			mounts, all, err := e.survey()
			require.NoError(t, err)
			p, err := makePlan(all, mounts, selection{})
			require.NoError(t, err)
			golden := "testdata/plans/" + filepath.Base(root) + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(render(p)), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), render(p))
		})
	}
}

// table makes filesystems and mounts of lines "MAJOR:MINOR TYPE POINT [FILE]",
// where FILE is "DEV:NUMBER PATH" below a loop device.
func table(lines ...string) (all []*filesystem, mounts []mountinfo.Mount) {
	files := map[mountinfo.Dev][]backing{}
	for id, line := range lines {
		fields := strings.Fields(line)
		dev, err := mountinfo.ParseDev(fields[0])
		if err != nil {
			panic(err)
		}
		mounts = append(mounts, mountinfo.Mount{ID: id, Dev: dev, FSType: fields[1], Point: fields[2]})
		if len(fields) > 3 {
			holder, err := mountinfo.ParseDev(fields[3])
			if err != nil {
				panic(err)
			}
			files[dev] = append(files[dev], backing{holder, fields[4]})
		}
	}
	all = fold(mounts)
	for _, f := range all {
		f.Backing = files[f.Dev]
	}
	return all, mounts
}

// names names the targets of each level.
func names(p plan) []string {
	var order []string
	for _, level := range p.levels {
		var together []string
		for _, i := range level {
			together = append(together, p.targets[i].name())
		}
		order = append(order, strings.Join(together, " "))
	}
	return order
}

func TestOrder(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  []string
	}{
		{"root is last", []string{"8:1 ext4 /", "8:2 xfs /var", "8:3 ext4 /home"}, []string{"/var /home", "/"}},
		{"only root", []string{"8:1 ext4 /"}, []string{"/"}},
		{"nothing", []string{"0:1 proc /proc"}, nil},
		{"a loop file", []string{"8:1 ext4 /", "7:0 ext4 /mnt 8:1 /image"}, []string{"/mnt", "/"}},
		{
			"loops in loops",
			[]string{"8:1 ext4 /", "8:2 ext4 /srv", "7:0 xfs /a 8:2 /srv/i", "7:1 ext4 /b 7:0 /a/i", "8:3 ext4 /c"},
			[]string{"/b /c", "/a", "/srv", "/"},
		},
		{
			"root on a loop file: live systems",
			[]string{"7:0 ext4 / 8:1 /live/root.img", "8:1 ext4 /run/live", "8:2 ext4 /home"},
			[]string{"/home", "/", "/run/live"},
		},
		{
			"the number counts, not the path",
			[]string{"8:1 ext4 /", "8:2 ext4 /srv", "7:0 xfs /a 8:2 /elsewhere/i"},
			[]string{"/a", "/srv", "/"},
		},
		{
			"no number: the path, by the mount made last",
			[]string{"8:1 ext4 /", "8:2 ext4 /srv", "8:3 ext4 /srv", "7:0 xfs /a 0:0 /srv/i"},
			[]string{"/srv /a", "/srv", "/"},
		},
		{
			"on a filesystem that is not frozen",
			[]string{"8:1 ext4 /", "0:30 tmpfs /tmp", "7:0 xfs /a 0:30 /tmp/i"},
			[]string{"/a", "/"},
		},
		{
			"a subvolume's number: the btrfs of the path",
			[]string{"8:1 ext4 /", "0:30 btrfs /srv", "0:31 btrfs /vol", "7:0 xfs /a 0:99 /vol/images/i"},
			[]string{"/srv /a", "/vol", "/"},
		},
		{
			"a subvolume's number and a path that is wrong: every btrfs",
			[]string{"8:1 ext4 /", "0:30 btrfs /srv", "0:31 btrfs /vol", "7:0 xfs /a 0:99 /gone/i"},
			[]string{"/a", "/srv /vol", "/"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all, mounts := table(test.lines...)
			p, err := makePlan(all, mounts, selection{})
			require.NoError(t, err)
			require.Equal(t, test.want, names(p))
		})
	}
}

// A filesystem between two that are frozen may be left out; the order of the
// two stays.
func TestOrderAcrossExcluded(t *testing.T) {
	all, mounts := table("8:2 ext4 /srv", "7:0 xfs /a 8:2 /srv/i", "7:1 ext4 /b 7:0 /a/i")
	p, err := makePlan(all, mounts, selection{exclude: []string{"xfs"}})
	require.NoError(t, err)
	require.Equal(t, []string{"/b", "/srv"}, names(p))
	require.Equal(t, [][]int{nil, {0}}, p.lands)
}

// Guessing may close a cycle; the order must exist all the same.
func TestOrderOfCycle(t *testing.T) {
	edges := acyclic([][]int{{1}, {2}, {0}})
	require.Len(t, levels(edges, -1), 3)
	require.Equal(t, [][]int{{1}, {2}, {}}, edges)
}

func TestSkippedReasons(t *testing.T) {
	all, mounts := table("8:1 ext4 /", "0:5 tmpfs /run", "0:6 nfs4 /net", "0:7 fuse.sshfs /ssh", "0:8 overlay /merged",
		"0:9 proc /proc", "0:10 zfs /tank", "8:2 xfs /x")
	p, err := makePlan(all, mounts, selection{exclude: []string{"/x"}})
	require.NoError(t, err)
	require.Equal(t, `level 0: 8:1 ext4 /
	devices []
skipped: tmpfs /run: it is not on a disk: it is kept in memory
skipped: nfs4 /net: it is not on a disk of this guest: its server holds it
skipped: fuse.sshfs /ssh: it is not on a disk of this guest: a FUSE program holds it
skipped: overlay /merged: its writes land on the filesystem of its upper layer
skipped: zfs /tank: zfs has no freeze operation in Linux
skipped: xfs /x: the configuration excludes it (/x)
`, render(p))
}

func TestByDisk(t *testing.T) {
	disks := func(minors ...uint32) target {
		f := &filesystem{}
		for _, m := range minors {
			f.Disks = append(f.Disks, device{Major: 8, Minor: m})
		}
		return target{filesystem: f}
	}
	require.Equal(t, [][]int{{0}, {1}}, byDisk([]target{disks(1), disks(2)}))
	require.Equal(t, [][]int{{1}, {0, 2}}, byDisk([]target{disks(1), disks(2), disks(1)}))
	require.Equal(t, [][]int{{1, 0, 2}}, byDisk([]target{disks(1), disks(2), disks(1, 2)}))
	require.Equal(t, [][]int{{0}, {1}}, byDisk([]target{disks(), disks()}))
}
