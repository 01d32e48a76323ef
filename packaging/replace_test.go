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
	for _, dir := range []string{"bin", "usr/bin", "dev", "proc", "etc", "tmp", "run/systemd/system", "var/lib/rpm"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	busybox := strings.TrimSpace(run(t, "sh", "-c", "command -v busybox"))
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/busybox"), []byte(read(t, busybox)), 0o755))
	run(t, "chroot", root, "/bin/busybox", "--install", "-s", "/bin")
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/systemctl"), []byte("#!/bin/sh\necho \"$*\" >>/calls\n"), 0o755))
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

// rpm runs rpm on the guest's own database.
func rpm(t *testing.T, root string, args ...string) string {
	t.Helper()
	return run(t, "rpm", append([]string{"--root", root, "--force-debian"}, args...)...)
}

// distribution builds a package like Fedora's: its files, and the scriptlets
// that stop and disable the unit when it goes.
func distribution(t *testing.T, blocked string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
		return path
	}
	config := write("nfpm.yaml", `
name: qemu-guest-agent
arch: amd64
version: 9.1.0
maintainer: a distribution
description: guest agent
scripts:
  preremove: `+write("preun", "[ $1 != 0 ] || systemctl --no-reload disable --now qemu-guest-agent.service\n")+`
contents:
  - {src: `+write("ga", "#!/bin/sh\necho theirs\n")+`, dst: /usr/bin/qemu-ga}
  - {src: `+write("unit", "[Service]\nExecStart=/usr/bin/qemu-ga\n")+`, dst: /usr/lib/systemd/system/qemu-guest-agent.service}
  - {src: `+write("sysconfig", blocked)+`, dst: /etc/sysconfig/qemu-ga, type: config|noreplace}
  - {src: `+write("hook", "#!/bin/sh\n")+`, dst: /etc/qemu-ga/fsfreeze-hook, type: config|noreplace}
`)
	run(t, "go", "run", "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0", "package",
		"--config", config, "--packager", "rpm", "--target", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

// Taking the place of a distribution's package keeps its list of blocked
// commands, which nobody had to change to have it, and its hook; the unit is
// enabled and started when that package's scriptlets have disabled it. An
// upgrade restarts, a removal leaves nothing.
func TestRPMReplacesTheDistributions(t *testing.T) {
	const blocked = "BLOCK_RPCS=guest-exec,guest-file-open\nFSFREEZE_HOOK_PATHNAME=/etc/qemu-ga/fsfreeze-hook\n"
	root := guest(t)
	in := func(path string) string { return filepath.Join(root, path) }
	rpm(t, root, "-U", "--nodeps", distribution(t, blocked))
	require.NoError(t, os.WriteFile(in("etc/qemu-ga/fsfreeze-hook"), []byte("#!/bin/sh\n# changed\n"), 0o755))

	rpm(t, root, "-U", "--nodeps", packageOf(t, "rpm", version))
	require.Equal(t, "qemu-ga-"+version+"-1.x86_64\n", rpm(t, root, "-qa"))
	require.Equal(t, blocked, read(t, in("etc/sysconfig/qemu-ga")))
	require.Contains(t, run(t, "chroot", root, "/usr/bin/qemu-ga", "-D", "--sysconfig=/etc/sysconfig/qemu-ga"),
		"fsfreeze-hook=/etc/qemu-ga/fsfreeze-hook")
	require.Equal(t, "#!/bin/sh\n# changed\n", read(t, in("etc/qemu-ga/fsfreeze-hook")))
	left, err := filepath.Glob(in("etc/*/*.rpm*"))
	require.NoError(t, err)
	require.Empty(t, left, "nothing is left to be sorted out by hand")
	require.Equal(t, []string{
		"--no-reload disable --now qemu-guest-agent.service", // theirs
		"daemon-reload",
		"--no-reload preset qemu-guest-agent.service",
		"try-restart systemd-journald.service systemd-timesyncd.service",
		"--quiet is-enabled qemu-guest-agent.service",
		"restart qemu-guest-agent.service",
	}, calls(t, root))

	require.NoError(t, os.WriteFile(in("etc/qemu/qemu-ga.conf"), []byte("[general]\nverbose=true\n"), 0o644))
	rpm(t, root, "-U", "--nodeps", packageOf(t, "rpm", later))
	require.Equal(t, "[general]\nverbose=true\n", read(t, in("etc/qemu/qemu-ga.conf")))
	require.Equal(t, blocked, read(t, in("etc/sysconfig/qemu-ga")))
	require.Equal(t, []string{"daemon-reload", "try-restart qemu-guest-agent.service"}, calls(t, root))

	rpm(t, root, "-e", "qemu-ga")
	require.Equal(t, []string{"--no-reload disable --now qemu-guest-agent.service", "daemon-reload"}, calls(t, root))
	require.NoFileExists(t, in("usr/bin/qemu-ga"))
	require.NoFileExists(t, in("usr/lib/systemd/system/qemu-guest-agent.service"))
	require.NoDirExists(t, in("var/lib/rpm-state/qemu-ga"))
	require.Equal(t, "[general]\nverbose=true\n", read(t, in("etc/qemu/qemu-ga.conf.rpmsave")))
}

// A new guest has our own list, which blocks nothing.
func TestRPMInstalls(t *testing.T) {
	root := guest(t)
	rpm(t, root, "-U", "--nodeps", packageOf(t, "rpm", version))
	require.Equal(t, read(t, "etc/sysconfig"), read(t, filepath.Join(root, "etc/sysconfig/qemu-ga")))
	require.Contains(t, calls(t, root), "restart qemu-guest-agent.service")
	require.NoDirExists(t, filepath.Join(root, "var/lib/rpm-state/qemu-ga"))
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
