package confined_test

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// checkedByAdministrator: `qemu-ga check` by somebody who may do everything is
// about the agent, and sees the labels that are hidden from it; so does the
// agent's log at its start, less the labels.
func checkedByAdministrator(s *scene) {
	s.startAgent()
	check := s.Sh("(printf unconfined_u:unconfined_r:unconfined_t:s0 >/proc/self/attr/exec && exec /bin/sh -c '" + vm.AgentPath + " check') || true")
	s.t.Log(check)
	for _, part := range []string{
		"would NOT be consistent", "confines the agent to virt_qemu_ga_t", "this is about the agent",
		"system_u:object_r:mysqld_db_t:s0", "system_u:object_r:unlabeled_t:s0", "dir { read open ioctl }",
		"dac_read_search", "restorecon -R /mnt/fresh", "qemu-ga policy --install",
	} {
		require.Contains(s.t, check, part)
	}
	require.NotContains(s.t, check, "semanage", "no label is a secret's")
	require.Regexp(s.t, `BLOCKED +/mnt/db `, check)
	require.Regexp(s.t, `freezes +/mnt/boot `, check)
	require.Regexp(s.t, `allowed +/mnt/boot +system_u:object_r:boot_t:s0`, check)
	log := fmt.Sprintf("%s-%s-%d", vm.AgentProgram, s.t.Name(), s.started)
	s.Until(settle, "the agent says so in its log", func() bool {
		return strings.Contains(s.Wait(log, 0).Output, "a freeze would be refused now: failed to open /mnt/db: Permission denied (SELinux denies")
	})
}
