package ground_test

import (
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
)

// kind is which of the two agents a fault is done to.
type kind string

const (
	ours      kind = "ours"
	reference kind = "reference"
)

// agent is an agent's process.
type agent struct {
	t      *testing.T
	kind   kind
	socket string
	state  string
	argv   []string

	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// newAgent prepares an agent with further options.
func newAgent(t *testing.T, k kind, options []string) *agent {
	t.Helper()
	// Not t.TempDir, as what an agent has left running may still write there;
	// it goes with the ground.
	dir, err := os.MkdirTemp("", "agent") //nolint:usetesting // see above
	require.NoError(t, err)
	a := &agent{t: t, kind: k, socket: filepath.Join(dir, "socket"), state: dir}
	program := ownAgent
	if k == reference {
		program = referenceAgent
	}
	a.argv = append([]string{program, "-m", "unix-listen", "-p", a.socket, "-t", a.state}, options...)
	return a
}

// start starts it, or starts it again.
func (a *agent) start(setup ...func(*exec.Cmd)) {
	a.t.Helper()
	a.cmd = exec.Command(a.argv[0], a.argv[1:]...)
	a.cmd.Stderr = os.Stderr
	for _, f := range setup {
		f(a.cmd)
	}
	require.NoError(a.t, a.cmd.Start())
	cmd, gone := a.cmd, make(chan struct{})
	a.gone = gone
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
}

// patience is how long this agent is given for what the C agent is given limit
// for, as it may never come: ours has to do it, however busy the machine is.
func (a *agent) patience(limit time.Duration) time.Duration {
	if a.kind == ours {
		return max(limit, soon)
	}
	return limit
}

// signal sends the agent a signal.
func (a *agent) signal(s syscall.Signal) {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Signal(s))
}

// ended waits for the agent's end.
func (a *agent) ended(limit time.Duration) bool {
	select {
	case <-a.gone: // also when there is no time left
		return true
	default:
	}
	select {
	case <-a.gone:
		return true
	case <-time.After(limit):
		return false
	}
}

// kill ends the agent and its freezers. A freezer that a thread keeps in the
// kernel dies when that comes back.
func (a *agent) kill() {
	if a.cmd == nil || a.cmd.Process == nil {
		return
	}
	_ = a.cmd.Process.Kill()
	for _, pid := range freezers(a.t) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// freezers lists the freezer processes of the ground, whoever's they are:
// there is one agent at a time.
func freezers(t *testing.T) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var pids []int
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if strings.HasPrefix(string(text), "qemu-ga-freezer\x00") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			require.NoError(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// freezer gives the one freezer there is.
func freezer(t *testing.T) int {
	t.Helper()
	pids := freezers(t)
	require.Len(t, pids, 1)
	return pids[0]
}
