package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// guest makes a root directory with a shell, in which the scripts of packages
// run: busybox, and a systemctl that notes in /calls what it is told. How real
// systems take the packages is tested in full guests; here it is what a
// transaction of rpm does, in which order, and what an init script does.
func guest(t *testing.T) (root string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: chroot")
	}
	root = t.TempDir()
	for _, dir := range []string{"bin", "usr/bin", "dev", "proc", "etc", "tmp", "run/systemd/system", "var/lib/rpm", "var/lib/pacman", "var/cache/pacman", "var/log"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	busybox := strings.TrimSpace(run(t, "sh", "-c", "command -v busybox"))
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/busybox"), []byte(read(t, busybox)), 0o755))
	run(t, "chroot", root, "/bin/busybox", "--install", "-s", "/bin")
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/systemctl"), []byte("#!/bin/sh\necho \"$*\" >>/calls\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/pacman.conf"), []byte("[options]\nArchitecture = x86_64\nSigLevel = Never\n"), 0o600))
	return root
}

// calls returns what systemctl was told since the last time.
func calls(t *testing.T, root string) []string {
	t.Helper()
	path := filepath.Join(root, "calls")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) { //nolint:forbidigo // an error is another case
		return nil
	}
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// foreign builds a package of somebody else's. The capitals in what describes
// it stand for files, whose texts are given.
func foreign(t *testing.T, format, description string, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, strings.ToLower(name))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
		description = strings.ReplaceAll(description, name, path)
	}
	config := filepath.Join(dir, "nfpm.yaml")
	require.NoError(t, os.WriteFile(config, []byte(description), 0o600))
	run(t, "go", "run", "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0", "package",
		"--config", config, "--packager", format, "--target", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*"+ending[format]))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

// distribution builds a package like Fedora's: its files, and the scriptlets
// that stop and disable the unit when it goes.
func distribution(t *testing.T, format, blocked string) string {
	t.Helper()
	return foreign(t, format, `
name: qemu-guest-agent
arch: amd64
version: 9.1.0
maintainer: a distribution
description: guest agent
scripts:
  preremove: PREUN
contents:
  - {src: AGENT, dst: /usr/bin/qemu-ga}
  - {src: UNIT, dst: /usr/lib/systemd/system/qemu-guest-agent.service}
  - {src: SYSCONFIG, dst: /etc/sysconfig/qemu-ga, type: config|noreplace, packager: rpm}
  - {src: HOOK, dst: /etc/qemu-ga/fsfreeze-hook, type: config|noreplace, packager: rpm}
`, map[string]string{
		"PREUN": "[ $1 != 0 ] || systemctl --no-reload disable --now qemu-guest-agent.service\n",
		"AGENT": "#!/bin/sh\necho theirs\n", "UNIT": "[Service]\nExecStart=/usr/bin/qemu-ga\n",
		"SYSCONFIG": blocked, "HOOK": "#!/bin/sh\n",
	})
}

// Taking the place of a distribution's package keeps its list of blocked
// commands, which nobody had to change to have it, and its hook; the unit is
// enabled and started when that package's scriptlets have disabled it.
func TestReplacesTheDistributions(t *testing.T) {
	const blocked = "BLOCK_RPCS=guest-exec,guest-file-open\nFSFREEZE_HOOK_PATHNAME=/etc/qemu-ga/fsfreeze-hook\n"
	for name := range managers("") {
		t.Run(name, func(t *testing.T) {
			root := guest(t)
			m := managers(root)[name]
			in := func(path string) string { return filepath.Join(root, path) }
			manage(t, root, m.install, shell(t, m.format))
			manage(t, root, m.install, distribution(t, m.format, blocked))
			require.NoError(t, os.MkdirAll(in("etc/qemu-ga"), 0o755))
			require.NoError(t, os.WriteFile(in("etc/qemu-ga/fsfreeze-hook"), []byte("#!/bin/sh\n# changed\n"), 0o755))

			manage(t, root, m.install, packageOf(t, m.format, version))
			require.Contains(t, run(t, "chroot", root, "/usr/bin/qemu-ga", "--version"), "QEMU Guest Agent")
			require.Equal(t, "#!/bin/sh\n# changed\n", read(t, in("etc/qemu-ga/fsfreeze-hook")))
			told := calls(t, root)
			if m.format != "rpm" {
				require.Equal(t, installs[m.format], told)
				return
			}
			require.Equal(t, blocked, read(t, in("etc/sysconfig/qemu-ga")))
			require.Contains(t, run(t, "chroot", root, "/usr/bin/qemu-ga", "-D", "--sysconfig=/etc/sysconfig/qemu-ga"),
				"fsfreeze-hook=/etc/qemu-ga/fsfreeze-hook")
			left, err := filepath.Glob(in("etc/*/*.rpm*"))
			require.NoError(t, err)
			require.Empty(t, left, "nothing is left to be sorted out by hand")
			require.Equal(t, append([]string{"--no-reload disable --now qemu-guest-agent.service"}, installs["rpm"]...), told)
			require.NoDirExists(t, in("var/lib/rpm-state/qemu-ga"))

			// Nor is it lost later.
			manage(t, root, m.install, packageOf(t, m.format, later))
			require.Equal(t, blocked, read(t, in("etc/sysconfig/qemu-ga")))
		})
	}
}

// The plain init script starts, tells, restarts and stops, with nothing but a
// shell.
func TestInitScript(t *testing.T) {
	root := guest(t)
	run(t, "cp", "-a", tree(t)+"/.", root)
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/default/qemu-guest-agent"),
		[]byte("DAEMON_ARGS='--method=unix-listen --path=/run/socket --logfile=/log'\n"), 0o600))
	said := run(t, "unshare", "--mount", "--pid", "--fork", "--propagation", "private", "sh", "-euc", `
root=$1
mount -t proc proc "$root/proc"
mknod -m 666 "$root/dev/null" c 1 3
script() { chroot "$root" /etc/init.d/qemu-guest-agent "$@"; }
script status || echo "status $?"
script start
script status
[ -S "$root/run/socket" ]
first=$(cat "$root/run/qemu-ga.pid")
script start
[ "$first" = "$(cat "$root/run/qemu-ga.pid")" ] && echo one agent
script restart
[ "$first" != "$(cat "$root/run/qemu-ga.pid")" ] && echo another
script stop
script status || echo "status $?"
[ ! -e "$root/run/qemu-ga.pid" ] && echo gone
`, "sh", root)
	said = strings.Join(strings.FieldsFunc(said, func(r rune) bool { return r >= '0' && r <= '9' }), "N")
	require.Equal(t, "qemu-ga is not running\nstatus N\nqemu-ga is running, process N\none agent\nanother\n"+
		"qemu-ga is not running\nstatus N\ngone\n", said)
}
