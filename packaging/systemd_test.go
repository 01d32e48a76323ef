package packaging

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unitDir is a directory with the unit, and with a drop-in, whose program is
// one that exists here.
func unitDir(t *testing.T, dropIns ...string) (unit string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(tree(t), "usr/bin/qemu-ga")
	place := func(from, to string) {
		text := strings.ReplaceAll(read(t, from), "/usr/bin/qemu-ga", program)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		require.NoError(t, os.WriteFile(to, []byte(text), 0o600))
	}
	unit = filepath.Join(dir, "qemu-guest-agent.service")
	place("systemd/qemu-guest-agent.service", unit)
	for _, dropIn := range dropIns {
		place(dropIn, filepath.Join(unit+".d", filepath.Base(dropIn)))
	}
	return unit
}

func TestUnitIsValid(t *testing.T) {
	require.Empty(t, run(t, "systemd-analyze", "verify", "--man=no", unitDir(t)))
	require.Empty(t, run(t, "systemd-analyze", "verify", "--man=no", unitDir(t, "systemd/hardened.conf")))
}

// cUnit is what Debian's and Fedora's units of the C agent have that counts:
// a program, and not a line that restrains it.
const cUnit = "[Service]\nExecStart=/usr/sbin/qemu-ga\nRestart=always\n"

// exposure is systemd's figure for a unit, from 0 (none) to 10.
func exposure(t *testing.T, unit string) float64 {
	t.Helper()
	said := run(t, "systemd-analyze", "security", "--offline=true", "--no-pager", unit)
	match := regexp.MustCompile(`exposure level for .*: ([0-9.]+) `).FindStringSubmatch(said)
	require.NotNil(t, match, said)
	level, err := strconv.ParseFloat(match[1], 64)
	require.NoError(t, err)
	return level
}

func TestUnitIsLessExposedThanTheCAgents(t *testing.T) {
	c := filepath.Join(t.TempDir(), "qemu-guest-agent.service")
	require.NoError(t, os.WriteFile(c, []byte(cUnit), 0o600))
	theirs, ours, hardened := exposure(t, c), exposure(t, unitDir(t)), exposure(t, unitDir(t, "systemd/hardened.conf"))
	t.Logf("exposure: the C agent's unit %.1f, ours %.1f, with hardened.conf %.1f", theirs, ours, hardened)
	require.Less(t, ours, theirs)
	require.LessOrEqual(t, ours, 9.1)
	require.LessOrEqual(t, hardened, 6.0)
}

// What must not be in the unit: mount namespaces would hide filesystems from
// the freeze, and without new privileges SELinux cannot enter the domain.
func TestUnitHidesNothing(t *testing.T) {
	forbidden := regexp.MustCompile(`(?m)^(NoNewPrivileges|DynamicUser|User|Protect[A-Z]\w*|Private[A-Z]\w*|ReadOnlyPaths|ReadWritePaths|` +
		`InaccessiblePaths|TemporaryFileSystem|BindPaths|BindReadOnlyPaths|RootDirectory|RootImage|MountFlags|RestrictRealtime)=`)
	for _, file := range []string{"systemd/qemu-guest-agent.service", "systemd/hardened.conf"} {
		require.Empty(t, forbidden.FindAllString(read(t, file), -1), file)
	}
}

// The agent is restarted for ever, never waits for the port, and is thawed
// for: what the rest of the project relies on.
func TestUnitNeverGivesUp(t *testing.T) {
	unit := "\n" + read(t, "systemd/qemu-guest-agent.service")
	for _, line := range []string{
		"StartLimitIntervalSec=0", "Type=notify", "Restart=always", "KillMode=process", "WantedBy=multi-user.target",
		"ExecStopPost=/usr/bin/qemu-ga thaw --statedir=/run",
	} {
		require.Contains(t, unit, "\n"+line+"\n")
	}
	require.NotContains(t, unit, ".device", "the unit must not wait for the port")
}

// Every script of the packages is sound, as it is assembled.
func TestScriptsAreSound(t *testing.T) {
	scripts, err := filepath.Glob("scripts/*/*.sh")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		whole := filepath.Join(t.TempDir(), "script.sh")
		require.NoError(t, os.WriteFile(whole, []byte(read(t, "scripts/common.sh")+read(t, script)), 0o600))
		// No script needs all that the common part has.
		run(t, "shellcheck", "-s", "sh", "-e", "SC2317,SC2034", whole)
	}
	run(t, "shellcheck", "build.sh", "init/qemu-guest-agent")
	run(t, "shellcheck", "-s", "sh", "-e", "SC2034,SC2154", "openrc/qemu-guest-agent.initd")
}
