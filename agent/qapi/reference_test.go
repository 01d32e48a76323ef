package qapi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

// A reference is the real qemu-ga, with nothing enabled that acts on the
// machine.
type reference struct {
	conn  net.Conn
	lines *bufio.Reader
	syncs int
}

func startReference(t testing.TB) *reference {
	t.Helper()
	program := os.Getenv("QGA_REFERENCE")
	if program == "" {
		t.Skip("QGA_REFERENCE does not name the real qemu-ga; run .ci/setup reference")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	cmd := exec.Command(program, "-m", "unix-listen", "-p", socket, "-t", dir,
		"-a", "guest-ping,guest-sync,guest-sync-delimited")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	})
	var conn net.Conn
	var err error
	require.Eventually(t, func() bool {
		conn, err = net.Dial("unix", socket)
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	return &reference{conn: conn, lines: bufio.NewReader(conn)}
}

// ask sends a stream and then resynchronises, and returns all replies up to
// that of the guest-sync which ends it.
func (r *reference) ask(t testing.TB, stream string) (sent, replies string) {
	t.Helper()
	r.syncs++
	sent = stream + "\xff" + `{"execute":"guest-sync","arguments":{"id":` + strconv.Itoa(7<<40+r.syncs) + `}}`
	require.NoError(t, r.conn.SetDeadline(time.Now().Add(20*time.Second)))
	go r.conn.Write([]byte(sent))
	var out strings.Builder
	for end := fmt.Sprintf("{\"return\": %d}\n", 7<<40+r.syncs); ; {
		line, err := r.lines.ReadString('\n')
		require.NoError(t, err, "stream %q, replies %q", sent, out.String())
		out.WriteString(line)
		if line == end {
			return sent, out.String()
		}
	}
}

// normal makes replies comparable: the order of members means nothing, the
// place of a fault need not agree, and of several members that are wrong in
// the same way any may be told.
func normal(replies string) string {
	var out strings.Builder
	for line := range strings.Lines(replies) {
		var reply struct {
			Return any `json:"return"`
			ID     any `json:"id"`
			Error  *qapi.Error
		}
		mark := line[0] == 0xFF
		dec := json.NewDecoder(strings.NewReader(line[strings.IndexByte(line, '{'):]))
		dec.UseNumber()
		if err := dec.Decode(&reply); err != nil {
			reply.Return = err.Error()
		}
		desc := ""
		if reply.Error != nil {
			desc = reply.Error.Desc
			if _, words, ok := strings.Cut(desc, ": JSON parse error, "); ok {
				desc = words
			}
			if strings.HasSuffix(desc, " is not a valid Unicode character") {
				desc = "not a valid Unicode character"
			}
			if strings.HasSuffix(desc, " is unexpected") || strings.HasPrefix(desc, "QMP input member") {
				desc = "unexpected"
			}
			if reply.Error.Class == "CommandNotFound" {
				desc = "" // the stand-in knows few of the commands that are disabled
			}
			desc = reply.Error.Class + ": " + desc
		}
		fmt.Fprintf(&out, "%v %q %v %v\n", mark, desc, reply.Return, reply.ID)
	}
	return out.String()
}

func compare(t testing.TB, ref *reference, stream string) bool {
	t.Helper()
	sent, want := ref.ask(t, stream)
	got, _ := serve(strings.NewReader(sent), qapi.Limits{})
	if strings.Contains(want, "inf") { // not JSON, and ours is
		return true
	}
	if normal(want) != normal(got) {
		t.Errorf("stream %q\nwant\n%s\ngot\n%s", sent, want, got)
		return false
	}
	return true
}

// pieces are what random streams are made of.
var pieces = []string{
	"{", "}", "[", "]", ":", ",", "{", "}", "[", "]", ":", ",", " ", "\n", "\t", "\r",
	`"a"`, `"b"`, `'c'`, `"execute"`, `"arguments"`, `"id"`, `"guest-ping"`, `"guest-sync"`,
	`"execute":"guest-ping"`, `"execute":"guest-sync"`, `"arguments":{"id":7}`, `"id":`,
	`{"execute":"guest-ping"}`, `{"execute":"guest-ping","id":`, `{"execute":"x","id":`,
	`{"execute":"guest-sync-delimited","arguments":{"id":`, `{"execute":"guest-sync","arguments":{`,
	"true", "false", "null", "nul", "True", "inf", "e",
	"0", "-", "-0", "1", "12", ".", "e", "E", "+", "1e5", "1.5", "0.1", "-0.0", "00", "0e0", "1e400",
	"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
	"-9223372036854775808", "-9223372036854775809", "1.7976931348623157e308",
	`"`, `'`, `\`, `"\u0000"`, `\u`, `"\ud83d\ude00"`, `\ud83d`, `\ude00`, `"\uffff"`, `"\ufdd0"`, `"\'\"\/\b\f\n\r\t\\"`,
	"\xff", "\xfe", "\x00", "\x01", "\x7f", "\x80", "\xc0\x80", "\xc1\xbf", "\xc3\xa9", "\xe2\x82\xac", "\xe2\x82",
	"\xed\xa0\x80", "\xef\xb7\x90", "\xef\xbf\xbe", "\xef\xbf\xbd", "\xf0\x9f\x98\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf",
	"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
}

// randomStream returns pieces in a row: any, or only such as go on a request,
// and sometimes with single bytes changed.
func randomStream(rnd *rand.Rand) string {
	var b []byte
	for range rnd.IntN(24) {
		switch rnd.IntN(8) {
		case 0:
			b = append(b, `{"execute":"guest-sync","arguments":`...)
			b = append(b, randomValue(rnd, 2)...)
			b = append(b, '}')
		case 1:
			b = append(b, `{"execute":"guest-sync","arguments":{"id":`...)
			b = append(b, randomValue(rnd, 1)...)
			b = append(b, "}}"...)
		case 2:
			b = append(b, `{"execute":"guest-ping","id":`...)
			b = append(b, randomValue(rnd, 3)...)
			b = append(b, '}')
		case 3:
			b = append(b, randomValue(rnd, 3)...)
		default:
			b = append(b, pieces[rnd.IntN(len(pieces))]...)
		}
	}
	for range rnd.IntN(3) * rnd.IntN(2) {
		if len(b) > 0 {
			b[rnd.IntN(len(b))] = byte(rnd.UintN(256))
		}
	}
	return string(b)
}

func randomValue(rnd *rand.Rand, depth int) string {
	kind := rnd.IntN(6)
	if depth == 0 {
		kind = 5
	}
	var b strings.Builder
	switch kind {
	case 0, 1:
		b.WriteByte('[')
		for i := range rnd.IntN(4) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(randomValue(rnd, depth-1))
		}
		b.WriteByte(']')
	case 2, 3:
		b.WriteByte('{')
		for i := range rnd.IntN(4) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(randomText(rnd) + ":" + randomValue(rnd, depth-1))
		}
		b.WriteByte('}')
	case 4:
		return randomText(rnd)
	case 5:
		return []string{"0", "-0", "1.5", "1e5", "-12", "0.0", "123456789012345678901", "true", "null", "1e-400", "2.5e-7"}[rnd.IntN(11)]
	}
	return b.String()
}

func randomText(rnd *rand.Rand) string {
	quote := []string{`"`, `'`}[rnd.IntN(2)]
	s := quote
	for range rnd.IntN(3) {
		s += []string{"a", "b", `\u0061`, `\n`, "é", `\'`, `\"`, `\u0000`, "\xc0\x80", "\x7f"}[rnd.IntN(10)]
	}
	return s + quote
}

func TestReferenceRandom(t *testing.T) {
	ref := startReference(t)
	n := 2000
	if s := os.Getenv("QGA_REFERENCE_STREAMS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	bad := 0
	for range n {
		if !compare(t, ref, randomStream(rnd)) {
			if bad++; bad > 5 {
				break
			}
		}
	}
}

func TestReferenceLimits(t *testing.T) {
	ref := startReference(t)
	const mega = 1 << 20
	rep := strings.Repeat
	for name, stream := range map[string]string{
		"depth at limit":    rep("[", 1024) + rep("]", 1024),
		"depth over":        rep("[", 1025) + rep("]", 1025),
		"depth over, mixed": rep(`[{"a":`, 600) + rep("}]", 600),
		"depth, early end":  rep("[", 1025) + "}",
		"tokens at limit":   "[" + rep("0,", mega-2) + "[]]",
		"tokens over":       "[" + rep("0,", mega-1) + "0]",
		"tokens far over":   "[" + rep("0,", mega+50) + "0]",
		"keys":              "{" + rep(`"a":{`, 1023) + rep("}", 1023) + "}",
		"bytes at limit":    `["` + rep("a", 64*mega-5) + `"]`,
		"bytes over":        `["` + rep("a", 64*mega-4) + `"]`,
		"bytes just over":   `["` + rep("a", 64*mega-3) + `"]`,
		"bytes, blanks":     `["` + rep("a", 64*mega-5) + `"` + rep(" ", mega) + `]`,
		"bytes, longest":    `"` + rep("a", 64*mega-2) + `"`,
		"bytes, junk 1":     `"` + rep("a", 64*mega-1) + `"]`,
		"bytes, junk 2":     `"` + rep("a", 64*mega) + `"]`,
		"bytes, junk 3":     `"` + rep("a", 64*mega) + `b"]`,
		"bytes, junk 4":     `{"` + rep("a", 64*mega) + `b {} e" }`,
		"bytes, escape":     `"` + rep("a", 64*mega-1) + `\nnull"]`,
		"bytes, escape 2":   `"` + rep("a", 64*mega-2) + `\nnull"]`,
		"bytes, number":     rep("1", 64*mega+100) + " ",
		"bytes, minus":      rep("1", 64*mega) + "-]",
		"bytes, keyword":    "[" + rep("a", 64*mega+100) + "]",
		"bytes, two":        `["` + rep("a", 40*mega) + `","` + rep("b", 40*mega) + `"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			compare(t, ref, stream+`{"execute":"guest-ping"}`)
		})
	}
}

func FuzzReference(f *testing.F) {
	ref := startReference(f)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		f.Add(randomStream(rnd))
	}
	f.Fuzz(func(t *testing.T, stream string) { compare(t, ref, stream) })
}
