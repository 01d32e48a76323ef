package agent

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
	"qemu-ga/freeze"
)

func pathList(t *testing.T, patterns ...string) *guest.PathList {
	t.Helper()
	l, err := guest.NewPathList(patterns)
	require.NoError(t, err)
	return l
}

// TestExecPolicy runs programs under a policy.
func TestExecPolicy(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"script": "#!/bin/sh\necho script $*; exec ls -l /proc/self/fd\n", "bare": "echo bare $*\n",
		"other": "#!/bin/sh\necho other\n", "plain": "",
	} {
		require.NoError(t, os.WriteFile(dir+"/"+name, []byte(text), 0o755))
	}
	require.NoError(t, os.Chmod(dir+"/plain", 0o644))
	require.NoError(t, os.Symlink("script", dir+"/link"))
	busybox, err := guest.Root("/").Real("/bin/busybox")
	require.NoError(t, err)
	t.Setenv("PATH", dir+":/bin")
	a := New(Config{Programs: pathList(t, dir+"/script", dir+"/bare", dir+"/plain", busybox)})
	for _, c := range []struct {
		args execArgs
		want string
	}{
		{execArgs{Path: dir + "/script", Arg: []string{"a", "b"}}, "script a b"},
		{execArgs{Path: dir + "/link", Arg: []string{"c"}}, "script c"},
		{execArgs{Path: "bare", Arg: []string{"d"}}, "bare d"},
		{execArgs{Path: "busybox", Arg: []string{"echo", "e"}}, "e"},
		{execArgs{Path: busybox, Arg: []string{"readlink", "/proc/self/exe"}}, busybox},
		{execArgs{Path: busybox, Arg: []string{"env"}, Env: &[]string{}}, ""},
	} {
		c.args.CaptureOutput = captureOutput{mode: captureMerged}
		status := ended(t, a, c.args)
		require.Zero(t, *status.ExitCode, "%+v: %s", c.args, status.OutData)
		require.Contains(t, string(status.OutData), c.want)
	}
	// A binary has no descriptor beside the three.
	status := ended(t, a, execArgs{Path: "busybox", Arg: []string{"ls", "/proc/self/fd"}, CaptureOutput: captureOutput{flag: true}})
	require.Equal(t, "0\n1\n2\n3\n", string(status.OutData)) // 3 is that of ls

	const refused = "Operation not permitted: the policy of this guest does not allow it"
	for args, want := range map[string]string{
		`{"path":"` + dir + `/other"}`:                    `\u201C` + dir + `/other\u201D (` + refused + ")",
		`{"path":"other"}`:                                `\u201Cother\u201D (` + refused + ")",
		`{"path":"no-such-program"}`:                      refused,
		`{"path":"` + dir + `/none"}`:                     refused,
		`{"path":"` + dir + `/plain"}`:                    "(Permission denied)",
		`{"path":"busybox","env":["LD_PRELOAD=/x"]}`:      refused + ": no environment may be given",
		`{"path":"/proc/self/fd/0"}`:                      refused,
		`{"path":"/proc/self/root` + dir + `/script"}`:    refused,
		`{"path":"` + dir + `/other/../script/../other"}`: refused,
	} {
		require.Contains(t, answered(t, a, "guest-exec", args), want)
	}
}

// TestPolicyOfNothing has the commands off as the lists do, so that a host
// that looks at guest-info knows.
func TestPolicyOfNothing(t *testing.T) {
	c := dial(t, newAgent(t, Config{Programs: pathList(t), Files: &guest.FilePolicy{}}, freeze.Config{}))
	for _, name := range []string{"guest-exec", "guest-file-open"} {
		class, desc := c.fail(`{"execute":"` + name + `","arguments":{"path":"/bin/true"}}`)
		require.Equal(t, "CommandNotFound", class)
		require.Equal(t, "Command "+name+" has been disabled: the command is not allowed", desc)
	}
	info := c.call(`{"execute":"guest-info"}`)
	require.Contains(t, info, `{"name": "guest-exec", "enabled": false, "success-response": true}`)
	require.Contains(t, info, `{"name": "guest-file-open", "enabled": false, "success-response": true}`)
}

func TestFileOpenPolicy(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(dir+"/in", 0o755))
	require.NoError(t, os.WriteFile(dir+"/in/a", []byte("text"), 0o644))
	require.NoError(t, os.WriteFile(dir+"/b", nil, 0o644))
	a := New(Config{Files: &guest.FilePolicy{Read: pathList(t, dir+"/in/*"), Write: pathList(t, dir+"/in/new*")}})
	h := opened(t, a, dir+"/in/a", "r")
	require.Equal(t, "text", string(readBack(t, a, h, 10).Buf))
	w := opened(t, a, dir+"/in/new1", "w+")
	written(t, a, w, "x")
	_, err := a.fileClose(t.Context(), fileHandleArgs{w})
	require.NoError(t, err)
	require.Equal(t, "x", string(contents(t, dir+"/in/new1")))
	info, err := os.Stat(dir + "/in/new1")
	require.NoError(t, err)
	require.EqualValues(t, newFileMode, info.Mode().Perm())
	for args, want := range map[string]string{
		`{"path":"` + dir + `/b"}`:                 "failed to open file '" + dir + "/b' (mode: 'r'): Operation not permitted: the policy of this guest does not allow it",
		`{"path":"` + dir + `/in/a","mode":"w"}`:   "(mode: 'w'): Operation not permitted: the policy",
		`{"path":"` + dir + `/in/a","mode":"a+"}`:  "(mode: 'a+'): Operation not permitted: the policy",
		`{"path":"` + dir + `/in/none"}`:           "(mode: 'r'): No such file or directory",
		`{"path":"` + dir + `/in/../b","mode":""}`: "invalid file open mode ''",
	} {
		require.Contains(t, answered(t, a, "guest-file-open", args), want)
	}
}
