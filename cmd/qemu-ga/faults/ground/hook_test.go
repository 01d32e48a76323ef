package ground_test

import (
	"os"

	"github.com/stretchr/testify/require"
)

// withHook are the options of an agent that has a hook; ours gives it a
// second.
var (
	withHook  = []string{"-F" + hookProgram}
	shortHook = []string{"--fsfreeze-hook-timeout=1"}
)

// hookFaults are hooks that do not do what they should.
var hookFaults = []fault{
	{
		name: "hook missing", did: "freeze with a hook program that is not there", options: []string{"-F/no/hook"},
		limit: soonThawed, do: freezeWithHook,
		told: "freeze: error: child process has failed to execute fsfreeze hook: failed to exec '/no/hook': No such file or directory",
	},
	{
		name: "hook not executable", did: "freeze with a hook of mode 0644", options: withHook, limit: soonThawed,
		before: func(s *scene) {
			s.hook("true")
			require.NoError(s, os.Chmod(hookProgram, 0o644))
		},
		do:   freezeWithHook,
		told: "freeze: error: child process has failed to execute fsfreeze hook: failed to exec '/hook': Permission denied",
	},
	{
		name: "hook fails", did: "the hook exits with status 3 at `freeze`", options: withHook, limit: soonThawed,
		before: func(s *scene) { s.hook("[ $1 = thaw ] || { echo database is busy; exit 3; }") },
		do:     freezeWithHook,
		told:   "freeze: error: child process has failed to execute fsfreeze hook: database is busy\n; status: thawed; hook: freeze thaw",
	},
	{
		name: "hook hangs", did: "the hook does not come back from `freeze` (limit 1 s)", options: withHook, own: shortHook,
		limit: soonThawed, before: func(s *scene) { s.hook("[ $1 = thaw ] || sleep 1000") },
		do:   freezeWithHook,
		told: "was killed; status: thawed; hook: freeze thaw",
	},
	{
		name: "hook's child hangs", did: "the hook leaves a child that keeps its output open", options: withHook, own: shortHook,
		limit: soonThawed, before: func(s *scene) { s.hook("[ $1 = thaw ] || sleep 1000 &") },
		do: func(s *scene) string {
			return join(s.ask("freeze", doFreeze), s.ask("thaw", doThaw), s.paired())
		},
		told: "freeze: 2; thaw: 2; hook: freeze thaw",
	},
	{
		name: "hook prints megabytes", did: "the hook prints 20 MiB", options: withHook, limit: watchTime,
		before: func(s *scene) { s.hook("dd if=/dev/zero bs=1048576 count=20 2>/dev/null") },
		do: func(s *scene) string {
			return join(s.ask("freeze", doFreeze), s.ask("thaw", doThaw), s.paired())
		},
		told: "freeze: 2; thaw: 2; hook: freeze thaw",
	},
	{
		name: "hook hangs at thaw", did: "the hook does not come back from `thaw` (limit 1 s)", options: withHook, own: shortHook,
		limit: soonThawed, before: func(s *scene) { s.hook("[ $1 = freeze ] || sleep 1000") },
		do: func(s *scene) string {
			return join(s.ask("freeze", doFreeze), s.ask("thaw", doThaw), s.status()+"hook: "+s.calls())
		},
		told: "hook did not end within 1s and was killed; status: thawed; hook: freeze thaw",
	},
	{
		name: "deadline with a hook", did: "the host never thaws (deadline 1 s)", options: withHook, own: []string{shortly},
		limit: shortlyLimit, before: func(s *scene) { s.hook("true") },
		do: func(s *scene) string {
			s.freeze()
			s.settle()
			return s.paired()
		},
		told: "hook: freeze thaw",
	},
}

// freezeWithHook freezes in vain, and tells what is left of it.
func freezeWithHook(s *scene) string {
	s.Helper()
	return s.ask("freeze", doFreeze) + "; " + s.status() + "hook: " + s.calls()
}
