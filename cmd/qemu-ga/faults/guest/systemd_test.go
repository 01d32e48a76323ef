package guest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
	"qemu-ga/cmd/internal/vm/control"
	"qemu-ga/cmd/qemu-ga/faults"
)

// unitFault is what an init system and its journal do to an agent that is one
// of its services.
type unitFault struct {
	name, did string
	// before prepares the guest, before the agent starts.
	before func(*scene)
	do     func(*scene) string
	limit  time.Duration
	told   string
}

// The units of the agents: ours as it is shipped, the C agent's as Debian has
// it, but for the program and the port's unit, which is there all the time.
const (
	ourUnit       = "qemu-guest-agent.service"
	referenceUnit = "reference-agent.service"
	referenceText = "[Service]\nExecStart=/reference/qemu-ga -v\nRestart=always\nRestartSec=0\n"
	verboseText   = "[Service]\nExecStart=\nExecStart=/usr/bin/qemu-ga --retry-path --statedir=/run -v\n"
)

// journalNoise fills the journal's sockets for as long as the journal stands
// still: more than they hold, from programs that do not wait for it.
const journalNoise = `for i in $(seq 400); do echo "noise $i"; done | timeout 2 systemd-cat || true`

// soon is the most that a freeze may outlive the service, which systemd has to
// start again on a busy machine.
const soon = 10 * time.Second

var unitFaults = []unitFault{
	{
		name: "service restarted", did: "`systemctl restart` while everything, root and the journal's disk too, is frozen",
		limit: soon,
		do: func(s *scene) string {
			s.freeze()
			s.v.Systemctl("restart", "--no-block", s.unit())
			s.settle(s.patience())
			return s.reborn()
		},
		told: limited("the life of the agent, which was stopped"),
	},
	{
		name: "service stopped", did: "`systemctl stop` while everything is frozen; start",
		limit: soon,
		do: func(s *scene) string {
			s.freeze()
			s.v.Systemctl("stop", "--no-block", s.unit())
			s.settle(s.patience())
			return s.reborn()
		},
		told: limited("the life of the agent, which was stopped"),
	},
	{
		name: "service killed", did: "SIGKILL to all processes of the service at once, while everything is frozen; the unit starts it again",
		limit: soon,
		do: func(s *scene) string {
			s.freeze()
			s.v.Sh("echo 1 >/sys/fs/cgroup/system.slice/" + s.unit() + "/cgroup.kill")
			s.settle(s.patience())
			return s.reborn()
		},
		told: limited("the life of the agent, which was restarted"),
	},
	{
		name: "journal on a frozen disk", did: "`--verbose`; root is frozen with the journal on it, other programs fill the journal's sockets",
		limit: settle,
		do: func(s *scene) string {
			s.freeze()
			s.v.Sh(journalNoise)
			s.v.Until(settle, "the journal stands still", func() bool {
				return s.v.Try(settle, "grep", "-q", "State:.*D", s.journalStatus()).Status == 0
			})
			return s.chat() + s.news()
		},
		told: "200 pings answered; status: frozen; thaw: 2",
	},
	{
		name: "journal that does not read", did: "`--verbose`; the journal is stopped by SIGSTOP and its sockets are full; freeze, thaw",
		limit: settle,
		do: func(s *scene) string {
			s.v.Sh("kill -STOP " + s.journalPID())
			defer func() { s.v.Sh("kill -CONT " + s.journalPID()) }()
			s.v.Sh(journalNoise)
			answer := s.chat()
			s.freeze()
			return answer + s.chat() + s.news()
		},
		told: "200 pings answered; 200 pings answered; status: frozen; thaw: 2",
	},
	{
		name: "journal's disk full", did: "`--verbose`; the journal's filesystem has no space left; freeze, thaw",
		limit: settle,
		before: func(s *scene) {
			s.v.Sh("mount -t tmpfs -o size=12m full /var/log/journal; systemctl restart systemd-journald; journalctl --flush")
			s.v.Sh("! cat /dev/zero >/var/log/journal/ballast 2>/dev/null")
			s.Cleanup(func() { s.v.Sh("umount -l /var/log/journal; systemctl restart systemd-journald; journalctl --flush") })
		},
		do: func(s *scene) string {
			answer := s.chat()
			s.freeze()
			return answer + s.chat() + s.news()
		},
		told: "200 pings answered; 200 pings answered; status: frozen; thaw: 2",
	},
}

// TestSystemdFaults does them in one guest, first to our agent and then to the
// C agent. Of its two filesystems, one is the root.
func TestSystemdFaults(t *testing.T) {
	files := vm.AgentFiles(t)
	files[referencePath] = vm.Reference(t)
	v := vm.StartDebian(t, vm.Debian{Config: vm.Config{Files: files, Disks: []vm.Disk{{Name: "a", FS: "ext4"}}}})
	v.Push("/run/systemd/system/"+referenceUnit, []byte(referenceText), 0o644)
	v.Push("/run/systemd/system/"+ourUnit+".d/verbose.conf", []byte(verboseText), 0o644)
	v.Sh("systemctl daemon-reload; systemctl stop " + ourUnit)
	for _, f := range unitFaults {
		row := faults.Row{Fault: f.name, Did: f.did, Ours: faults.Outcome{Failed: true}}
		t.Run(f.name, func(t *testing.T) { row.Ours = playUnit(t, v, f, false) })
		t.Run(f.name+"/reference", func(t *testing.T) { row.Reference = playUnit(t, v, f, true) })
		rows = append(rows, row)
	}
}

// referencePath is where the C agent lies in the full guest.
const referencePath = "/reference"

// playUnit does a fault to one of the agents.
func playUnit(t *testing.T, v *vm.VM, f unitFault, reference bool) (o faults.Outcome) {
	s := &scene{T: t, v: v.In(t), reference: reference}
	if f.before != nil {
		f.before(s)
	}
	t.Cleanup(s.clearUnit)
	s.startUnit()
	for disk, path := range map[string]string{disks[0]: "/mnt/a/writer", disks[1]: "/var/tmp/writer"} {
		s.v.StartWriter(control.Writer{Name: disk, Path: path, PauseMS: 2, Buffered: true})
	}
	o.Failed = true
	defer func() { o.Failed = t.Failed() }()
	o.Told = f.do(s)
	s.settle(watchTime)
	o.Still = s.still
	o.Frozen = s.frozen()
	if !reference {
		require.False(t, o.Still, "something is frozen still")
		require.LessOrEqual(t, o.Frozen, f.limit, "frozen for too long")
		require.Contains(t, o.Told, f.told)
	}
	return o
}

// frozen is the longest that a writer had to wait.
func (s *scene) frozen() time.Duration {
	s.Helper()
	longest := 0.0
	for _, disk := range disks {
		stats := s.v.Writer(disk)
		require.Empty(s, stats.Error)
		longest = max(longest, stats.WorstMS, stats.InFlightMS)
	}
	return time.Duration(longest) * time.Millisecond
}

// unit is the agent's.
func (s *scene) unit() string {
	if s.reference {
		return referenceUnit
	}
	return ourUnit
}

// startUnit starts the agent, unless it runs, and finds its ear.
func (s *scene) startUnit() {
	s.Helper()
	s.v.Systemctl("start", s.unit())
	s.host = s.v.Agent()
	s.host.Sync(settle)
}

// reborn gives the news of an agent that was ended.
func (s *scene) reborn() string {
	s.Helper()
	s.host.Close()
	if !s.reference {
		s.startUnit()
		return s.news()
	}
	// It may be waiting for systemd to give up on it.
	s.host = s.v.Agent()
	return s.news()
}

// chat has the host talk to the agent, with much to be logged.
func (s *scene) chat() string {
	s.Helper()
	for n := range 200 {
		if answer := s.ask("ping", "guest-ping"); answer != "ping: {}" {
			return fmt.Sprintf("no answer after %d pings; ", n)
		}
	}
	return "200 pings answered; "
}

func (s *scene) journalPID() string {
	s.Helper()
	return s.v.Systemctl("show", "-P", "MainPID", "systemd-journald")
}

func (s *scene) journalStatus() string {
	s.Helper()
	return "/proc/" + s.journalPID() + "/status"
}

// clearUnit leaves the guest as it was.
func (s *scene) clearUnit() {
	s.v.Sh("systemctl kill --signal=KILL " + s.unit() + "; systemctl stop --no-block " + s.unit())
	s.v.Until(settle, "the agent ends", func() bool {
		return s.v.Try(settle, "systemctl", "is-active", s.unit()).Stdout != "active\n"
	})
	// What the C agent has left; it is no error that nothing is frozen.
	s.v.Try(settle, "fsfreeze", "--unfreeze", "/mnt/a")
	s.v.Try(settle, "fsfreeze", "--unfreeze", "/")
	for _, disk := range disks {
		s.v.StopWriter(disk)
	}
	s.v.Systemctl("stop", s.unit())
	s.v.Sh("systemctl reset-failed; rm -f /run/qga.state* /var/tmp/writer /mnt/a/writer")
}
