package ground_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/freeze/freezetest"
)

// commandsVariable says how many commands TestSoakCommands sends.
const commandsVariable = "SOAK_COMMANDS"

const (
	// shortCommands is how many there are if nobody says.
	shortCommands = 1000
	// freezeEvery is how many rounds of commands lie between two freezes.
	freezeEvery = 25
	// maxGrowth is how much more memory an idle agent may have at the end than
	// after the first tenth, in kB. With the 36,000 commands of make soak, ten
	// a second for an hour, a leak of 60 bytes a command would show.
	maxGrowth = 2048
)

// TestSoakCommands sends an agent the commands of hosts, mixed, as fast as it
// answers; the second half of them while clients misbehave in every way they
// can. In the end it has as much memory, as many descriptors and children as
// after the first tenth, and uses no CPU.
func TestSoakCommands(t *testing.T) {
	freezetest.Need(t)
	commands := shortCommands
	if text := os.Getenv(commandsVariable); text != "" {
		var err error
		commands, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	s := &scene{T: t, probes: make(map[string]*prober)}
	t.Cleanup(s.clear)
	require.NoError(t, freezetest.Mount(freezetest.FS{Type: "ext4", Dir: "/mnt/a"}))
	t.Cleanup(func() { require.NoError(t, freezetest.Unmount("/mnt/a")) })
	s.agent = newAgent(t, ours, []string{"-l", os.DevNull})
	s.agent.start()
	m := &mixed{s: s, host: dial(s.agent), file: filepath.Join(t.TempDir(), "file")}

	begun := time.Now()
	m.until(commands / 10)
	first := s.rest()
	m.until(commands / 2)
	calm := s.rest()
	stop := m.misbehave()
	m.until(commands)
	stop()
	last := s.rest()
	t.Logf("%d commands in %v, %d execs and %d freezes among them", m.sent, time.Since(begun).Round(time.Second), m.execs, m.freezes)
	t.Logf("misbehaved: %d half requests, %d deaf clients, %d floods, %d hang-ups", m.halves, m.deafs, m.floods, m.hangups)
	t.Logf("after a tenth: %v", first)
	t.Logf("after a half:  %v", calm)
	t.Logf("at the end:    %v, at most %d kB resident in between", last, s.peak())
	require.Less(t, last.memory, first.memory+maxGrowth, "memory")
	require.Equal(t, first.files, last.files, "descriptors")
	require.Zero(t, last.children, "children")
	require.Equal(t, pingReply, m.host.ask(doPing))
}

// condition is what an agent at rest has of the machine.
type condition struct {
	memory, heap, files, threads, children int
}

func (c condition) String() string {
	return fmt.Sprintf("%d kB resident, %d kB of it its own, %d descriptors, %d threads, %d children",
		c.memory, c.heap, c.files, c.threads, c.children)
}

// rest waits until the agent has nothing more to do, uses no CPU and has given
// back what it can, and tells what it has then.
func (s *scene) rest() (c condition) {
	s.Helper()
	settled := 0
	for last := -1; settled < 4; {
		// Twice the agent's idea of a pause: the last of a client can take less
		// of the CPU than is counted, and begins another.
		time.Sleep(1100 * time.Millisecond)
		ticks := s.ticks()
		if settled++; ticks != last {
			settled = 0
		}
		last = ticks
	}
	dir := fmt.Sprintf("/proc/%d/", s.agent.cmd.Process.Pid)
	threads, err := os.ReadDir(dir + "task")
	require.NoError(s, err)
	children := 0
	for _, thread := range threads {
		text, err := os.ReadFile(dir + "task/" + thread.Name() + "/children")
		require.NoError(s, err)
		children += len(strings.Fields(string(text)))
	}
	return condition{s.procStatus("VmRSS"), s.procStatus("RssAnon"), s.descriptors(), len(threads), children}
}

// descriptors is how many the agent has.
func (s *scene) descriptors() int {
	s.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.agent.cmd.Process.Pid))
	require.NoError(s, err)
	return len(files)
}

// peak is the most memory that the agent has ever had, in kB.
func (s *scene) peak() int { return s.procStatus("VmHWM") }

// procStatus reads one number of /proc/PID/status.
func (s *scene) procStatus(name string) int {
	s.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.agent.cmd.Process.Pid))
	require.NoError(s, err)
	_, rest, found := strings.Cut(string(text), "\n"+name+":")
	require.True(s, found)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(s, err)
	return n
}

// ticks is how much CPU time the agent has used so far.
func (s *scene) ticks() int {
	s.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.agent.cmd.Process.Pid))
	require.NoError(s, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')'):]))
	user, err := strconv.Atoi(fields[12])
	require.NoError(s, err)
	system, err := strconv.Atoi(fields[13])
	require.NoError(s, err)
	return user + system
}

// mixed is a host that asks for everything in turn.
type mixed struct {
	s               *scene
	host            *host
	file            string
	sent, rounds    int
	execs, freezes  int
	halves, deafs   int
	floods, hangups int
}

// until goes on until so many commands were sent.
func (m *mixed) until(sent int) {
	m.s.Helper()
	for m.sent < sent {
		m.round()
	}
}

// call sends one request, with its arguments, and returns what comes back.
func (m *mixed) call(command, args string) (answer struct {
	Return json.RawMessage
	Error  *struct{ Desc string }
},
) {
	m.s.Helper()
	m.sent++
	_, err := fmt.Fprintf(m.host.conn, `{"execute":"%s","arguments":{%s}}`+"\n", command, args)
	require.NoError(m.s, err)
	require.NoError(m.s, m.host.conn.SetReadDeadline(time.Now().Add(soon)))
	line, err := m.host.lines.ReadBytes('\n')
	require.NoError(m.s, err, command)
	require.NoError(m.s, json.Unmarshal([]byte(strings.TrimPrefix(string(line), "\xff")), &answer), "%s: %s", command, line)
	return answer
}

// number calls a command whose answer has a number.
func (m *mixed) number(command, args, member string) int64 {
	m.s.Helper()
	answer := m.call(command, args)
	require.Nil(m.s, answer.Error, command)
	if member != "" {
		var members map[string]json.RawMessage
		require.NoError(m.s, json.Unmarshal(answer.Return, &members))
		answer.Return = members[member]
	}
	var n int64
	require.NoError(m.s, json.Unmarshal(answer.Return, &n), "%s: %s", command, answer.Return)
	return n
}

// round asks for everything once.
func (m *mixed) round() {
	m.rounds++
	for _, command := range []string{
		"guest-ping", "guest-info", "guest-get-osinfo", "guest-get-time", "guest-get-timezone",
		"guest-get-host-name", "guest-get-users", "guest-get-load", "guest-get-cpustats", "guest-get-diskstats",
		"guest-get-vcpus", "guest-get-disks", "guest-get-fsinfo", "guest-network-get-interfaces", "guest-network-get-route",
		"guest-fsfreeze-status", "x-fsfreeze-report",
	} {
		require.Nil(m.s, m.call(command, "").Error, command)
	}
	m.call("guest-sync-delimited", fmt.Sprintf(`"id":%d`, m.sent))
	require.NotNil(m.s, m.call("guest-file-read", `"handle":1`).Error)
	require.NotNil(m.s, m.call("guest-ping", `"what":1`).Error)
	require.NotNil(m.s, m.call(fmt.Sprintf("guest-unheard-of-%d", m.sent), "").Error)
	m.files()
	m.exec()
	if m.rounds%freezeEvery == 0 {
		m.freezes++
		require.EqualValues(m.s, 1, m.number(doFreeze, "", ""))
		require.EqualValues(m.s, 1, m.number(doThaw, "", ""))
	}
}

// files writes a file and reads it.
func (m *mixed) files() {
	data := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(fmt.Sprintln(m.sent), 500)))
	h := m.number("guest-file-open", fmt.Sprintf(`"path":"%s","mode":"w+"`, m.file), "")
	m.number("guest-file-write", fmt.Sprintf(`"handle":%d,"buf-b64":"%s"`, h, data), "count")
	m.number("guest-file-seek", fmt.Sprintf(`"handle":%d,"offset":0,"whence":"set"`, h), "position")
	m.number("guest-file-read", fmt.Sprintf(`"handle":%d,"count":100000`, h), "count")
	require.Nil(m.s, m.call("guest-file-close", fmt.Sprintf(`"handle":%d`, h)).Error)
}

// exec runs a program and asks for its end.
func (m *mixed) exec() {
	m.execs++
	pid := m.number("guest-exec", `"path":"/bin/sh","arg":["-c","cat; echo to stderr >&2"],"input-data":"aGVsbG8=","capture-output":true`, "pid")
	for {
		answer := m.call("guest-exec-status", fmt.Sprintf(`"pid":%d`, pid))
		require.Nil(m.s, answer.Error)
		if strings.Contains(string(answer.Return), `"exited": true`) {
			require.Contains(m.s, string(answer.Return), "aGVsbG8=")
			return
		}
		time.Sleep(time.Millisecond) // as a host does
	}
}

// misbehave has clients do what they should not, until stop is called: one
// holds half a request, one asks and never reads, one sends anything, one
// comes and goes. (TestMemoryOfACrowd has those who ask for all they may.)
func (m *mixed) misbehave() (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for _, c := range []struct {
		count *int
		do    func(net.Conn)
	}{
		{&m.halves, func(c net.Conn) {
			_, _ = io.WriteString(c, `{"execute":"guest-file-write","arguments":{"buf-b64":"`+strings.Repeat("A", 100_000))
		}},
		{&m.deafs, func(c net.Conn) {
			_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			for err := error(nil); err == nil; {
				_, err = io.WriteString(c, `{"execute":"guest-info"}`)
			}
		}},
		{&m.floods, func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			junk, random := make([]byte, 64<<10), rand.NewChaCha8([32]byte{})
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			for range 16 {
				_, _ = random.Read(junk)
				_, _ = c.Write(junk)
			}
		}},
		{&m.hangups, func(net.Conn) {}},
	} {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(10 * time.Millisecond):
				}
				conn, err := net.Dial("unix", m.s.agent.socket)
				if err != nil {
					continue
				}
				c.do(conn)
				_ = conn.Close()
				*c.count++
			}
		})
	}
	return func() {
		close(done)
		all.Wait()
	}
}
