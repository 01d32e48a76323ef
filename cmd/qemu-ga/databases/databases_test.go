package databases_test

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/cmd/internal/vm"
	"qemu-ga/freeze"
)

//go:embed guest.sh
var guestScript string

//go:embed copy.sh
var copyScript string

// snapshots is how many are taken with hooks: DATABASES_SNAPSHOTS, or a few, as
// each takes a quarter of a minute without KVM.
func snapshots(t *testing.T) int {
	t.Helper()
	text := os.Getenv("DATABASES_SNAPSHOTS")
	if text == "" {
		return 4
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// agentConfig is the agent's. On a busy machine everything in the guest takes
// long.
const agentConfig = "[general]\nfsfreeze-hook=/etc/qemu/fsfreeze-hook.d\n[fsfreeze]\nhook-timeout=180\n"

// loads are what writes in the guest: a client's name, statement and command
// line. Each reply is a number that the server has then promised to keep. They
// pause a little, or nothing else would get anywhere without KVM.
var loads = []struct {
	name, statement string
	client          []string
}{
	{
		"postgresql", "INSERT INTO load (v) SELECT repeat('x', 500) FROM generate_series(1, 10) RETURNING n; SELECT pg_sleep(0.05);",
		[]string{"runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-At"},
	},
	{
		"mysql", "INSERT INTO load_test.load_table (v) SELECT repeat('x', 500) FROM load_test.ten RETURNING n; DO SLEEP(0.05);",
		[]string{"mariadb", "-N", "-B", "--unbuffered"},
	},
	{"redis", "INCR n", []string{"stdbuf", "-oL", "redis-cli"}},
	{"redis-aof", "INCR n", []string{"stdbuf", "-oL", "redis-cli", "-p", "6380"}},
}

// guest is a Debian whose databases are being written to.
type guest struct {
	*vm.VM
	t      *testing.T
	agent  *vm.Agent
	system string // the image with the servers' programs
}

func start(t *testing.T) *guest {
	t.Helper()
	files := vm.AgentFiles(t)
	for _, name := range []string{"postgresql", "mysql", "redis"} {
		files["/usr/libexec/qemu-ga/fsfreeze-hook.d/"+name+".sample"] = "../../../packaging/hooks/" + name
	}
	v := vm.StartDebian(t, vm.Debian{
		Config: vm.Config{
			MemoryMiB: 1536, Files: files, Disks: []vm.Disk{{Name: "data", FS: "ext4", SizeMiB: 512}},
		},
		Variant: vm.Databases,
	})
	v.Push("/etc/qemu/qemu-ga.conf", []byte(agentConfig), 0o644)
	v.Sh("mkdir -p /etc/qemu/fsfreeze-hook.d")
	v.Systemctl("restart", "qemu-guest-agent")
	v.Push("/run/guest.sh", []byte(guestScript), 0o644)
	ran := v.Try(3*time.Minute, "/bin/sh", "-eux", "/run/guest.sh")
	require.Zero(t, ran.Status, "%s", ran.Output)
	for _, load := range loads {
		v.Push("/run/acknowledged."+load.name, nil, 0o644)
		argv := append([]string{"nice", "/bin/sh", "/run/load", load.name, load.statement}, load.client...)
		v.StartProgram("load "+load.name, argv...)
	}
	g := &guest{VM: v, t: t, agent: v.Agent(), system: vm.Databases.Image(t)}
	g.agent.Sync(time.Minute)
	return g
}

// enable makes the hooks run from now on, as their pages say.
func (g *guest) enable(config string) {
	g.t.Helper()
	for _, name := range []string{"postgresql", "mysql", "redis"} {
		g.Sh("ln -sf /usr/libexec/qemu-ga/fsfreeze-hook.d/" + name + ".sample /etc/qemu/fsfreeze-hook.d/50-" + name)
	}
	g.Push("/etc/qemu/fsfreeze-hook.conf", []byte(config), 0o644)
}

// acknowledged tells, by load, what the servers have promised to keep.
func (g *guest) acknowledged() map[string][]int {
	g.t.Helper()
	all := make(map[string][]int)
	for _, load := range loads {
		all[load.name] = numbers(string(g.Pull("/run/acknowledged." + load.name)))
	}
	return all
}

// numbers reads one number a line, up to the last line end.
func numbers(text string) []int {
	var list []int
	for line := range strings.Lines(text) {
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && strings.HasSuffix(line, "\n") {
			list = append(list, n)
		}
	}
	return list
}

// written waits until every load has had so many more replies.
func (g *guest) written(more int) {
	g.t.Helper()
	for _, load := range loads {
		file := "/run/acknowledged." + load.name
		wait := fmt.Sprintf("n=$(wc -l <%[1]s); while [ $(wc -l <%[1]s) -lt $((n + %[2]d)) ]; do sleep 0.1; done", file, more)
		require.Zero(g.t, g.Try(3*time.Minute, "/bin/sh", "-euc", wait).Status, "%s is not written to", load.name)
	}
}

// copied is a copy of the guest's data disk.
type copied struct {
	name         string
	image        string
	dir          string           // what servers said that were started on it
	acknowledged map[string][]int // when the disk was frozen
}

// snapshot takes a snapshot while the guest is frozen.
func (g *guest) snapshot(name string) copied {
	g.t.Helper()
	c := copied{name: name, dir: g.t.TempDir()}
	begun := time.Now()
	g.agent.Send("guest-fsfreeze-freeze", nil)
	n, err := g.agent.Reply(5 * time.Minute)
	require.NoError(g.t, err, name)
	require.JSONEq(g.t, "2", string(n)) // with the system's own disk
	froze := time.Since(begun)
	c.acknowledged = g.acknowledged()
	c.image = g.Snapshot("data")["data"]
	begun = time.Now()
	g.agent.Send("guest-fsfreeze-thaw", nil)
	_, err = g.agent.Reply(5 * time.Minute)
	require.NoError(g.t, err, name)
	g.t.Logf("%s: freeze %.1f s, thaw %.1f s%s", name, froze.Seconds(), time.Since(begun).Seconds(), g.hooks())
	return c
}

// hooks tells how long each hook took.
func (g *guest) hooks() string {
	g.t.Helper()
	var report freeze.Report
	require.NoError(g.t, json.Unmarshal(g.agent.Call("x-fsfreeze-report", nil), &report))
	var text strings.Builder
	for _, run := range report.Hooks {
		fmt.Fprintf(&text, "; %s %s %.1f s", filepath.Base(run.Program), run.Argument, time.Duration(run.Nanoseconds).Seconds())
	}
	return text.String()
}

// open starts servers on a copy and removes it. system is the image with their
// programs.
func (c copied) open(system string) error {
	cmd := exec.Command("/bin/sh", "-euc", copyScript, "copy.sh", system, c.image, c.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID, Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s\n%s", c.name, err, output, c.logs())
	}
	return os.Remove(c.image)
}

func (c copied) file(name string) string {
	text, _ := os.ReadFile(filepath.Join(c.dir, name)) // what is missing is empty
	return string(text)
}

func (c copied) logs() string {
	var text strings.Builder
	for _, load := range loads {
		fmt.Fprintf(&text, "%s:\n%s\n", load.name, c.file(load.name+".log"))
	}
	return text.String()
}

// keeps tells whether a copy holds all that its server has acknowledged.
func (c copied) keeps(name string) bool {
	held := make(map[int]bool)
	list := numbers(c.file(name))
	for _, n := range list {
		held[n] = true
	}
	for _, n := range c.acknowledged[name] {
		// A counter stands for all before.
		if !held[n] && (!strings.HasPrefix(name, "redis") || len(list) == 0 || list[0] < n) {
			return false
		}
	}
	return len(c.acknowledged[name]) > 0
}

// recovered tells whether a server found that it had not been shut down.
func (c copied) recovered(name string) bool {
	return strings.Contains(c.file(name+".log"), map[string]string{
		"postgresql": "automatic recovery in progress",
		"mysql":      "InnoDB: Starting crash recovery",
	}[name])
}

// redo is how many bytes of its log PostgreSQL went through again.
func (c copied) redo(t *testing.T) int64 {
	t.Helper()
	position := func(after string) int64 {
		// LOG:  redo starts at 0/92A938
		_, rest, found := strings.Cut(c.file("postgresql.log"), after)
		if !found {
			return 0
		}
		var high, low int64
		_, err := fmt.Sscanf(rest, "%X/%X", &high, &low)
		require.NoError(t, err)
		return high<<32 + low
	}
	return position("redo done at ") - position("redo starts at ")
}

// TestDatabases is what the hooks are for. Without them, the copies start with
// crash recovery, and Redis's is old: the same checks can tell.
func TestDatabases(t *testing.T) {
	g := start(t)
	g.written(500)
	control := g.snapshot("without hooks")
	require.NoError(t, control.open(g.system))
	require.True(t, control.recovered("postgresql"), control.logs())
	require.True(t, control.recovered("mysql"), control.logs())
	require.True(t, control.keeps("postgresql"), control.logs())
	require.True(t, control.keeps("mysql"), control.logs())
	require.True(t, control.keeps("redis-aof"), control.logs())
	require.False(t, control.keeps("redis"), control.logs())

	const patience = "MYSQL_LOCK_TIMEOUT=30\nMYSQL_WAIT=30\n"
	g.enable(patience)
	g.written(50)
	checkpoint := g.snapshot("checkpoint")
	require.NoError(t, checkpoint.open(g.system))
	require.True(t, checkpoint.recovered("postgresql"), checkpoint.logs())
	t.Logf("PostgreSQL goes through %d bytes of its log again, and %d without the hook", checkpoint.redo(t), control.redo(t))
	require.Less(t, checkpoint.redo(t), control.redo(t))
	requireWhole(t, checkpoint)

	testHoldEnds(g)

	g.enable(patience + "POSTGRESQL_MODE=stop\n")
	copies := make(chan copied, 1)
	opened := make(chan error, 1)
	var all []copied
	go func() { // beside the next snapshot
		var failed error
		for c := range copies {
			failed = errors.Join(failed, c.open(g.system))
			all = append(all, c)
		}
		opened <- failed
	}()
	for i := range snapshots(t) {
		g.written(50)
		copies <- g.snapshot(fmt.Sprintf("snapshot %d", i+1))
	}
	close(copies)
	require.NoError(t, <-opened)
	require.Len(t, all, snapshots(t))
	for _, c := range all {
		require.False(t, c.recovered("postgresql"), "%s: %s", c.name, c.logs())
		require.Contains(t, c.file("postgresql.log"), "database system was shut down at", c.name)
		requireWhole(t, c)
	}
}

// testHoldEnds has nobody left who could thaw: the databases themselves let
// their clients go on, five seconds after they were held.
func testHoldEnds(g *guest) {
	for _, name := range []string{"mysql", "redis"} {
		hook := "/usr/libexec/qemu-ga/fsfreeze-hook.d/" + name + ".sample"
		ran := g.Try(3*time.Minute, "env", "FSFREEZE_TIMEOUT=-55", hook, "freeze")
		require.Zero(g.t, ran.Status, ran.Output)
	}
	g.written(50)
	g.Sh("/usr/libexec/qemu-ga/fsfreeze-hook.d/mysql.sample thaw")
}

// requireWhole requires what the hooks promise in every mode.
func requireWhole(t *testing.T, c copied) {
	t.Helper()
	require.False(t, c.recovered("mysql"), "%s: %s", c.name, c.logs())
	require.Contains(t, c.file("mysql.log"), "ready for connections", c.name)
	for _, load := range loads {
		require.True(t, c.keeps(load.name), "%s: %s: %s", c.name, load.name, c.logs())
	}
}
