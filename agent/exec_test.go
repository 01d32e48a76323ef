package agent

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

// ended runs a command and waits for its end.
func ended(t *testing.T, a *Agent, args execArgs) execStatus {
	t.Helper()
	started, err := a.exec(t.Context(), args)
	require.NoError(t, err)
	return end(t, a, started.PID)
}

func end(t *testing.T, a *Agent, pid int64) (status execStatus) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		status, err = a.execStatus(t.Context(), execStatusArgs{pid})
		require.NoError(t, err)
		if !status.Exited {
			require.Equal(t, execStatus{}, status, "nothing is told before the end")
		}
		return status.Exited
	}, soon, time.Millisecond)
	_, err := a.execStatus(t.Context(), execStatusArgs{pid})
	require.EqualError(t, err, fmt.Sprintf("PID %d does not exist", pid), "the end is told once")
	return status
}

func script(text string, capture captureMode) execArgs {
	return execArgs{Path: "sh", Arg: []string{"-c", text}, CaptureOutput: captureOutput{mode: capture}}
}

func with(input string) *qapi.Base64 {
	data := qapi.Base64(input)
	return &data
}

func TestExecWireForm(t *testing.T) {
	a := New(Config{})
	for _, c := range []struct {
		args execArgs
		want string
	}{
		{script("exit 3", ""), `{"exited": true, "exitcode": 3}`},
		{script("kill -9 $$", ""), `{"exited": true, "signal": 9}`},
		{script("echo out", captureNone), `{"exited": true, "exitcode": 0}`},
		{
			script("echo out; echo err >&2", captureSeparated), `{"exited": true, "exitcode": 0,
			"out-data": "b3V0Cg==", "out-truncated": false, "err-data": "ZXJyCg==", "err-truncated": false}`,
		},
		{script("echo out; echo err >&2", captureStdout), `{"exited": true, "exitcode": 0, "out-data": "b3V0Cg==", "out-truncated": false}`},
		{script("echo out; echo err >&2", captureStderr), `{"exited": true, "exitcode": 0, "err-data": "ZXJyCg==", "err-truncated": false}`},
		{script("echo out; echo err >&2", captureMerged), `{"exited": true, "exitcode": 0, "out-data": "b3V0CmVycgo=", "out-truncated": false}`},
		{script(":", captureSeparated), `{"exited": true, "exitcode": 0}`},
	} {
		requireWire(t, c.want, ended(t, a, c.args), nil)
	}
}

func TestExecSurroundings(t *testing.T) {
	a, dir := New(Config{}), t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/bare", []byte("echo bare \"$0\" \"$@\"\n"), 0o755))
	require.NoError(t, os.WriteFile(dir+"/plain", []byte("x"), 0o644))
	require.NoError(t, os.WriteFile(dir+"/lost", []byte("#!/no/such/shell\n"), 0o755))
	t.Setenv("PATH", "/bin")
	t.Setenv("OURS", "1")
	path := func(dirs string) *[]string { return &[]string{"PATH=" + dirs} }
	for _, c := range []struct {
		args       execArgs
		want, fail string
	}{
		{args: execArgs{Path: "bare", Arg: []string{"a", "b c"}, Env: path("/nowhere:" + dir)}, want: "bare " + dir + "/bare a b c\n"},
		{args: execArgs{Path: "busybox", Arg: []string{"env"}, Env: &[]string{"A=1", "B", "A=2"}}, want: "A=1\nB\nA=2\n"},
		{args: execArgs{Path: "busybox", Arg: []string{"env"}, Env: &[]string{}}, want: ""},
		{args: script("echo $OURS", ""), want: "1\n"},
		{args: execArgs{Path: "cat", InputData: with("hello")}, want: "hello"},
		{args: execArgs{Path: "cat", InputData: with("")}, want: ""},
		{args: execArgs{Path: "cat"}, want: ""},
		{args: script("busybox ls /proc/self/fd | busybox wc -l", ""), want: "4\n"}, // and the directory itself
		{args: execArgs{Path: "plain", Env: path(dir)}, fail: "Failed to execute child process “plain” (Permission denied)"},
		{args: execArgs{Path: "env", Env: path(dir)}, fail: "Failed to execute child process “env” (No such file or directory)"},
		{args: execArgs{Path: ""}, fail: "Failed to execute child process “” (No such file or directory)"},
		{args: execArgs{Path: dir}, fail: "(Permission denied)"},
		{args: execArgs{Path: dir + "/plain/x"}, fail: "(Not a directory)"},
		{args: execArgs{Path: dir + "/lost"}, fail: "(No such file or directory)"},
		{args: execArgs{Path: "true", Arg: []string{strings.Repeat("x", 1<<20)}}, fail: "(Argument list too long)"},
	} {
		c.args.CaptureOutput.flag = true
		if c.fail != "" {
			_, err := a.exec(t.Context(), c.args)
			require.ErrorContains(t, err, c.fail)
			continue
		}
		status := ended(t, a, c.args)
		require.Equal(t, c.want, string(status.OutData), "%+v: %s", c.args, status.ErrData)
	}
	require.Zero(t, a.children.running)
	require.Zero(t, a.children.held.Load())
}

func TestExecWaitsForCapturedOutputOnly(t *testing.T) {
	a := New(Config{})
	require.Equal(t, "early\nlate\n", string(ended(t, a, script("(sleep 0.2; echo late) & echo early", captureStdout)).OutData))
	begun := time.Now()
	ended(t, a, script("sleep 5 & echo early", captureNone))
	require.Less(t, time.Since(begun), 4*time.Second)
}

func TestExecTruncates(t *testing.T) {
	a := New(Config{})
	for _, c := range []struct {
		bytes     int
		truncated bool
	}{{maxPayload / 2, false}, {maxPayload/2 + 1, true}, {3 * maxPayload, true}} {
		status := ended(t, a, script(fmt.Sprintf("busybox head -c %d /dev/zero; echo done >&2", c.bytes), captureSeparated))
		require.Len(t, status.OutData, maxPayload/2)
		require.Equal(t, c.truncated, *status.OutTruncated)
		require.Equal(t, "done\n", string(status.ErrData), "the rest is read, so that the process ends")
		require.False(t, *status.ErrTruncated)
	}
	require.Zero(t, a.children.held.Load())
}

func TestExecTruncatesWhereConfigured(t *testing.T) {
	status := ended(t, New(Config{ExecOutput: 1000}), script("busybox head -c 1001 /dev/zero", captureMerged))
	require.Len(t, status.OutData, 1000)
	require.True(t, *status.OutTruncated)
}

// libvirt ends its connection to an agent whose reply is longer.
const libvirtReply = 10 << 20

func TestExecRepliesFitLibvirt(t *testing.T) {
	a := New(Config{})
	for _, capture := range []captureMode{captureSeparated, captureStdout, captureStderr, captureMerged} {
		started, err := a.exec(t.Context(), script("busybox head -c 12000000 /dev/zero; busybox head -c 12000000 /dev/zero >&2", capture))
		require.NoError(t, err)
		var reply string
		require.Eventually(t, func() bool {
			reply = answered(t, a, "guest-exec-status", fmt.Sprintf(`{"pid":%d}`, started.PID))
			return strings.Contains(reply, `"exited": true`)
		}, soon, time.Millisecond)
		require.Contains(t, reply, `-truncated": true`)
		require.Greater(t, len(reply), libvirtReply*9/10, "what fits is there")
		require.Less(t, len(reply), libvirtReply-1000)
	}
}

func TestExecInputThatNobodyReads(t *testing.T) {
	a := New(Config{})
	ended(t, a, execArgs{Path: "true", InputData: with(strings.Repeat("x", 1<<20))})
	require.Eventually(t, func() bool { return a.children.input.Load() == 0 }, soon, time.Millisecond)
}

func TestExecIsBounded(t *testing.T) {
	a := New(Config{})
	dir := t.TempDir()
	wait := script("while ! [ -e "+dir+"/go ]; do sleep 0.05; done", "")
	for range 4 {
		_, err := a.exec(t.Context(), wait)
		require.NoError(t, err)
	}
	a.children.mu.Lock()
	a.children.running += maxRunningChildren - 4
	a.children.mu.Unlock()
	_, err := a.exec(t.Context(), wait)
	require.EqualError(t, err, "cannot start another process: 128 are still running")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o644))
}

// Processes whose client does not ask are forgotten, the oldest first, when
// they become too many or their output too large.
func TestExecForgets(t *testing.T) {
	a := New(Config{})
	t0 := a.children
	for i := range int64(maxEnded) {
		o := &output{held: &t0.held, size: 1}
		t0.held.Add(1)
		t0.byPID[1+i] = &child{ended: true, order: uint64(i), out: o}
	}
	t0.started = maxEnded
	require.NoError(t, t0.admit(execArgs{}))
	require.Nil(t, t0.byPID[1], "the oldest")
	require.NotNil(t, t0.byPID[2])
	require.EqualValues(t, maxEnded-1, t0.held.Load())
	t0.held.Add(maxHeld)
	require.NoError(t, t0.admit(execArgs{}))
	require.Empty(t, t0.byPID)
}

// With EXEC_ROUNDS=10000 this takes half a minute.
func TestExecLeavesNothing(t *testing.T) {
	a := New(Config{})
	ended(t, a, script(":", captureSeparated))
	before, heap := openFiles(t), heapInUse()
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("EXEC_ROUNDS"), "300"))
	require.NoError(t, err)
	for range rounds {
		ended(t, a, execArgs{Path: "true", InputData: with("x"), CaptureOutput: captureOutput{flag: true}})
	}
	require.Eventually(t, func() bool { return openFiles(t) <= before }, soon, time.Millisecond)
	require.Empty(t, a.children.byPID)
	require.Zero(t, a.children.running)
	require.Eventually(t, func() bool { return zombies(t) == 0 }, soon, time.Millisecond)
	require.Eventually(t, func() bool { return heapInUse() < heap+512<<10 }, soon, 10*time.Millisecond)
}

// heapInUse is how many bytes of memory are in use when all garbage is gone.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// zombies counts children of the test that have ended and were not waited for.
func zombies(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, file := range files {
		data, _ := os.ReadFile(file) // gone meanwhile: no zombie
		// 4711 (true) Z 4700 ...
		_, rest, _ := strings.Cut(string(data), ") ")
		if strings.HasPrefix(rest, fmt.Sprintf("Z %d ", os.Getpid())) {
			n++
		}
	}
	return n
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func TestExecArguments(t *testing.T) {
	a := New(Config{})
	for args, want := range map[string]string{
		`{"path":"true","capture-output":"x"}`: "Parameter 'capture-output' does not accept value 'x'",
		`{"path":"true","capture-output":1}`:   "Invalid parameter type for 'capture-output', expected: GuestExecCaptureOutput",
		`{"path":"true","arg":"x"}`:            "Invalid parameter type for 'arg', expected: array",
		`{"path":"true","input-data":"*"}`:     "Base64 data contains invalid characters",
	} {
		require.Contains(t, answered(t, a, "guest-exec", args), want)
	}
}
