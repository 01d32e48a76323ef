package ground_test

import (
	"time"

	"github.com/stretchr/testify/require"
)

// diskFaults are disks that stop answering.
var diskFaults = []fault{
	{
		name: "disk hangs before the freeze", did: "one of three disks completes no write; freeze",
		own:    []string{"--fsfreeze-stall-timeout=2"},
		before: (*scene).mountHung,
		do: func(s *scene) string {
			s.hang()
			s.host.send(doFreeze)
			ping := "ping meanwhile: " + dial(s.T, s.agent.socket).askFor(doPing, time.Second)
			answer := join("freeze: "+s.host.reply(5*time.Second), ping, s.status())
			s.settle()
			if s.agent.kind == reference {
				return answer
			}
			require.Contains(s, answer, "ping meanwhile: {}")
			require.Contains(s, answer, hungDir)
			require.Contains(s, answer, "status: thawed")
			require.NoError(s, s.disk.Resume())
			s.freezeAgain()
			return answer
		},
		limit: time.Second, told: "has completed no write for 2s, so it is hung; nothing was frozen",
	},
	{
		name: "disk hangs in the freeze", did: "one of three disks stops just before its FIFREEZE",
		own:    []string{"--fsfreeze-window-timeout=1", "--fsfreeze-presync=false"},
		before: (*scene).mountHung,
		do: func(s *scene) string {
			s.hang()
			s.host.send(doFreeze)
			answer := "freeze: " + s.host.reply(5*time.Second)
			s.settle()
			if s.agent.kind == reference {
				return answer
			}
			require.Contains(s, s.host.ask(doFreeze), "has not come back from the kernel")
			s.reports(`"stuck"`)
			require.NoError(s, s.disk.Resume())
			s.freezeAgain()
			return answer
		},
		limit: 2 * time.Second, told: "cannot freeze " + hungDir + " within 1s",
	},
	{
		name: "disk hangs while frozen", did: "one of three disks stops; thaw",
		before: (*scene).mountHung,
		do: func(s *scene) string {
			s.freeze()
			s.hangFrozen()
			answer := s.askIn("thaw", doThaw, 5*time.Second)
			s.settle()
			if s.agent.kind == reference {
				return answer
			}
			require.Equal(s, "thawed", s.host.ask(doStatus))
			require.NoError(s, s.disk.Resume())
			s.freezeAgain()
			return answer
		},
		limit: 2 * time.Second, told: "thaw: ",
	},
}

// hangFrozen makes the disk hang under a frozen filesystem.
func (s *scene) hangFrozen() {
	s.Helper()
	require.NoError(s, s.disk.Hang())
}

// freezeAgain freezes as soon as the agent lets it, and thaws: the fault has
// left nothing behind.
func (s *scene) freezeAgain() {
	s.Helper()
	var answer string
	require.Eventually(s, func() bool {
		answer = s.host.ask(doFreeze)
		return answer == "3"
	}, soon, 20*time.Millisecond, "it does not freeze again")
	require.Equal(s, "3", s.host.ask(doThaw))
	require.Equal(s, "thawed", s.host.ask(doStatus))
}
