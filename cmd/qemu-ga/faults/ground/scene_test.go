package ground_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/cmd/qemu-ga/faults"
	"qemu-ga/freeze/freezetest"
)

// fault is one thing that goes wrong.
type fault struct {
	// name and did are the table's first columns.
	name, did string
	// options are the agents', own only ours'.
	options, own []string
	// before, if not nil, makes what there has to be besides the filesystems
	// at /mnt/a and /mnt/b; it is called between the two.
	before func(*scene)
	// with, if not nil, changes how the agent is started.
	with func(*scene, *exec.Cmd)
	// do does it, and returns what the host was told.
	do func(*scene) string
	// limit is how long our agent may leave a filesystem frozen, told what it
	// has to tell the host (a part of it).
	limit time.Duration
	told  string
	// omit says why it is not done to the C agent.
	omit string
}

// watchTime is how long a filesystem that does not thaw is looked at.
const watchTime = 2 * time.Second

// blocked is how long a write has to wait to count as stopped.
const blocked = 200 * time.Millisecond

// scene is a ground in which a fault is done to one agent.
type scene struct {
	*testing.T
	agent *agent
	host  *host
	disk  *freezetest.Disk // of what is at hungDir, if a fault has one

	dirs   []string
	probes map[string]*prober
	still  bool
	// detached are descriptors of what was unmounted, beforeClear what has to
	// end first when the scene does.
	detached    []int
	beforeClear []func()
}

// hungDir is where the filesystem is whose disk hangs. It is not watched: it
// stands still because of its disk.
const hungDir = "/mnt/hung"

// play does a fault to an agent.
func play(t *testing.T, f fault, k kind) (o faults.Outcome) {
	freezetest.Need(t)
	options := f.options
	if k == ours {
		options = append(append([]string{}, options...), f.own...)
	}
	s := &scene{T: t, probes: make(map[string]*prober)}
	t.Cleanup(s.clear)
	allowance := freezetest.WatchLateness(t)
	_ = os.Remove(hookCalls)
	s.mount("ext4", "/mnt/a")
	if f.before != nil {
		f.before(s)
	}
	s.mount("xfs", "/mnt/b")
	s.agent = newAgent(t, k, options)
	s.agent.start(func(cmd *exec.Cmd) {
		if f.with != nil {
			f.with(s, cmd)
		}
	})
	o.Failed = true
	defer func() { o.Failed = t.Failed() }()
	if k == ours {
		s.host = dial(s.agent)
	} else if s.host = tryDial(s.agent, watchTime); s.host == nil {
		o.Told = "nothing: the agent does not start"
		return o
	}
	require.Equal(t, pingReply, s.host.ask(doPing))
	o.Told = f.do(s)
	s.settle()
	for _, p := range s.probes {
		o.Frozen = max(o.Frozen, p.stall())
		if !s.still {
			require.NoError(t, p.failed())
		}
	}
	o.Still = s.still
	if k == ours {
		require.False(t, s.still, "something is frozen still")
		require.LessOrEqual(t, o.Frozen, f.limit+allowance(), "frozen for too long")
		require.Contains(t, o.Told, f.told)
	}
	return o
}

// mount makes a filesystem and watches it.
func (s *scene) mount(fsType, dir string) {
	s.Helper()
	require.NoError(s, freezetest.Mount(freezetest.FS{Type: fsType, Dir: dir}))
	s.watch(dir)
}

func (s *scene) watch(dir string) {
	s.Helper()
	p, err := startProber(dir)
	require.NoError(s, err)
	s.dirs, s.probes[dir] = append(s.dirs, dir), p
}

// mountHung makes the filesystem whose disk can hang, with something to sync.
func (s *scene) mountHung() {
	s.Helper()
	var err error
	s.disk, err = freezetest.MountOnDisk(freezetest.FS{Type: "ext4", Dir: hungDir})
	require.NoError(s, err)
}

// hang makes the disk hang, with something to be written to it.
func (s *scene) hang() {
	s.Helper()
	require.NoError(s, os.WriteFile(filepath.Join(hungDir, "dirty"), make([]byte, 1<<20), 0o600))
	require.NoError(s, s.disk.Hang())
}

// freeze freezes everything.
func (s *scene) freeze() {
	s.Helper()
	require.Equal(s, fmt.Sprint(s.freezable()), s.host.ask(doFreeze))
	s.stopped()
}

func (s *scene) freezable() int {
	if s.disk != nil {
		return len(s.dirs) + 1
	}
	return len(s.dirs)
}

// stopped waits until every prober has met the freeze.
func (s *scene) stopped() {
	s.Helper()
	require.Eventually(s, func() bool {
		for _, p := range s.probes {
			if p.waiting() < blocked {
				return false
			}
		}
		return true
	}, soon, 5*time.Millisecond, "it is not frozen")
}

// settle waits until every prober can write, as long as that is worth it.
func (s *scene) settle() {
	for end := time.Now().Add(s.agent.patience(watchTime)); ; time.Sleep(5 * time.Millisecond) {
		waiting := false
		for _, p := range s.probes {
			waiting = waiting || p.waiting() > blocked/2
		}
		if !waiting {
			return
		}
		if time.Now().After(end) {
			s.still = true
			return
		}
	}
}

// again starts the agent again, after its end, and gives its host's words to
// a thaw.
func (s *scene) again() string {
	s.Helper()
	s.settle()
	require.True(s, s.agent.ended(soon), "the agent has not ended")
	s.restart()
	return s.status() + s.ask("thaw", doThaw)
}

// restart starts the agent again and connects a new host to it.
func (s *scene) restart() {
	s.Helper()
	s.agent.start()
	s.host = dial(s.agent)
}

// status gives the agent's words about the state, for the table.
func (s *scene) status() string { return s.ask("status", doStatus) + "; " }

// ask asks the host's question with a time limit that tells a deaf agent from
// one that is slow.
func (s *scene) ask(name, request string) string {
	s.Helper()
	return name + ": " + s.host.askFor(request, watchTime)
}

// clear ends everything. Whatever the agent left frozen is thawed.
func (s *scene) clear() {
	for _, stop := range s.beforeClear {
		stop()
	}
	if s.agent != nil {
		s.agent.kill()
	}
	dirs := s.dirs
	if s.disk != nil {
		require.NoError(s, s.disk.Resume())
		dirs = append(dirs, hungDir)
	}
	if s.agent != nil && s.agent.gone != nil {
		require.Eventually(s, func() bool { return len(freezers(s.T)) == 0 && s.agent.ended(0) }, soon, 5*time.Millisecond,
			"a process does not die")
	}
	for _, dir := range dirs {
		for errors.Is(freezetest.Thaw(dir), unix.EBUSY) {
			time.Sleep(time.Millisecond) // a freeze is being undone
		}
	}
	for _, fd := range s.detached {
		_ = freezetest.ThawFD(fd)
		_ = unix.Close(fd)
	}
	for dir, p := range s.probes {
		require.True(s, p.end(soon), "%s cannot be thawed", dir)
	}
	for _, dir := range dirs {
		require.NoError(s, freezetest.Unmount(dir))
	}
	if s.disk != nil {
		require.NoError(s, s.disk.Close())
	}
}

// reports waits until text is in the agent's own report.
func (s *scene) reports(text string) {
	s.Helper()
	if s.agent.kind == ours {
		report := func() bool { return strings.Contains(s.host.ask("x-fsfreeze-report"), text) }
		require.Eventually(s, report, soon, 10*time.Millisecond, "the report does not say %s", text)
	}
}

// join makes one text of several.
func join(parts ...string) string { return strings.Join(parts, "; ") }
