package guest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const joID = 12345

// keysOfJo returns jo's file, in a guest whose jo may do what jo likes.
func keysOfJo(t *testing.T) (k *AuthorizedKeys, home string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("gives files away: run as root")
	}
	r := tree(t, map[string]string{"/home/jo/x": ""})
	home = filepath.Join(string(r), "home/jo")
	require.NoError(t, os.Chown(home, joID, joID))
	k, err := r.OpenAuthorizedKeys(User{Name: "jo", UID: joID, GID: joID, Home: "/home/jo"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	return k, home
}

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(path, &st))
	return int(st.Uid)
}

// Between its making and the moment it is given away, the directory may have
// been exchanged: root's directories must not become the user's.
func TestAuthorizedKeysGivesOnlyItsOwnDirectoryAway(t *testing.T) {
	k, home := keysOfJo(t)
	for name, make := range map[string]func(dir string) error{
		"another's": func(dir string) error { return os.Chown(dir, joID+1, 0) },
		"not empty": func(dir string) error { return os.WriteFile(dir+"/secret", nil, 0o600) },
	} {
		dir := filepath.Join(home, sshDir)
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, make(dir), name)
		before := ownerOf(t, dir)
		fd, err := k.openDir()
		require.NoError(t, err)
		require.EqualError(t, k.ownNew(fd), "another directory was put in its place", name)
		require.NoError(t, unix.Close(fd))
		require.Equal(t, before, ownerOf(t, dir), name)
		require.NoError(t, os.RemoveAll(dir))
	}
	require.NoError(t, k.Write([]byte("key\n")))
	require.Equal(t, joID, ownerOf(t, filepath.Join(home, sshDir)))
}

// The home that was opened is the one that is worked in, wherever its name
// leads by now.
func TestAuthorizedKeysStayInTheHome(t *testing.T) {
	k, home := keysOfJo(t)
	elsewhere := t.TempDir()
	require.NoError(t, os.Rename(home, home+".old"))
	require.NoError(t, os.Symlink(elsewhere, home))
	require.NoError(t, k.Write([]byte("key\n")))
	require.NoFileExists(t, elsewhere+"/.ssh/authorized_keys")
	data, err := k.Read()
	require.NoError(t, err)
	require.Equal(t, "key\n", string(data))
}

// A directory that was there keeps its mode and owner; a full disk leaves the
// file as it was.
func TestAuthorizedKeysKeepsWhatIsThere(t *testing.T) {
	k, home := keysOfJo(t)
	dir := filepath.Join(home, sshDir)
	require.NoError(t, os.Mkdir(dir, 0o750))
	require.NoError(t, k.Write([]byte("one\n")))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.EqualValues(t, 0o750, info.Mode().Perm())
	require.Zero(t, ownerOf(t, dir))

	require.NoError(t, os.Mkdir(dir+"/sub", 0o700))
	require.NoError(t, os.Rename(dir+"/authorized_keys", dir+"/sub/x"))
	require.NoError(t, os.Rename(dir+"/sub", dir+"/authorized_keys"))
	require.ErrorIs(t, k.Write([]byte("two\n")), unix.EISDIR)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "a temporary file is left")
}

// TestAuthorizedKeysLabel has the kernel keep labels, as it does with SELinux
// on or off; the policy's answers are a file's.
func TestAuthorizedKeysLabel(t *testing.T) {
	const wrong, right = "unconfined_u:object_r:user_home_t:s0:c1", "unconfined_u:object_r:ssh_home_t:s0:c1"
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(root+"/home/jo/.ssh", 0o700))
	set := func(name string) {
		t.Helper()
		if err := unix.Setxattr(name, labelAttr, []byte(wrong+"\x00"), 0); err != nil {
			t.Skipf("labels cannot be kept here (%v): run the tests as root on ext4 or tmpfs", err)
		}
	}
	label := func(name string) string {
		t.Helper()
		f, err := os.Open(name)
		require.NoError(t, err)
		defer f.Close()
		text, err := fileLabel(int(f.Fd()))
		require.NoError(t, err)
		return text
	}
	dir := root + "/home/jo/.ssh"
	write := func() error {
		t.Helper()
		file, err := Root(root).OpenAuthorizedKeys(User{Name: "jo", UID: os.Getuid(), GID: os.Getgid(), Home: "/home/jo"})
		require.NoError(t, err)
		defer file.Close()
		require.NoError(t, file.Write([]byte("key\n")))
		return file.LabelError()
	}
	set(dir)
	require.NoError(t, write())
	require.Equal(t, wrong, label(dir), "SELinux is off")

	require.NoError(t, os.MkdirAll(root+selinuxDir, 0o755))
	require.NoError(t, os.WriteFile(root+selinuxDir+"/enforce", []byte("1"), 0o644))
	_ = write()
	require.Equal(t, wrong, label(dir), "the policy knows no such type")

	require.NoError(t, os.WriteFile(root+selinuxDir+"/context", nil, 0o644))
	err := write()
	require.Equal(t, right, label(dir))
	require.ErrorContains(t, err, "cannot read its SELinux label: No data available", "the new file has none, here")
	asked, err := os.ReadFile(root + selinuxDir + "/context")
	require.NoError(t, err)
	require.Equal(t, right+"\x00", string(asked))
}

func TestWithType(t *testing.T) {
	for label, want := range map[string]string{
		"u:r:t": "u:r:x", "u:r:t:s0": "u:r:x:s0", "u:r:t:s0-s0:c0.c1023": "u:r:x:s0-s0:c0.c1023", "": "", "u:r": "", "unlabeled": "",
	} {
		got, ok := withType(label, "x")
		require.Equal(t, want, got)
		require.Equal(t, want != "", ok)
	}
}
