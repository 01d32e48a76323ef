package guest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/freeze/mountinfo"
)

// TestHiddenMounts says which mounts cannot be reached by their names. The last
// word of each line is "hidden" or "seen".
func TestHiddenMounts(t *testing.T) {
	const lines = `1 1 0:2 / / rw - rootfs rootfs rw,hidden
20 1 8:1 / / rw - ext4 /dev/sda1 rw,seen
21 20 8:2 / /mnt rw - ext4 /dev/sda2 rw,hidden
22 21 8:3 / /mnt rw - ext4 /dev/sda3 rw,seen
23 22 8:4 / /mnt/a rw - ext4 /dev/sda4 rw,seen
24 21 8:5 / /mnt/b rw - ext4 /dev/sda5 rw,hidden
30 20 8:6 / /srv/deep/er rw - ext4 /dev/sda6 rw,hidden
31 20 8:7 / /srv/deep rw - ext4 /dev/sda7 rw,seen
32 30 8:8 / /srv/deep/er/x rw - ext4 /dev/sda8 rw,hidden
33 20 8:9 / /srv/deeper rw - ext4 /dev/sda9 rw,seen
34 1 8:10 / /boot rw - ext4 /dev/sda10 rw,hidden
40 99 8:11 / /lost rw - ext4 /dev/sda11 rw,seen
50 51 8:12 / /round rw - ext4 /dev/sda12 rw,seen
51 50 8:13 / /about rw - ext4 /dev/sda13 rw,seen
`
	table, err := mountinfo.Parse(strings.NewReader(lines))
	require.NoError(t, err)
	require.Len(t, table, 14)
	hidden := hiddenIn(table)
	for _, m := range table {
		require.Equal(t, strings.HasSuffix(m.SuperOptions, ",hidden"), hidden(m), "%d at %s", m.ID, m.Point)
	}
}

// A filesystem is told of by the first of its mounts that can be reached, in
// the place of the first of all.
func TestFilesystemsByMountsThatAreSeen(t *testing.T) {
	r := tree(t, map[string]string{
		"/proc/self/mountinfo": "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
			"21 20 8:2 / /mnt rw - ext4 /dev/sda2 rw\n22 21 8:3 / /mnt rw - ext4 /dev/sda3 rw\n" +
			"23 20 8:2 /x /bind rw - ext4 /dev/sda2 rw\n24 20 8:3 / /second rw - ext4 /dev/sda3 rw\n" +
			"25 20 8:4 / /a/b rw - ext4 /dev/sda4 rw\n26 20 0:5 / /a rw - tmpfs tmpfs rw\n",
		"/a/b/file": "",
	})
	list, err := r.Filesystems(t.Context())
	require.NoError(t, err)
	var told []string
	for _, f := range list {
		told = append(told, f.Device+" "+f.Point)
	}
	require.Equal(t, []string{"8:4 /a/b", "8:3 /mnt", "8:2 /bind", "8:1 /"}, told)
	require.NotNil(t, list[3].Usage)
	require.Nil(t, list[0].Usage, "what lies there is another filesystem")
}
