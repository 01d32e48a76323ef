package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/guest"
	"qemu-ga/agent/qapi"
	"qemu-ga/freeze"
)

// secret is what lies outside of all that the agent of a scratch may open.
const secret = "what no host may read"

// scratch is a guest that a fuzzer may do anything to: a captured one, with a
// user, and files that a policy allows.
type scratch struct {
	dir, root, files, outside string
	cfg                       Config
}

func newScratch(t testing.TB) *scratch {
	t.Helper()
	dir := t.TempDir()
	s := &scratch{dir: dir, root: dir + "/guest", files: dir + "/files", outside: dir + "/outside"}
	require.NoError(t, os.CopyFS(s.root, os.DirFS("../testdata/guests/debian12-virtio")))
	require.NoError(t, os.MkdirAll(s.root+"/home/jo", 0o700))
	require.NoError(t, os.WriteFile(s.root+"/etc/passwd",
		fmt.Appendf(nil, "jo:x:%d:%d::/home/jo:/bin/sh\n", os.Geteuid(), os.Getegid()), 0o644))
	require.NoError(t, os.WriteFile(s.outside, []byte(secret), 0o600))
	list := func(patterns ...string) *guest.PathList {
		l, err := guest.NewPathList(patterns)
		require.NoError(t, err)
		return l
	}
	real, err := guest.Root("/").Real("/bin/true")
	require.NoError(t, err)
	s.cfg = Config{
		Root: guest.Root(s.root), Freeze: freeze.New(freeze.Config{StateDir: t.TempDir()}), StateDir: t.TempDir(),
		Programs: list(real), Files: &guest.FilePolicy{Read: list(s.files + "/**"), Write: list(s.files + "/**")},
	}
	return s
}

// agent makes an agent in the scratch, as new. It does not know the commands
// that freeze, thaw or ask about the filesystems of the machine that it really
// runs on.
func (s *scratch) agent(t testing.TB) *Agent {
	t.Helper()
	require.NoError(t, os.RemoveAll(s.files))
	require.NoError(t, os.RemoveAll(s.root+"/home/jo/.ssh"))
	require.NoError(t, os.Mkdir(s.files, 0o700))
	require.NoError(t, os.WriteFile(s.files+"/text", []byte("a line\nand another\n"), 0o600))
	require.NoError(t, os.Symlink(s.outside, s.files+"/link"))
	require.NoError(t, os.Symlink(s.dir, s.files+"/up"))
	a := New(s.cfg)
	for _, c := range a.table {
		if c.is(freezes|thaws) || c.Name == "guest-fstrim" || c.Name == "x-fsfreeze-check" || c.Name == "x-selinux-status" {
			delete(a.byName, c.Name)
		}
	}
	return a
}

// serve has an agent serve a stream to its end, and returns its replies. After
// that the agent has nothing left of it but open files, which are closed.
func (s *scratch) serve(t testing.TB, stream []byte) string {
	t.Helper()
	a := s.agent(t)
	conn := &recorded{in: bytes.NewReader(stream)}
	a.serveConn(context.Background(), conn)
	for _, open := range a.files.open {
		_ = open.close() // what is held back may have no room
	}
	require.Zero(t, held(a))
	require.Empty(t, a.large)
	atRest := func() bool {
		a.children.mu.Lock()
		defer a.children.mu.Unlock()
		a.keys.mu.Lock()
		defer a.keys.mu.Unlock()
		return len(a.slots)+len(a.keys.busy)+a.children.running == 0
	}
	if !atRest() {
		require.Eventually(t, atRest, soon, time.Millisecond)
	}
	text, err := os.ReadFile(s.outside)
	require.NoError(t, err)
	require.Equal(t, secret, string(text), "a file was written that the policy forbids")
	return conn.out.String()
}

// recorded is a connection whose host has sent all that it will.
type recorded struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *recorded) Peer() string                     { return "the fuzzer" }
func (c *recorded) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *recorded) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *recorded) SetWriteDeadline(time.Time) error { return nil }
func (c *recorded) Close() error                     { return nil }

// requireHarmless checks a reply on its own.
func requireHarmless(t testing.TB, line string) (r reply) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(line, "\xff")), &r), "%q", line)
	require.NotEqual(t, r.Return == nil, r.Error == nil, "%q", line)
	require.NotContains(t, line, secret)
	if r.Error != nil {
		require.Contains(t, []string{"GenericError", "CommandNotFound"}, r.Error.Class)
		require.NotEmpty(t, r.Error.Desc)
	}
	var read struct {
		Buf *string `json:"buf-b64"`
		N   int     `json:"count"`
	}
	if json.Unmarshal(r.Return, &read) == nil && read.Buf != nil {
		data, err := base64.StdEncoding.DecodeString(*read.Buf)
		require.NoError(t, err)
		require.Len(t, data, read.N)
		require.NotContains(t, string(data), secret)
	}
	return r
}

// FuzzSession sends an agent anything, as a host could, and then a guest-sync
// that must be answered whatever it was.
func FuzzSession(f *testing.F) {
	s := newScratch(f)
	for _, c := range table() {
		f.Add([]byte(`{"execute":"` + c.Name + `","arguments":` + object(c.Args, nil) + `,"id":[1,"x"]}`))
	}
	f.Add([]byte(`{"execute":"guest-file-open","arguments":{"path":"` + s.files + `/link"}}` + "\n\xff{]" + pingRequest))
	f.Fuzz(func(t *testing.T, stream []byte) {
		const last = `{"return": 77777777777}`
		out := s.serve(t, append(bytes.Clone(stream), "\xff"+`{"execute":"guest-sync","arguments":{"id":77777777777}}`+"\n"...))
		lines := strings.SplitAfter(strings.TrimSuffix(out, "\n"), "\n")
		for _, line := range lines {
			requireHarmless(t, line)
		}
		require.Equal(t, last, lines[len(lines)-1])
	})
}

// FuzzCommands has the fuzzer choose commands and their arguments, of the
// structs' members and few values besides those that mean something in the
// scratch: so most are carried out. Each must be answered, in order.
func FuzzCommands(f *testing.F) {
	s := newScratch(f)
	rows := s.rows(f)
	for i := range rows {
		f.Add([]byte{byte(i), 1, 1, 1, 1, 1, byte(i), 3, 2, 1, 0})
		f.Add([]byte{byte(i), 0, 0, 0, 0, 7, 9, 200, 255, 6, 5, 4})
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		p := &picker{choices: choices, scratch: s}
		var stream bytes.Buffer
		var sent []*Command
		for len(p.choices) > 0 && len(sent) < 12 {
			c := rows[p.pick(len(rows))]
			_, _ = fmt.Fprintf(&stream, `{"execute":%q,"arguments":%s,"id":%d}`, c.Name, p.object(c.Args), len(sent))
			sent = append(sent, c)
		}
		next := 0
		for line := range strings.Lines(s.serve(t, stream.Bytes())) {
			id := string(requireHarmless(t, line).ID)
			for next < len(sent) && sent[next].is(silent) && id != fmt.Sprint(next) {
				next++
			}
			require.Equal(t, fmt.Sprint(next), id, "of %s: %s", stream.String(), line)
			next++
		}
		for next < len(sent) && sent[next].is(silent) {
			next++
		}
		require.Equal(t, len(sent), next, "of %s", stream.String())
	})
}

// rows are the commands that the scratch's agent knows, but for those after
// which an answer may be dropped.
func (s *scratch) rows(t testing.TB) (rows []*Command) {
	t.Helper()
	a := s.agent(t)
	for _, c := range a.table {
		if a.byName[c.Name] != nil && !c.is(resyncs) {
			rows = append(rows, c)
		}
	}
	return rows
}

// picker makes arguments of a fuzzer's bytes.
type picker struct {
	choices []byte
	scratch *scratch
}

// pick chooses one of n.
func (p *picker) pick(n int) int {
	if len(p.choices) == 0 {
		return 0
	}
	c := int(p.choices[0])
	p.choices = p.choices[1:]
	return c % n
}

// one chooses one of some texts.
func (p *picker) one(texts ...string) string { return texts[p.pick(len(texts))] }

// object makes the arguments of a struct. One member in eight is missing or
// absurd.
func (p *picker) object(t reflect.Type) string {
	values := map[string]string{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch p.pick(16) {
		case 15:
			values[name] = ""
		case 14:
			values[name] = p.one(odd...)
		default:
			values[name] = p.value(f.Type, name)
		}
	}
	return object(t, values)
}

func (p *picker) value(t reflect.Type, name string) string {
	if t.Kind() == reflect.Pointer {
		return p.value(t.Elem(), name)
	}
	if enum, ok := reflect.TypeAssert[qapi.Enum](reflect.Zero(t)); ok {
		return quoted(p.one(enum.Members()...))
	}
	switch {
	case name == "whence":
		return p.one(`"set"`, `"cur"`, `"end"`, "0", "1", "2", "3", "-1")
	case name == "capture-output":
		return p.one("true", "false", `"none"`, `"stdout"`, `"stderr"`, `"separated"`, `"merged"`, `"x"`)
	case t == reflect.TypeFor[qapi.Base64]():
		return quoted(base64.StdEncoding.EncodeToString(p.bytes()))
	case t.Kind() == reflect.Slice:
		var all []string
		for range p.pick(4) {
			all = append(all, p.value(t.Elem(), name))
		}
		return "[" + strings.Join(all, ",") + "]"
	case t.Kind() == reflect.Struct:
		return p.object(t)
	case t.Kind() == reflect.Bool:
		return p.one("false", "true")
	case t.Kind() == reflect.String:
		return p.text(name)
	}
	return p.number(name)
}

func (p *picker) number(name string) string {
	if name == "handle" {
		return p.one("1000", "1001", "1002", "1003", "0", "-1")
	}
	return p.one("0", "1", "2", "3", "5", "-1", "7", "100", "4095", "4096", "4097", "300000", "50331648", "50331649",
		"4294967296", "-4611686018427387904", "9223372036854775807", "-9223372036854775808", fmt.Sprint(os.Getpid()))
}

func (p *picker) text(name string) string {
	files := p.scratch.files
	switch name {
	case "path":
		return quoted(p.one(files+"/text", files+"/new", files+"/link", files+"/up/outside", files+"/../outside",
			p.scratch.outside, files, files+"/text/x", "/proc/self/mem", "/bin/true", "true", "", "\x00", filepath.Base(files)))
	case "mode":
		return quoted(p.one("r", "w", "a", "r+", "w+", "a+", "rb+", "wb", "x", ""))
	case "username":
		return quoted(p.one("jo", "root", "", "../jo", "jo\n", "-x"))
	}
	return quoted(p.one("", "ssh-ed25519 AAAA jo", "# x", "a\nb", string(p.bytes()), strings.Repeat("x", 5000)))
}

// bytes takes a few bytes as they are, or many of one kind.
func (p *picker) bytes() []byte {
	n := min(p.pick(20), len(p.choices))
	if n > 16 {
		return bytes.Repeat(p.choices[:1], 3000*(n-16))
	}
	data := p.choices[:n]
	p.choices = p.choices[n:]
	return data
}

// quoted makes a JSON string.
func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}
