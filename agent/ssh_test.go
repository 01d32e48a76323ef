package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
)

// joUID and joGID own what is jo's.
const joUID, joGID = 12345, 23456

// guestOfJo is an agent in a guest with a user jo, and jo's file of keys.
func guestOfJo(t *testing.T) (a *Agent, keys string) {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(root+"/etc", 0o755))
	require.NoError(t, os.MkdirAll(root+"/home/jo", 0o755))
	require.NoError(t, os.Chown(root+"/home/jo", joUID, joGID))
	require.NoError(t, os.WriteFile(root+"/etc/passwd", fmt.Appendf(nil,
		"root:x:0:0::/root:/bin/sh\nbroken\njo:x:%d:%d:Jo,,,:/home/jo:/bin/sh\nlost:x:9:9::/nowhere:\nbare:x:8:8:::\n", joUID, joGID), 0o644))
	return New(Config{Root: guest.Root(root)}), root + "/home/jo/.ssh/authorized_keys"
}

func requireOwner(t *testing.T, path string, perm os.FileMode) {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(path, &st))
	require.EqualValues(t, joUID, st.Uid)
	require.EqualValues(t, joGID, st.Gid)
	require.Equal(t, perm, os.FileMode(st.Mode)&os.ModePerm)
}

func TestSSHAddGetRemove(t *testing.T) {
	a, file := guestOfJo(t)
	add := func(args string) {
		require.JSONEq(t, `{"return": {}}`, answered(t, a, "guest-ssh-add-authorized-keys", `{"username":"jo","keys":`+args+`}`))
	}
	require.Contains(t, answered(t, a, "guest-ssh-get-authorized-keys", `{"username":"jo"}`),
		`failed to read '/home/jo/.ssh/authorized_keys': Failed to open file \u201C/home/jo/.ssh/authorized_keys\u201D: No such file or directory`)
	require.JSONEq(t, `{"return": {}}`, answered(t, a, "guest-ssh-remove-authorized-keys", `{"username":"jo","keys":["x"]}`))
	require.NoFileExists(t, file)

	add(`["ssh-rsa AAAA jo@a","ssh-rsa BBBB"]`)
	require.Equal(t, "ssh-rsa AAAA jo@a\nssh-rsa BBBB\n", string(contents(t, file)))
	requireOwner(t, file, 0o600)
	requireOwner(t, filepath.Dir(file), 0o700)
	add(`["ssh-rsa BBBB","ssh-rsa CCCC"]`)
	require.Equal(t, "ssh-rsa AAAA jo@a\nssh-rsa BBBB\nssh-rsa CCCC\n", string(contents(t, file)))
	require.JSONEq(t, `{"return": {"keys": ["ssh-rsa CCCC", "ssh-rsa BBBB", "ssh-rsa AAAA jo@a"]}}`,
		answered(t, a, "guest-ssh-get-authorized-keys", `{"username":"jo"}`))

	// Others' lines stay as they are, with the end of the last.
	require.NoError(t, os.WriteFile(file, []byte("# mine\n\n  indented key \nlast"), 0o644))
	add(`["new"]`)
	require.Equal(t, "# mine\n\n  indented key \nlast\nnew\n", string(contents(t, file)))
	require.JSONEq(t, `{"return": {"keys": ["new", "last", "indented key"]}}`,
		answered(t, a, "guest-ssh-get-authorized-keys", `{"username":"jo"}`))
	require.JSONEq(t, `{"return": {}}`, answered(t, a, "guest-ssh-remove-authorized-keys", `{"username":"jo","keys":["last","nope"]}`))
	require.Equal(t, "# mine\n\n  indented key \nnew\n", string(contents(t, file)))
	requireOwner(t, file, 0o600)

	add(`["only"],"reset":true`)
	require.Equal(t, "only\n", string(contents(t, file)))
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1, "temporary files are left")
}

func TestSSHErrors(t *testing.T) {
	a, _ := guestOfJo(t)
	for _, c := range []struct{ name, args, want string }{
		{"get", `{"username":"nobody"}`, "failed to lookup user 'nobody': No such user"},
		{"get", `{"username":""}`, "failed to lookup user '': No such user"},
		{"get", `{"username":"lost"}`, `failed to read '/nowhere/.ssh/authorized_keys': Failed to open file \u201C/nowhere/.ssh/authorized_keys\u201D: No such file or directory`},
		{"get", `{"username":"bare"}`, "ser 'bare' has no home directory"},
		{"add", `{"username":"lost","keys":["x"]}`, "failed to create directory '/nowhere/.ssh': No such file or directory"},
		{"add", `{"username":"nobody","keys":["#x"]}`, "invalid OpenSSH public key: '#x'"},
		{"add", `{"username":"jo","keys":["ok","a\nb"]}`, `invalid OpenSSH public key: 'a\nb'`},
	} {
		require.Contains(t, answered(t, a, "guest-ssh-"+c.name+"-authorized-keys", c.args), c.want)
	}
}

// What a user puts in the way must not make root read or write elsewhere, nor
// wait.
func TestSSHTraps(t *testing.T) {
	const add, get = "guest-ssh-add-authorized-keys", "guest-ssh-get-authorized-keys"
	const addArgs, getArgs = `{"username":"jo","keys":["x"]}`, `{"username":"jo"}`
	a, file := guestOfJo(t)
	dir, elsewhere := filepath.Dir(file), t.TempDir()
	require.NoError(t, os.WriteFile(elsewhere+"/authorized_keys", []byte("secret\n"), 0o600))

	require.NoError(t, os.Symlink(elsewhere, dir))
	require.Contains(t, answered(t, a, add, addArgs), "ymbolic links are not followed")
	require.Contains(t, answered(t, a, get, getArgs), "ymbolic links are not followed")
	require.NoError(t, os.Remove(dir))

	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Symlink(elsewhere+"/authorized_keys", file))
	require.Contains(t, answered(t, a, add, addArgs), "ymbolic links are not followed")
	require.Contains(t, answered(t, a, get, getArgs), "ymbolic links are not followed")
	require.Equal(t, "secret\n", string(contents(t, elsewhere+"/authorized_keys")))
	require.NoError(t, os.Remove(file))

	require.NoError(t, unix.Mkfifo(file, 0o600))
	require.Contains(t, answered(t, a, get, getArgs), "It is no regular file")
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Mkdir(file, 0o700))
	require.Contains(t, answered(t, a, get, getArgs), "Is a directory")
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.WriteFile(file, make([]byte, 5<<20), 0o600))
	require.Contains(t, answered(t, a, get, getArgs), "File too large")
}
