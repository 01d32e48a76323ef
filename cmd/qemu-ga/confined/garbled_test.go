package confined_test

import "github.com/stretchr/testify/require"

// cannotTell is the finding of an agent that gets no answer that it could
// understand.
const cannotTell = "cannot tell what the policy allows"

// labelGarbled: what an agent sees of a label that is no context is what the
// kernel makes of it.
func labelGarbled(s *scene) {
	s.startAgent()
	require.Regexp(s.t, `"mountpoint": "/mnt/garbled",[^}]*"label": "system_u:object_r:unlabeled_t:s0"`, s.status())
	s.freezeAll()
	require.Empty(s.t, s.denials())
}

// accessGarbled: the agent says that it cannot tell, and freezes by what the
// kernel lets it do.
func accessGarbled(s *scene) {
	defer s.cover("/sys/fs/selinux/access", "yes rubbish | head -c 4096 >/tmp/cover")()
	s.startAgent()
	require.Contains(s.t, s.requireState("confined"), cannotTell)
	s.freezeAll()
	require.Empty(s.t, s.denials())
	// What the kernel then says is told as ever.
	s.load(noIoctls)
	refused := s.agent.Fail("guest-fsfreeze-freeze-list", list("/mnt/boot")).Desc
	require.Contains(s.t, refused, "failed to freeze /mnt/boot: Permission denied (SELinux denies")
}

// classesMissing: so it does if the policy has not the classes that it would
// ask for.
func classesMissing(s *scene) {
	defer s.cover("/sys/fs/selinux/class", "mkdir -p /tmp/cover/file; echo 6 >/tmp/cover/file/index")()
	s.startAgent()
	require.Contains(s.t, s.requireState("confined"), cannotTell)
	s.freezeAll()
	require.Empty(s.t, s.denials())
}

// cover puts what a script makes of /tmp/cover over a node of selinuxfs.
func (s *scene) cover(node, script string) (uncover func()) {
	s.t.Helper()
	s.enforce(false)
	defer s.enforce(true)
	s.Sh(script + "; chcon -R system_u:object_r:security_t:s0 /tmp/cover; mount -o bind /tmp/cover " + node)
	return func() { s.Sh("umount " + node + "; rm -r /tmp/cover") }
}
