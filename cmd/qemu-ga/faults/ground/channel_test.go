package ground_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const slowHook = "[ $1 = thaw ] || sleep 3"

// channelFaults are hosts that vanish, lose patience or repeat themselves.
var channelFaults = []fault{
	{
		name: "host vanishes while freezing", did: "the connection is closed while the hook runs", limit: soonThawed,
		options: []string{"-F/hook"}, before: func(s *scene) { s.hook("[ $1 = thaw ] || sleep 1") },
		do: func(s *scene) string {
			s.host.send(doFreeze)
			s.hooked("freeze")
			s.host.close()
			if s.agent.kind == ours {
				s.hooked("freeze thaw")
			} else {
				s.stopped()
			}
			return s.later()
		},
		told: "status: thawed; thaw: 0",
	},
	{
		name: "host vanishes before the answer", did: "the connection is closed right after the request", limit: soonThawed,
		do: func(s *scene) string {
			s.host.send(doFreeze)
			s.host.close()
			if s.agent.kind == reference {
				s.stopped()
			}
			return s.later()
		},
		told: "thaw: 0",
	},
	{
		name: "answer left unread", did: "the host closes its socket with the answer to its freeze unread", limit: soonThawed,
		do: func(s *scene) string {
			s.host.send(doFreeze)
			s.stopped()
			s.host.close()
			return s.later()
		},
		told: "status: thawed; thaw: 0",
	},
	{
		name: "answer not taken", did: "the host reads nothing, and the answer to its freeze does not fit into the socket (limit 5 s)",
		limit: 6500 * time.Millisecond,
		do: func(s *scene) string {
			room := fill(s, s.host, 1<<20)
			s.host = dial(s.agent)
			require.Equal(s, room, fill(s, s.host, room))
			s.host.send(doFreeze)
			s.stopped()
			require.Eventually(s, func() bool { return s.agent.kind == reference || s.probes["/mnt/a"].waiting() < blocked },
				soon, probePause, "it is frozen still")
			return s.later()
		},
		told: "status: thawed; thaw: 0",
		omit: "serves one host at a time, and never gets to the second",
	},
	{
		name: "host vanishes while frozen", did: "the connection is closed; another host comes (deadline 1 s)",
		own: []string{shortly}, limit: shortlyLimit,
		do: func(s *scene) string {
			s.freeze()
			s.host.close()
			return s.later()
		},
		told: limited("1 second"),
	},
	{
		name: "host loses patience", did: "guest-sync behind a freeze whose hook takes 3 s", limit: soonThawed,
		options: []string{"-F/hook"}, before: func(s *scene) { s.hook(slowHook) },
		do: func(s *scene) string {
			s.host.send(doFreeze)
			s.hooked("freeze")
			answer := s.askIn("sync", doSync, 2*time.Second)
			return join(answer, s.status()+s.ask("thaw", doThaw), s.paired())
		},
		told: "sync: 7; status: thawed; thaw: 0; hook: freeze thaw",
	},
	{
		name: "host has no patience", did: "the same, both requests in one piece", limit: soonThawed,
		options: []string{"-F/hook"}, before: func(s *scene) { s.hook(slowHook) },
		do: func(s *scene) string {
			s.host.send(doFreeze, doSync)
			answer := "sync: " + s.host.reply(2*time.Second)
			answer = join(answer, s.status()+s.ask("thaw", doThaw))
			if s.calls() == "" {
				return answer // it was given up before the hook began
			}
			return join(answer, s.paired())
		},
		told: "sync: 7; status: thawed; thaw: 0",
	},
	{
		name: "thaw behind a running freeze", did: "thaw while the hook of the freeze takes 3 s", limit: soonThawed,
		options: []string{"-F/hook"}, before: func(s *scene) { s.hook(slowHook) },
		do: func(s *scene) string {
			s.host.send(doFreeze)
			s.hooked("freeze")
			answer := "freeze: " + s.askIn("", doThaw, 2*time.Second)
			return join(answer, "thaw: "+s.host.reply(time.Second), s.paired())
		},
		told: "freeze: error: cannot freeze: the request was given up; thaw: 0; hook: freeze thaw",
	},
	{
		name: "thaw in one piece with the freeze", did: "both requests in one write, the hook takes 3 s", limit: soonThawed,
		options: []string{"-F/hook"}, before: func(s *scene) { s.hook(slowHook) },
		do: func(s *scene) string {
			s.host.send(doFreeze, doThaw)
			return join("freeze: "+s.host.reply(2*time.Second), "thaw: "+s.host.reply(time.Second))
		},
		told: "freeze: error: cannot freeze: the request was given up; thaw: 0",
	},
	{
		name: "thaw by another host", did: "a second connection thaws while the hook of the first one's freeze takes 3 s", limit: soonThawed,
		options: []string{"-F/hook"}, before: func(s *scene) { s.hook(slowHook) },
		do: func(s *scene) string {
			s.host.send(doFreeze)
			s.hooked("freeze")
			answer := "thaw: " + dial(s.agent).askFor(doThaw, time.Second)
			return join(answer, "freeze: "+s.host.reply(watchTime))
		},
		told: "thaw: 0; freeze: error: cannot freeze: the request was given up",
	},
	{
		name: "two hosts at once", did: "one freezes, the other asks, freezes and thaws", limit: watchTime,
		do: func(s *scene) string {
			s.freeze()
			other := dial(s.agent)
			answer := join("status: "+other.askFor(doStatus, time.Second), "freeze: "+other.askFor(doFreeze, time.Second),
				"thaw: "+other.askFor(doThaw, time.Second))
			return answer
		},
		told: "status: frozen; freeze: error: Command guest-fsfreeze-freeze has been disabled: the command is not allowed: the agent is in frozen state; thaw: 2",
	},
	{
		name: "freeze twice", did: "freeze, freeze, thaw", limit: watchTime,
		do: func(s *scene) string {
			s.freeze()
			return join(s.ask("freeze", doFreeze), s.ask("thaw", doThaw))
		},
		told: "freeze: error: Command guest-fsfreeze-freeze has been disabled: the command is not allowed: the agent is in frozen state; thaw: 2",
	},
	{
		name: "thaw twice", did: "freeze, thaw, thaw", limit: watchTime,
		do: func(s *scene) string {
			s.freeze()
			return join(s.ask("thaw", doThaw), s.ask("thaw", doThaw))
		},
		told: "thaw: 2; thaw: 0",
	},
	{
		name: "thaw without a freeze", did: "thaw", limit: soonThawed,
		do:   func(s *scene) string { return s.ask("thaw", doThaw) },
		told: "thaw: 0",
	},
	{
		name: "host does not read", did: "a host asks for more than it reads, while another freezes and thaws", limit: watchTime,
		do: func(s *scene) string {
			deaf := dial(s.agent)
			if s.agent.kind == reference {
				deaf, s.host = s.host, deaf
			}
			_ = deaf.conn.SetWriteDeadline(time.Now().Add(time.Second))
			for {
				if _, err := deaf.conn.Write([]byte(`{"execute":"guest-info"}` + "\n")); err != nil {
					break // until neither side takes any more
				}
			}
			answer := join(s.ask("freeze", doFreeze), s.ask("thaw", doThaw))
			s.agent.signal(unix.SIGTERM)
			if !s.agent.ended(s.agent.patience(time.Second)) {
				answer = join(answer, "does not stop on SIGTERM")
			}
			return answer
		},
		told: "freeze: 2; thaw: 2",
	},
}

// fill asks h's agent for at most limit pings and reads no answer. It returns
// how many answers fit into the socket.
func fill(s *scene, h *host, limit int) int {
	s.Helper()
	for sent := range limit {
		h.send(doPing)
		for end := time.Now().Add(time.Second); h.unread()/len(pingLine) <= sent; time.Sleep(50 * time.Microsecond) {
			if time.Now().After(end) {
				return sent // this one does not fit
			}
		}
	}
	return limit
}

// pingLine is how a ping is answered.
const pingLine = `{"return": {}}` + "\n"

// askIn asks with a limit of its own.
func (s *scene) askIn(name, request string, limit time.Duration) string {
	s.Helper()
	if name != "" {
		name += ": "
	}
	return name + s.host.askFor(request, limit)
}

// later gives what the next host is told. An agent that has ended is started
// again.
func (s *scene) later() string {
	s.Helper()
	s.settle()
	ended := ""
	if s.agent.ended(blocked) {
		require.Equal(s, reference, s.agent.kind, "the agent has ended")
		ended = "the agent ends; after its restart: "
		s.agent.start()
	}
	s.host = dial(s.agent)
	return ended + s.status() + s.ask("thaw", doThaw)
}
