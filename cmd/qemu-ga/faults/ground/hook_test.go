package ground_test

import (
	"fmt"
	"os"

	"github.com/stretchr/testify/require"
)

// withHook are the options of an agent that has a hook; ours gives it
// three seconds, in which it begins on the busiest machine.
var (
	withHook  = []string{"-F" + hookProgram}
	withHooks = []string{"-F" + hookDir}
	shortHook = []string{"--fsfreeze-hook-timeout=3"}
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
		name: "hook hangs", did: "the hook does not come back from `freeze` (limit 3 s)", options: withHook, own: shortHook,
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
		name: "hook hangs at thaw", did: "the hook does not come back from `thaw` (limit 3 s)", options: withHook, own: shortHook,
		limit: soonThawed, before: func(s *scene) { s.hook("[ $1 = freeze ] || sleep 1000") },
		do: func(s *scene) string {
			return join(s.ask("freeze", doFreeze), s.ask("thaw", doThaw), s.status()+"hook: "+s.calls())
		},
		told: "hook did not end within 3s and was killed; status: thawed; hook: freeze thaw",
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
	{
		name: "second of three hooks fails", did: "of three scripts in a hook directory the second exits with status 3 at `freeze`",
		options: withHooks, limit: soonThawed, omit: omitHooks,
		before: func(s *scene) { s.hooks("", "[ $1 = thaw ] || { echo database is busy; exit 3; }", "") },
		do:     freezeWithHook,
		told: "freeze: error: /hook.d/2 freeze: child process has failed to execute fsfreeze hook: database is busy\n" +
			"; status: thawed; hook: 1:freeze 2:freeze 2:freeze-failed 2:thaw 1:freeze-failed 1:thaw",
	},
	{
		name: "second of three hooks hangs", did: "of three scripts in a hook directory the second does not come back, whatever it is told (limit 3 s)",
		options: withHooks, own: shortHook, limit: soonThawed, omit: omitHooks,
		before: func(s *scene) { s.hooks("", "sleep 1000", "") },
		do: func(s *scene) string {
			return join("freeze: "+s.host.askFor(doFreeze, 3*watchTime), s.status()+"hook: "+s.calls())
		},
		told: "/hook.d/2 did not end within 3s and was killed; status: thawed; " +
			"hook: 1:freeze 2:freeze 2:freeze-failed 2:thaw 1:freeze-failed 1:thaw",
	},
	{
		name: "a hook fails at thaw", did: "of three scripts in a hook directory the second exits with status 3 at `thaw`",
		options: withHooks, limit: soonThawed, omit: omitHooks,
		before: func(s *scene) { s.hooks("", "[ $1 = freeze ] || exit 3", "") },
		do: func(s *scene) string {
			return join(s.ask("freeze", doFreeze), s.ask("thaw", doThaw), s.status()+"hook: "+s.calls())
		},
		told: "freeze: 2; thaw: error: /hook.d/2 thaw: child process has failed to execute fsfreeze hook: exit status 3; " +
			"status: thawed; hook: 1:freeze 2:freeze 3:freeze 3:thaw 2:thaw 1:thaw",
	},
	{
		name: "agent killed between two hooks", did: "SIGKILL to the agent while the second of three scripts runs; restart",
		options: withHooks, limit: soonThawed, omit: omitHooks,
		before: func(s *scene) { s.hooks("", "[ $1 != freeze ] || sleep 1000", "") },
		do: func(s *scene) string {
			s.host.send(doFreeze)
			s.hooked("1:freeze 2:freeze")
			s.agent.kill()
			return join(s.again(), "hook: "+s.calls())
		},
		told: "hook: 1:freeze 2:freeze 2:freeze-failed 2:thaw 1:freeze-failed 1:thaw",
	},
	{
		name: "hook that others can write", did: "a script of a hook directory has mode 0777", options: withHooks, limit: soonThawed, omit: omitHooks,
		before: func(s *scene) {
			s.hooks("", "")
			require.NoError(s, os.Chmod(hookDir+"/2", 0o777))
		},
		do: freezeWithHook,
		told: "freeze: error: cannot run the fsfreeze hook /hook.d/2 as root: everybody can write to /hook.d/2 (mode 0777); " +
			"chmod o-w /hook.d/2; status: thawed; hook: ",
	},
}

// hookDir is a scene's hook directory; the C agent knows none.
const (
	hookDir   = hookProgram + ".d"
	omitHooks = "runs one hook program only"
)

// hooks makes scripts 1, 2 and so on in the hook directory. Each notes its
// name and argument, and then runs its body.
func (s *scene) hooks(bodies ...string) {
	s.Helper()
	require.NoError(s, os.RemoveAll(hookDir))
	require.NoError(s, os.Mkdir(hookDir, 0o755))
	for i, body := range bodies {
		script := "#!/bin/sh\necho ${0##*/}:$1 >>" + hookCalls + "\n" + body + "\n"
		require.NoError(s, os.WriteFile(fmt.Sprintf("%s/%d", hookDir, i+1), []byte(script), 0o755))
	}
}

// freezeWithHook freezes in vain, and tells what is left of it.
func freezeWithHook(s *scene) string {
	s.Helper()
	return s.ask("freeze", doFreeze) + "; " + s.status() + "hook: " + s.calls()
}
