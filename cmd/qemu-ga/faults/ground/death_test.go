package ground_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze/freezetest"
)

const (
	hasNoFreezer = "has no process to kill"
	hasNoThaw    = "has no such command"
)

// deathFaults are processes that are killed or told to stop.
var deathFaults = []fault{
	{
		name: "agent killed", did: "SIGKILL to the agent while frozen; restart", limit: soonThawed,
		do: func(s *scene) string {
			s.freeze()
			s.agent.signal(unix.SIGKILL)
			return s.again()
		},
		told: limited("the life of the agent, which was restarted"),
	},
	{
		name: "freezer killed", did: "SIGKILL to the freezer while frozen", limit: soonThawed,
		omit: hasNoFreezer,
		do: func(s *scene) string {
			s.freeze()
			require.NoError(s, unix.Kill(freezer(s.T), unix.SIGKILL))
			s.settle()
			return s.status() + s.ask("thaw", doThaw)
		},
		told: limited("the life of the freezer process, which was ended"),
	},
	{
		name: "freezer told to stop", did: "SIGTERM to the freezer while frozen", limit: soonThawed,
		omit: hasNoFreezer,
		do: func(s *scene) string {
			s.freeze()
			require.NoError(s, unix.Kill(freezer(s.T), unix.SIGTERM))
			s.settle()
			return s.status() + s.ask("thaw", doThaw)
		},
		told: limited("the life of the freezer process, which was ended"),
	},
	{
		name: "everything killed", did: "SIGKILL to all processes while frozen; restart", limit: watchTime,
		omit: "is one process: as above",
		do: func(s *scene) string {
			s.freeze()
			s.killAll()
			s.stopped()
			s.restart()
			s.settle()
			return s.status() + s.ask("thaw", doThaw)
		},
		told: limited("the life of the agent, which was restarted"),
	},
	{
		name: "everything killed, no restart", did: "SIGKILL to all processes; then what the unit does after a stop: `qemu-ga thaw`",
		omit: hasNoThaw, limit: watchTime,
		do: func(s *scene) string {
			s.freeze()
			s.killAll()
			s.stopped()
			out, err := exec.Command(ownAgent, "thaw", "-t", s.agent.state).CombinedOutput()
			require.NoError(s, err, "%s", out)
			require.Equal(s, "thawed /mnt/a, /mnt/b\n", string(out))
			return s.again()
		},
		told: limited("the life of the agent, which was restarted"),
	},
	{
		name: "everything killed, disk hangs", did: "SIGKILL to all processes, one of three disks stops; restart", limit: watchTime,
		omit: "is one process: as above", before: (*scene).mountHung,
		do: func(s *scene) string {
			s.freeze()
			require.NoError(s, s.disk.Hang())
			s.killAll()
			s.restart()
			s.settle()
			require.Contains(s, s.host.ask(doFreeze), "has not come back from the kernel")
			answer := s.status() + s.ask("thaw", doThaw)
			require.NoError(s, s.disk.Resume())
			s.freezeAgain()
			return answer
		},
		told: limited("the life of the agent, which was restarted"),
	},
	{
		name: "everything killed with a freeze stuck",
		did:  "a disk hangs in the freeze, which fails; SIGKILL to all processes; the disk comes back; restart",
		own:  []string{"--fsfreeze-window-timeout=1", "--fsfreeze-presync=false"}, limit: watchTime,
		omit: "is one process: as above", before: (*scene).mountHung,
		do: func(s *scene) string {
			s.hang()
			answer := s.ask("freeze", doFreeze)
			s.killAll()
			require.NoError(s, s.disk.Resume())
			s.restart()
			require.True(s, freezetest.Writable(hungDir, watchTime), "it is frozen still")
			s.freezeAgain()
			return answer
		},
		told: "cannot freeze " + hungDir,
	},
	{
		name: "everything killed with a freeze stuck for longer",
		did:  "the same, and the disk comes back after the restart",
		own:  []string{"--fsfreeze-window-timeout=1", "--fsfreeze-presync=false"}, limit: watchTime,
		omit: "is one process: as above", before: (*scene).mountHung,
		do: func(s *scene) string {
			s.hang()
			answer := s.ask("freeze", doFreeze)
			s.killAll()
			s.restart()
			require.Contains(s, s.host.ask(doFreeze), "has not come back from the kernel")
			require.NoError(s, s.disk.Resume())
			require.True(s, freezetest.Writable(hungDir, watchTime), "it is frozen still")
			s.freezeAgain()
			return answer
		},
		told: "cannot freeze " + hungDir,
	},
	{
		name: "agent told to stop", did: "SIGTERM while frozen; restart", limit: soonThawed,
		do:   stopWith(unix.SIGTERM),
		told: limited("the life of the agent, which was stopped"),
	},
	{
		name: "agent interrupted", did: "SIGINT while frozen; restart", limit: soonThawed,
		do:   stopWith(unix.SIGINT),
		told: limited("the life of the agent, which was stopped"),
	},
	{
		name: "agent killed in its hook", did: "SIGKILL to the agent while its hook prepares the application; restart",
		options: []string{"-F/hook"}, limit: soonThawed,
		before: func(s *scene) { s.hook("[ $1 = thaw ] || sleep 1000") },
		do: func(s *scene) string {
			s.host.send(doFreeze)
			s.hooked("freeze")
			s.agent.signal(unix.SIGKILL)
			require.True(s, s.agent.ended(soon))
			s.restart()
			return join(s.status()+s.ask("thaw", doThaw), s.paired())
		},
		told: "status: thawed; thaw: 0; hook: freeze thaw",
	},
	{
		name: "agent killed, hook waits", did: "SIGKILL to the agent while frozen and its application is prepared; restart",
		options: []string{"-F/hook"}, limit: soonThawed,
		before: func(s *scene) { s.hook("true") },
		do: func(s *scene) string {
			s.freeze()
			s.agent.signal(unix.SIGKILL)
			return join(s.again(), s.paired())
		},
		told: limited("the life of the agent, which was restarted"),
	},
}

// soonThawed is how long a freeze may last, with the time to be sure of it,
// when something ends it at once.
const soonThawed = 1200 * 1e6 // nanoseconds

// limited is how the host is told that a freeze ended by itself.
func limited(what string) string {
	return "status: frozen; thaw: error: fsfreeze is limited to " + what + ": the filesystems were thawed at "
}

// killAll kills the agent and its freezer so that neither sees the other die.
func (s *scene) killAll() {
	s.Helper()
	pids := append(freezers(s.T), s.agent.cmd.Process.Pid)
	for _, pid := range pids {
		require.NoError(s, unix.Kill(pid, unix.SIGSTOP))
	}
	for _, pid := range pids {
		require.Eventually(s, func() bool { return standsStill(pid) }, soon, probePause)
	}
	for _, pid := range pids {
		require.NoError(s, unix.Kill(pid, unix.SIGKILL))
	}
	require.True(s, s.agent.ended(soon))
}

// standsStill tells whether no thread of a process runs any more.
func standsStill(pid int) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range files {
		// 42 (name) T 1 …
		text, _ := os.ReadFile(file)
		_, state, _ := strings.Cut(string(text), ") ")
		if strings.HasPrefix(state, "R") || strings.HasPrefix(state, "S") {
			return false
		}
	}
	return true
}

// stopWith tells the agent to stop while frozen. One that does not is killed,
// as its unit would be.
func stopWith(signal syscall.Signal) func(*scene) string {
	return func(s *scene) string {
		s.freeze()
		s.agent.signal(signal)
		s.settle()
		if !s.agent.ended(s.agent.patience(watchTime)) {
			require.Equal(s, reference, s.agent.kind, "it does not stop")
			return "does not stop; " + s.status() + s.ask("thaw", doThaw)
		}
		return s.again()
	}
}

// The hook of a scene and the file where it notes its calls.
const (
	hookProgram = "/hook"
	hookCalls   = "/hook.calls"
)

// hook makes a hook program that notes its argument and then runs body.
func (s *scene) hook(body string) {
	s.Helper()
	_ = os.Remove(hookProgram)
	script := "#!/bin/sh\necho $1 >>" + hookCalls + "\n" + body + "\n"
	require.NoError(s, os.WriteFile(hookProgram, []byte(script), 0o755))
}

// calls gives the arguments that the hook was called with.
func (s *scene) calls() string {
	text, _ := os.ReadFile(hookCalls)
	return strings.Join(strings.Fields(string(text)), " ")
}

// hooked waits until the hook has been called so.
func (s *scene) hooked(calls string) {
	s.Helper()
	require.Eventually(s, func() bool { return s.calls() == calls }, soon, probePause, "the hook is not called")
}

// paired requires of our agent that the hook was told to prepare, and to go
// on.
func (s *scene) paired() string {
	s.Helper()
	if s.agent.kind == ours {
		s.hooked("freeze thaw")
	}
	return "hook: " + s.calls()
}
