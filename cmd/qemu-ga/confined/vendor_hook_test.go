package confined_test

import (
	"strings"

	"github.com/stretchr/testify/require"
)

// hookDir is a directory of hooks.
const hookDir = "/etc/qemu/fsfreeze-hook.d"

// hook puts a script where the agent finds it, with the label that Fedora's
// kin have for hooks, and a link to it beside it.
func (s *scene) hook(name, body, link string) {
	s.t.Helper()
	s.enforce(false)
	defer s.enforce(true)
	s.Sh("mkdir -p " + hookDir + "; printf '#!/bin/sh\n" + body + "\n' >" + hookDir + "/" + name)
	s.Sh("chmod -R go-w /etc/qemu; chmod +x " + hookDir + "/*; printf '[general]\nfsfreeze-hook=" + hookDir + "\n' >/etc/qemu/qemu-ga.conf")
	if link != "" {
		s.Sh("ln -s " + name + " " + hookDir + "/" + link)
	}
	s.Sh("chcon -R system_u:object_r:etc_t:s0 /etc/qemu; chcon -h -R system_u:object_r:virt_qemu_ga_unconfined_exec_t:s0 " + hookDir)
}

// noHook removes what hook has made.
func (s *scene) noHook() {
	s.t.Helper()
	s.Sh("rm -r /etc/qemu")
}

// hookByLink: a link is how a database's hook is turned on. The vendor lets the
// agent run what lies in a hook directory, and follow no link there.
func hookByLink(s *scene) {
	s.hook("hook.sample", "", "50-link")
	defer s.noHook()
	s.startAgent()
	refused := s.agent.Fail("guest-fsfreeze-freeze-list", list("/mnt/boot")).Desc
	s.t.Log(refused)
	require.Contains(s.t, refused, hookDir+"/50-link: permission denied")
	require.Contains(s.t, refused, "what opens it: qemu-ga policy --install")
	require.NotContains(s.t, refused, "setsebool", "no boolean helps")
	s.load(after)
	s.forgetDenials()
	s.freezeAll()
	require.Contains(s.t, string(s.agent.Call("x-fsfreeze-report", nil)), hookDir+"/50-link")
	require.Empty(s.t, s.denials())
}

// hookConfined: the vendor's policy has a hook do no more than the agent until
// a boolean lets it run unconfined. Then it is in a domain of its own, and the
// agent still knows, ends and pairs it.
func hookConfined(s *scene) {
	const secret = "/mnt/db/table"
	s.hook("10-app", `read domain </proc/self/attr/current; echo "$1 in $domain"; cat `+secret, "")
	defer s.noHook()
	s.startAgent()
	refused := s.agent.Fail("guest-fsfreeze-freeze-list", list("/mnt/boot")).Desc
	s.t.Log(refused)
	for _, part := range []string{
		hookDir + "/10-app freeze: child process has failed", "freeze in system_u:system_r:virt_qemu_ga_t:s0", "Permission denied",
		"SELinux may deny it: the policy must let the agent's domain system_u:system_r:virt_qemu_ga_t:s0 do what the hook does",
		"setsebool -P virt_qemu_ga_run_unconfined on",
	} {
		require.Contains(s.t, refused, part)
	}
	s.requireFrozen()

	s.boolean("virt_qemu_ga_run_unconfined", true)
	defer s.boolean("virt_qemu_ga_run_unconfined", false)
	require.Equal(s.t, 1, number(s.t, s.agent.Call("guest-fsfreeze-freeze-list", list("/mnt/boot"))))
	require.Equal(s.t, 1, number(s.t, s.agent.Call("guest-fsfreeze-thaw", nil)))
	report := string(s.agent.Call("x-fsfreeze-report", nil))
	for _, word := range []string{"freeze", "thaw"} {
		require.Contains(s.t, report, word+" in system_u:system_r:virt_qemu_ga_unconfined_t:s0")
	}
	require.Equal(s.t, 2, strings.Count(report, "secret"))
}

// boolean switches one of the policy's.
func (s *scene) boolean(name string, on bool) {
	s.t.Helper()
	value := map[bool]string{false: "0", true: "1"}[on]
	s.Sh("printf " + value + " >/sys/fs/selinux/booleans/" + name + "; printf 1 >/sys/fs/selinux/commit_pending_bools")
}
