package ground_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// shortly is a deadline for tests, and the most that a freeze under it may
// last; where the agent has to do it for the freezer it gives that a second.
const (
	shortly       = "--fsfreeze-timeout=1"
	shortlyLimit  = 2 * time.Second
	shortlyByBoth = 6 * time.Second
)

// deadlineFaults are freezes that nobody ends.
var deadlineFaults = []fault{
	{
		name: "host never thaws", did: "freeze, and nothing more (deadline 1 s); then status, thaw, freeze",
		own: []string{shortly}, limit: shortlyLimit,
		do: func(s *scene) string {
			s.freeze()
			s.settle()
			s.reports(`"expired"`)
			answer := s.status() + s.ask("thaw", doThaw)
			if s.agent.kind == ours {
				require.Equal(s, "thawed", s.host.ask(doStatus))
				require.Equal(s, "0", s.host.ask(doThaw))
				require.Equal(s, "2", s.host.ask(doFreeze))
				require.Equal(s, "2", s.host.ask(doThaw))
			}
			return answer
		},
		told: limited("1 second"),
	},
	{
		name: "host asks for nothing after the deadline", did: "as above; the news end by themselves after one more deadline",
		own: []string{shortly}, limit: shortlyLimit, omit: "has no deadline",
		do: func(s *scene) string {
			s.freeze()
			s.settle()
			require.Equal(s, "frozen", s.host.ask(doStatus))
			require.Eventually(s, func() bool { return s.host.ask(doStatus) == "thawed" }, soon, 10*time.Millisecond)
			return s.status() + s.ask("thaw", doThaw)
		},
		told: "status: thawed; thaw: 0",
	},
	{
		name: "host wants no news", did: "the same with --fsfreeze-report-expiry=false",
		own: []string{shortly, "--fsfreeze-report-expiry=false"}, limit: shortlyLimit, omit: "has no deadline",
		do: func(s *scene) string {
			s.freeze()
			s.settle()
			require.Eventually(s, func() bool { return s.host.ask(doStatus) == "thawed" }, soon, 10*time.Millisecond)
			return s.status() + s.ask("thaw", doThaw)
		},
		told: "status: thawed; thaw: 0",
	},
	{
		name: "host freezes after the deadline", did: "freeze, deadline, freeze, thaw",
		own: []string{shortly}, limit: 2 * shortlyLimit, omit: "has no deadline",
		do: func(s *scene) string {
			s.freeze()
			s.settle()
			return join(s.ask("freeze", doFreeze), s.status()+s.ask("thaw", doThaw))
		},
		told: "freeze: 2; status: frozen; thaw: 2",
	},
	{
		name: "agent stopped", did: "SIGSTOP to the agent while frozen (deadline 1 s); later SIGCONT",
		own: []string{shortly}, limit: shortlyLimit,
		do: func(s *scene) string {
			s.freeze()
			s.agent.signal(unix.SIGSTOP)
			s.settle()
			s.agent.signal(unix.SIGCONT)
			return s.status() + s.ask("thaw", doThaw)
		},
		told: limited("1 second"),
	},
	{
		name: "freezer stopped", did: "SIGSTOP to the freezer while frozen (deadline 1 s)",
		own: []string{shortly}, limit: shortlyByBoth, omit: hasNoFreezer,
		do: func(s *scene) string {
			s.freeze()
			require.NoError(s, unix.Kill(freezer(s.T), unix.SIGSTOP))
			s.settle()
			return s.status() + s.ask("thaw", doThaw)
		},
		told: limited("1 second"),
	},
	{
		name: "thaw with the freezer stopped", did: "SIGSTOP to the freezer while frozen; thaw",
		limit: shortlyByBoth, omit: hasNoFreezer,
		do: func(s *scene) string {
			s.freeze()
			require.NoError(s, unix.Kill(freezer(s.T), unix.SIGSTOP))
			return s.askIn("thaw", doThaw, shortlyByBoth)
		},
		told: "thaw: 2",
	},
	{
		name: "freezer stopped, agent killed", did: "SIGSTOP to the freezer, SIGKILL to the agent; restart",
		limit: watchTime, omit: hasNoFreezer,
		do: func(s *scene) string {
			s.freeze()
			require.NoError(s, unix.Kill(freezer(s.T), unix.SIGSTOP))
			s.agent.signal(unix.SIGKILL)
			require.True(s, s.agent.ended(soon))
			s.restart()
			s.settle()
			return s.status() + s.ask("thaw", doThaw)
		},
		told: limited("the life of the agent, which was restarted"),
	},
}
