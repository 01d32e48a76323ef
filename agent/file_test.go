package agent

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/agent/qapi"
)

// opened opens a file of the test's directory with guest-file-open.
func opened(t *testing.T, a *Agent, path, mode string) int64 {
	t.Helper()
	handle, err := a.fileOpen(t.Context(), fileOpenArgs{path, &mode})
	require.NoError(t, err)
	return handle
}

func written(t *testing.T, a *Agent, handle int64, text string) {
	t.Helper()
	got, err := a.fileWrite(t.Context(), fileWriteArgs{Handle: handle, Buf: qapi.Base64(text)})
	require.NoError(t, err)
	require.Equal(t, fileWrite{Count: int64(len(text))}, got)
}

func readBack(t *testing.T, a *Agent, handle, count int64) fileRead {
	t.Helper()
	got, err := a.fileRead(t.Context(), fileReadArgs{handle, &count})
	require.NoError(t, err)
	require.Len(t, got.Buf, int(got.Count))
	return got
}

func sought(t *testing.T, a *Agent, handle, offset, code int64) int64 {
	t.Helper()
	got, err := a.fileSeek(t.Context(), fileSeekArgs{handle, offset, whence{number: code}})
	require.NoError(t, err)
	require.False(t, got.EOF)
	return got.Position
}

func sizeOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return int(info.Size())
}

func TestFileWritesAreBuffered(t *testing.T) {
	a, path := New(Config{}), filepath.Join(t.TempDir(), "f")
	h := opened(t, a, path, "w")
	written(t, a, h, "start")
	require.Zero(t, sizeOf(t, path))
	_, err := a.fileFlush(t.Context(), fileHandleArgs{h})
	require.NoError(t, err)
	require.Equal(t, 5, sizeOf(t, path))

	written(t, a, h, string(make([]byte, 4096)))
	written(t, a, h, "x")
	require.Equal(t, 5+4096, sizeOf(t, path), "a full block goes to the file, the rest waits")
	require.EqualValues(t, 5+4096+1, sought(t, a, h, 0, unix.SEEK_CUR), "a seek writes what waits")
	require.Equal(t, 5+4096+1, sizeOf(t, path))

	written(t, a, h, "end")
	_, err = a.fileClose(t.Context(), fileHandleArgs{h})
	require.NoError(t, err)
	require.Equal(t, 5+4096+1+3, sizeOf(t, path))
	_, err = a.fileClose(t.Context(), fileHandleArgs{h})
	require.EqualError(t, err, "handle '1000' has not been found")
}

func TestFileReadsAndTheEnd(t *testing.T) {
	a, path := New(Config{}), filepath.Join(t.TempDir(), "f")
	h := opened(t, a, path, "w+")
	written(t, a, h, "hello world")
	require.Equal(t, fileRead{EOF: true, Buf: qapi.Base64{}}, readBack(t, a, h, 10), "a read flushes")
	sought(t, a, h, 0, unix.SEEK_SET)
	require.Equal(t, fileRead{11, qapi.Base64("hello world"), false}, readBack(t, a, h, 11))
	require.Equal(t, fileRead{0, qapi.Base64{}, true}, readBack(t, a, h, 1))
	require.Equal(t, fileRead{0, qapi.Base64{}, false}, readBack(t, a, h, 0))
	written(t, a, h, "!")
	sought(t, a, h, -6, unix.SEEK_END)
	require.Equal(t, fileRead{6, qapi.Base64("world!"), true}, readBack(t, a, h, maxCount))

	for _, count := range []int64{-1, maxCount + 1} {
		_, err := a.fileRead(t.Context(), fileReadArgs{h, &count})
		require.ErrorContains(t, err, "is invalid for argument count")
		_, err = a.fileWrite(t.Context(), fileWriteArgs{h, nil, &count})
		require.ErrorContains(t, err, "is invalid for argument count")
	}
	require.Equal(t, []byte("hello world!"), contents(t, path))
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func TestFileLargeReads(t *testing.T) {
	a, path := New(Config{}), filepath.Join(t.TempDir(), "f")
	want := bytes.Repeat([]byte("0123456789abcdef"), 300_000)
	require.NoError(t, os.WriteFile(path, want, 0o600))
	got := readBack(t, a, opened(t, a, path, "r"), maxCount)
	require.True(t, got.EOF)
	require.True(t, bytes.Equal(want, got.Buf))
	require.Less(t, cap(got.Buf), len(want)+64<<10, "memory for what is there, not for what is asked for")
}

// What is too long for a reply is read by the next call, and only that says
// that the end was met.
func TestFileRepliesFitLibvirt(t *testing.T) {
	a, path := New(Config{}), filepath.Join(t.TempDir(), "f")
	want := bytes.Repeat([]byte("0123456789abcdef"), 500_000)
	require.NoError(t, os.WriteFile(path, want, 0o600))
	h := opened(t, a, path, "r")
	ask := fmt.Sprintf(`{"handle":%d,"count":%d}`, h, maxCount)
	reply := answered(t, a, "guest-file-read", ask)
	require.Contains(t, reply, `"count": 7340032, `)
	require.Contains(t, reply, `"eof": false`)
	require.Greater(t, len(reply), libvirtReply*9/10, "what fits is there")
	require.Less(t, len(reply), libvirtReply-1000)
	got := readBack(t, a, h, maxCount)
	require.True(t, got.EOF)
	require.True(t, bytes.Equal(want[maxPayload:], got.Buf))

	a = New(Config{FileRead: maxCount}) // as qemu-ga has it
	require.Len(t, readBack(t, a, opened(t, a, path, "r"), maxCount).Buf, len(want))
	a = New(Config{FileRead: 10})
	require.Equal(t, fileRead{4, want[:4], false}, readBack(t, a, opened(t, a, path, "r"), 4))
	require.Equal(t, fileRead{10, want[:10], false}, readBack(t, a, opened(t, a, path, "r"), 11))
}

func TestFileAppendAndModes(t *testing.T) {
	a, path := New(Config{}), filepath.Join(t.TempDir(), "f")
	unix.Umask(unix.Umask(0o077))
	old := unix.Umask(0o077)
	h := opened(t, a, path, "ab+")
	unix.Umask(old)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o666, info.Mode().Perm(), "the umask does not count")
	written(t, a, h, "one")
	sought(t, a, h, 0, unix.SEEK_SET)
	written(t, a, h, "two")
	require.EqualValues(t, 6, sought(t, a, h, 0, unix.SEEK_CUR))
	require.Equal(t, []byte("onetwo"), contents(t, path))

	require.NoError(t, os.Chmod(path, 0o640))
	opened(t, a, path, "w")
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o640, info.Mode().Perm(), "the mode of a file that was there stays")
	require.Zero(t, info.Size())

	require.NoError(t, os.Symlink("nowhere", path+".link"))
	for _, c := range []struct{ path, mode, want string }{
		{path, "x", "invalid file open mode 'x'"},
		{path, "", "invalid file open mode ''"},
		{path + ".link", "w", "(mode: 'w'): No such file or directory"},
		{filepath.Dir(path), "w", "(mode: 'w'): Is a directory"},
		{filepath.Dir(path) + "/no/f", "a", "(mode: 'a'): No such file or directory"},
	} {
		_, err := a.fileOpen(t.Context(), fileOpenArgs{c.path, &c.mode})
		require.ErrorContains(t, err, c.want)
	}
}

func TestFileOfTheWrongKind(t *testing.T) {
	a, dir := New(Config{}), t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/f", []byte("x"), 0o600))
	r, w, d := opened(t, a, dir+"/f", "r"), opened(t, a, dir+"/f", "w"), opened(t, a, dir, "r")
	full := opened(t, a, "/dev/full", "w")
	count := int64(10)
	_, err := a.fileRead(t.Context(), fileReadArgs{w, &count})
	require.EqualError(t, err, "failed to read file: Bad file descriptor")
	_, err = a.fileRead(t.Context(), fileReadArgs{d, &count})
	require.EqualError(t, err, "failed to read file: Is a directory")
	_, err = a.fileWrite(t.Context(), fileWriteArgs{r, qapi.Base64("x"), nil})
	require.EqualError(t, err, "failed to write to file: Bad file descriptor")
	written(t, a, r, "")
	_, err = a.fileSeek(t.Context(), fileSeekArgs{r, -1, whence{name: "set"}})
	require.EqualError(t, err, "failed to seek file: Invalid argument")
	_, err = a.fileSeek(t.Context(), fileSeekArgs{r, 0, whence{number: 3}})
	require.EqualError(t, err, "invalid whence code 3")

	written(t, a, full, "lost")
	_, err = a.fileFlush(t.Context(), fileHandleArgs{full})
	require.EqualError(t, err, "failed to flush file: No space left on device")
	_, err = a.fileFlush(t.Context(), fileHandleArgs{full})
	require.NoError(t, err, "what could not be written is gone")
	written(t, a, full, "lost")
	_, err = a.fileClose(t.Context(), fileHandleArgs{full})
	require.EqualError(t, err, "failed to close handle: No space left on device")
	_, err = a.fileClose(t.Context(), fileHandleArgs{full})
	require.ErrorContains(t, err, "has not been found")
}

func TestFilePipeLosesNothing(t *testing.T) {
	a, path := New(Config{}), filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	r := opened(t, a, path, "r")
	require.Equal(t, fileRead{0, qapi.Base64{}, true}, readBack(t, a, r, 5), "nobody has it open for writing")
	w := opened(t, a, path, "w")
	five := int64(5)
	_, err := a.fileRead(t.Context(), fileReadArgs{r, &five})
	require.EqualError(t, err, "failed to read file: Resource temporarily unavailable")
	written(t, a, w, "abc")
	_, err = a.fileFlush(t.Context(), fileHandleArgs{w})
	require.NoError(t, err)
	require.Equal(t, fileRead{3, qapi.Base64("abc"), false}, readBack(t, a, r, 5))

	// More than fits: the client learns how much was taken and goes on.
	all := bytes.Repeat([]byte("0123456789"), 20_000)
	var got []byte
	for rest := all; len(rest) > 0; {
		n, err := a.fileWrite(t.Context(), fileWriteArgs{Handle: w, Buf: bytes.Clone(rest)})
		if err != nil {
			require.EqualError(t, err, "failed to write to file: Resource temporarily unavailable")
		}
		rest = rest[n.Count:]
		got = append(got, readBack(t, a, r, 50_000).Buf...)
	}
	_, err = a.fileClose(t.Context(), fileHandleArgs{w})
	require.NoError(t, err)
	got = append(got, readBack(t, a, r, maxCount).Buf...)
	require.True(t, bytes.Equal(all, got))
}

func TestFileHandlesGoOn(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []int64{1000, 1001, 1002} {
		require.Equal(t, want, opened(t, New(Config{StateDir: dir}), "/dev/null", "r"))
	}
	require.Equal(t, "[global]\nfd_counter=1003\n", string(contents(t, dir+"/qga.state")))
	a := New(Config{StateDir: dir + "/missing"})
	_, err := a.fileOpen(t.Context(), fileOpenArgs{Path: "/dev/null"})
	require.EqualError(t, err, "failed to commit persistent state to disk")

	for text, want := range map[string]int64{
		"":                                   firstHandle,
		"[global]\nfd_counter=1207":          1207,
		"[global]\nfd_counter=-5\n":          firstHandle,
		"[global]\nfd_counter=99999999999\n": firstHandle,
		"garbage":                            firstHandle,
	} {
		require.Equal(t, want, parseCounter([]byte(text)), "%q", text)
	}
}

func TestFilesAreBounded(t *testing.T) {
	a := New(Config{})
	for range maxFiles {
		opened(t, a, "/dev/null", "r")
	}
	_, err := a.fileOpen(t.Context(), fileOpenArgs{Path: "/dev/null"})
	require.EqualError(t, err, "failed to open file: 256 files are open already, close some")
	for h := range int64(maxFiles) {
		_, err := a.fileClose(t.Context(), fileHandleArgs{firstHandle + h})
		require.NoError(t, err)
	}
}

func TestFileArguments(t *testing.T) {
	a := New(Config{})
	h := opened(t, a, filepath.Join(t.TempDir(), "f"), "w+")
	require.EqualValues(t, 1000, h)
	text := base64.StdEncoding.EncodeToString([]byte("hello"))
	for _, c := range []struct{ name, args, want string }{
		{"guest-file-write", `{"handle":1000,"buf-b64":"` + text + `","count":4}`, `{"return": {"count": 4, "eof": false}}`},
		{"guest-file-seek", `{"handle":1000,"offset":1,"whence":"set"}`, `{"return": {"position": 1, "eof": false}}`},
		{"guest-file-seek", `{"handle":1000,"offset":0,"whence":0}`, `{"return": {"position": 0, "eof": false}}`},
		{"guest-file-read", `{"handle":1000}`, `{"return": {"count": 4, "buf-b64": "aGVsbA==", "eof": true}}`},
		{"guest-file-seek", `{"handle":1000,"offset":0,"whence":null}`, "expected: GuestFileWhence"},
		{"guest-file-seek", `{"handle":1000,"offset":0,"whence":"x"}`, "Parameter 'whence' does not accept value 'x'"},
		{"guest-file-write", `{"handle":1000,"buf-b64":"*"}`, "Base64 data contains invalid characters"},
	} {
		require.Contains(t, answered(t, a, c.name, c.args), c.want, c.args)
	}
}
