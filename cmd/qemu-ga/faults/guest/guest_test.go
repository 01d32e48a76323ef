package guest_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// A deadline for tests, and the most that a freeze under it may last on a
// busy machine.
const (
	deadline      = 4 * time.Second
	deadlineLimit = deadline + 4*time.Second
)

var deadlineOption = []string{fmt.Sprintf("--fsfreeze-timeout=%d", deadline/time.Second)}

// limited is how the host is told that a freeze ended by itself.
func limited(what string) string {
	return "status: frozen; thaw: error: fsfreeze is limited to " + what + ": the filesystems were thawed at "
}

// guestFaults are what a hypervisor, and the guest's own clock and init, can
// do to a freeze.
var guestFaults = []fault{
	{
		name: "clock set back and forward", did: "the guest's clock is set back by a day, then forward by two, while frozen (deadline 4 s)",
		options: deadlineOption, limit: deadlineLimit,
		do: func(s *scene) string {
			s.freeze()
			now := time.Now()
			s.v.Sh(fmt.Sprintf("date -s @%d", now.Add(-24*time.Hour).Unix()))
			s.v.Sh(fmt.Sprintf("date -s @%d", now.Add(24*time.Hour).Unix()))
			require.False(s, s.writable(0), "thawed by the clock")
			s.settle(deadlineLimit)
			s.v.Sh(fmt.Sprintf("date -s @%d", now.Unix()))
			return s.news()
		},
		told: limited("4 seconds"),
	},
	{
		name: "guest paused, then thawed", did: "the hypervisor stops the frozen guest for longer than the deadline of 4 s; thaw",
		options: deadlineOption, limit: deadlineLimit,
		do: func(s *scene) string {
			s.freeze()
			s.pause()
			return s.news()
		},
		told: "status: frozen; thaw: 2",
	},
	{
		name: "guest paused, then forgotten", did: "the same without a thaw",
		options: deadlineOption, limit: deadlineLimit,
		do: func(s *scene) string {
			s.freeze()
			s.pause()
			s.settle(deadlineLimit)
			return s.news()
		},
		told: limited("4 seconds"),
	},
	{
		name: "control group killed", did: "SIGKILL to the agent's whole control group while frozen; then `qemu-ga thaw`, as its unit does; restart",
		limit: settle,
		do: func(s *scene) string {
			group := "/sys/fs/cgroup/agent"
			s.v.Sh("mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup; mkdir -p " + group)
			s.v.Sh(fmt.Sprintf("echo %d > %s/cgroup.procs", s.v.AgentPID(), group))
			s.freeze()
			s.v.Sh("echo 1 > " + group + "/cgroup.kill")
			require.False(s, s.v.Wait(vm.AgentProgram, settle).Running)
			if !s.reference {
				require.False(s, s.writable(0), "nobody is left to thaw")
				require.Contains(s, s.v.Sh(vm.AgentPath+" thaw --statedir=/run"), "thawed /mnt/a, /mnt/b")
			}
			s.settle(watchTime)
			return s.again()
		},
		told: limited("the life of the agent, which was restarted"),
	},
	{
		name: "host vanishes from its port", did: "virtio-serial: the host's side is closed while the freeze is at its hook",
		both: []string{"-F/hook"}, limit: 3 * time.Second,
		do: func(s *scene) string {
			s.v.Sh(`printf '#!/bin/sh\necho $1 >>/tmp/calls\n[ $1 = thaw ] || sleep 2\n' >/hook; chmod 755 /hook`)
			s.host.Send("guest-fsfreeze-freeze", nil)
			s.called("freeze")
			s.host.Close()
			if s.reference {
				s.stopped()
			} else {
				s.called("thaw")
			}
			s.settle(watchTime)
			s.host = s.v.Agent()
			s.host.Sync(settle)
			return s.news()
		},
		told: "thaw: 0",
	},
	{
		name: "memory snapshot restored", did: "a snapshot with memory is taken while frozen, the guest is thawed and later set back to it (deadline 4 s)",
		options: deadlineOption, limit: deadlineLimit,
		do: func(s *scene) string {
			s.v.Snapshot() // from now on the disks are of a kind that holds memory, too
			nodes := []string{fmt.Sprintf("a-%d", 1), fmt.Sprintf("b-%d", 1)}
			s.freeze()
			s.job("snapshot-save", nodes)
			first := s.ask("thaw", "guest-fsfreeze-thaw")
			require.True(s, s.writable(settle))
			s.job("snapshot-load", nodes)
			s.host.Close()
			s.host = s.v.Agent()
			// A guest that is set back may misjudge how long a write has been
			// under way: what counts is that new ones end.
			for _, write := range s.v.Accepts(settle, "/mnt/"+disks[0], "/mnt/"+disks[1]) {
				s.still = s.still || !write.OK
			}
			s.host.Sync(settle)
			return first + "; set back; " + s.news()
		},
		told: "thaw: 2; set back; " + limited("4 seconds"),
	},
}

// memoryFaults are done to a guest that runs out of memory.
var memoryFaults = []fault{
	{
		name: "out of memory", did: "a program takes all memory while frozen, and the kernel kills the agent first",
		limit: settle,
		do: func(s *scene) string {
			s.v.Sh(fmt.Sprintf("echo 1000 > /proc/%d/oom_score_adj", s.v.AgentPID()))
			s.freeze()
			s.v.StartProgram("hog", "tail", "/dev/zero")
			s.v.Until(settle, "the agent is killed", func() bool { return !s.v.Wait(vm.AgentProgram, 0).Running })
			s.settle(watchTime)
			require.False(s, s.v.Wait("hog", settle).Running)
			return s.again()
		},
		told: limited("the life of the agent, which was restarted"),
	},
}

// called waits until the hook has been called so.
func (s *scene) called(argument string) {
	s.Helper()
	s.v.Until(settle, "the hook's "+argument, func() bool {
		return s.v.Try(settle, "grep", "-q", argument, "/tmp/calls").Status == 0
	})
}

// pause stops the guest for longer than the deadline.
func (s *scene) pause() {
	s.Helper()
	s.v.QMP("stop", nil)
	time.Sleep(deadline + time.Second) // the length of the pause, not a wait for anything
	s.v.QMP("cont", nil)
	require.False(s, s.writable(0), "thawed by the pause")
}

// job has QEMU save the guest with its memory, or load it.
func (s *scene) job(command string, nodes []string) {
	s.Helper()
	s.v.QMP(command, map[string]any{"job-id": command, "tag": "memory", "vmstate": nodes[0], "devices": nodes})
	var job struct{ Status, Error string }
	s.v.Until(time.Minute, command, func() bool {
		var jobs []struct{ ID, Status, Error string }
		require.NoError(s, json.Unmarshal(s.v.QMP("query-jobs", nil), &jobs))
		for _, j := range jobs {
			if j.ID == command {
				job.Status, job.Error = j.Status, j.Error
			}
		}
		return job.Status == "concluded"
	})
	require.Empty(s, job.Error)
	s.v.QMP("job-dismiss", map[string]any{"id": command})
}
