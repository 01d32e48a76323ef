package mountinfo

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	table := strings.Join([]string{
		`22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro`,
		`40 22 0:35 /@home /home rw,noatime shared:2 master:7 - btrfs /dev/vdb rw,subvolid=257,subvol=/@home`,
		`41 22 7:0 / /mnt/a\040b\011c\134d\012e rw - xfs /dev/loop0 rw`,
		`42 22 0:40 / /srv rw - fuse.sshfs host:\040dir rw,user_id=0`,
		`43 22 0:41 / /run/x rw -  none rw`,
		`44 22 0:42 / /run/y rw - tmpfs  rw`,
	}, "\n")
	mounts, err := Parse(strings.NewReader(table))
	require.NoError(t, err)
	require.Len(t, mounts, 6)
	require.Equal(t, Mount{
		ID: 22, Parent: 1, Dev: Dev{254, 1}, Root: "/", Point: "/", Options: "rw,relatime",
		FSType: "ext4", Source: "/dev/vda1", SuperOptions: "rw,errors=remount-ro",
	}, mounts[0])
	require.Equal(t, "/@home", mounts[1].Root)
	subvol, ok := mounts[1].SuperOption("subvol")
	require.True(t, ok)
	require.Equal(t, "/@home", subvol)
	_, ok = mounts[1].SuperOption("logdev")
	require.False(t, ok)
	require.True(t, mounts[1].HasOption("noatime"))
	require.False(t, mounts[1].HasOption("ro"))
	require.Equal(t, "/mnt/a b\tc\\d\ne", mounts[2].Point)
	require.Equal(t, "fuse.sshfs", mounts[3].FSType)
	require.Equal(t, "host: dir", mounts[3].Source)
	require.Equal(t, "none", mounts[4].Source)
	require.Empty(t, mounts[5].Source)
}

// A container with a hundred overlay layers writes a line that is longer than
// a bufio.Scanner takes.
func TestParseLongLine(t *testing.T) {
	layers := strings.Repeat("/var/lib/containers/storage/overlay/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ:", 2000)
	line := "50 22 0:50 / /merged rw - overlay overlay rw,lowerdir=" + layers + "\n"
	mounts, err := Parse(strings.NewReader(line + "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n"))
	require.NoError(t, err)
	require.Len(t, mounts, 2)
	require.Equal(t, "/", mounts[1].Point)
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{
		"22 1 254:1 / / rw",
		"22 1 254:1 / - ext4 /dev/vda1 rw",
		"x 1 254:1 / / rw - ext4 /dev/vda1 rw",
		"22 x 254:1 / / rw - ext4 /dev/vda1 rw",
		"22 1 2541 / / rw - ext4 /dev/vda1 rw",
		"22 1 a:1 / / rw - ext4 /dev/vda1 rw",
		"22 1 1:4294967296 / / rw - ext4 /dev/vda1 rw",
		"22 1 254:1 / / rw - ext4 /dev/vda1",
	} {
		_, err := Parse(strings.NewReader("21 1 254:0 / /a rw - ext4 /dev/vda rw\n" + line + "\n"))
		require.ErrorContains(t, err, "line 2", "%q", line)
	}
}

func TestReadOwnTable(t *testing.T) {
	mounts, err := Read("/proc/self/mountinfo")
	require.NoError(t, err)
	var root bool
	for _, m := range mounts {
		root = root || m.Point == "/"
	}
	require.True(t, root, "a mount table has a root")
	_, err = Read("/does/not/exist")
	require.ErrorContains(t, err, "cannot read the mount table")
}

func FuzzParse(f *testing.F) {
	f.Add("22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n")
	f.Add("41 22 7:0 / /a\\040b\\134 rw - xfs /dev/loop0 rw\n")
	f.Add("41 22 7:0 / /a\\9 rw - - - -\n")
	f.Fuzz(func(t *testing.T, table string) {
		mounts, err := Parse(strings.NewReader(table))
		if err != nil {
			return
		}
		if lines := strings.Count(table, "\n") + 1; len(mounts) > lines {
			t.Fatalf("%d mounts from %d lines", len(mounts), lines)
		}
		for _, m := range mounts {
			if dev, err := ParseDev(m.Dev.String()); err != nil || dev != m.Dev {
				t.Fatalf("device %v does not read back: %v, %v", m.Dev, dev, err)
			}
		}
	})
}
