package packaging

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// manager is a package manager at work on a guest's root directory.
type manager struct {
	format string
	// install takes files, and remove a name.
	install, remove []string
}

// managers are those that Debian has, too. dnf and zypper know of no
// repository, so that all they install is what they are given.
func managers(root string) map[string]manager {
	rpm := []string{"rpm", "--root", root, "--force-debian"}
	dnf := []string{"dnf", "--installroot", root, "--releasever=1", "--assumeyes", "--disablerepo=*", "--nogpgcheck"}
	zypper := []string{"zypper", "--root", root, "--non-interactive", "--no-gpg-checks", "--no-refresh"}
	pacman := []string{
		"pacman", "--root", root, "--dbpath", root + "/var/lib/pacman", "--cachedir", root + "/var/cache/pacman",
		"--logfile", root + "/var/log/pacman.log", "--config", root + "/etc/pacman.conf", "--noconfirm",
	}
	with := func(command []string, more ...string) []string { return slices.Concat(command, more) }
	return map[string]manager{
		"rpm": {"rpm", with(rpm, "-U"), with(rpm, "-e")},
		"dnf": {"rpm", with(dnf, "install"), with(dnf, "remove")},
		// What the install page has.
		"zypper": {"rpm", with(zypper, "install", "--force-resolution"), with(zypper, "remove")},
		"pacman": {"archlinux", with(pacman, "-U", "--ask=4"), with(pacman, "-R")},
	}
}

// manage runs a package manager where it can write to nothing but the guest's
// root and what it keeps of itself.
func manage(t *testing.T, root string, argv []string, args ...string) string {
	t.Helper()
	_ = command(t, argv[0]) // which must be there
	const alone = `root=$1; shift
mount -o remount,bind,ro /
mount --bind "$root" "$root"
mount -o remount,bind,rw "$root"
for dir in /run /var/log /var/cache /var/tmp; do
	mount -t tmpfs tmpfs $dir
done
exec "$@"`
	all := append([]string{"--mount", "--propagation", "private", "sh", "-euc", alone, "sh", root}, argv...)
	return run(t, "unshare", append(all, args...)...)
}

// shell is a package that provides what every system has: packages with
// scripts need it.
func shell(t *testing.T, format string) string {
	t.Helper()
	return foreign(t, format, `
name: base
arch: amd64
version: 1.0.0
maintainer: a distribution
description: what every system has
provides: [/bin/sh, base-files]
contents:
  - {src: FILE, dst: /etc/shells, type: config}
`, map[string]string{"FILE": "/bin/sh\n"})
}

// files lists what is in the guest, but for what package managers keep, and for
// directories that others have files in, too.
func files(t *testing.T, root string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root)
		switch name {
		case "/var", "/calls", "/dev", "/proc", "/tmp", "/run", "/root": // which has Debian's database of rpm
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		require.Zero(t, owner.Uid+owner.Gid, "%s is not root's", name)
		if !d.IsDir() || strings.Contains(name, "qemu") {
			found = append(found, name)
		}
		return nil
	}))
	return found
}

// Each package manager installs the package, upgrades it and removes it. The
// scripts are run, what was changed in the configuration stays, and after the
// removal nothing else is left.
func TestManagers(t *testing.T) {
	for name := range managers("") {
		t.Run(name, func(t *testing.T) {
			root := guest(t)
			m := managers(root)[name]
			manage(t, root, m.install, shell(t, m.format))
			before := files(t, root)

			manage(t, root, m.install, packageOf(t, m.format, version))
			require.Subset(t, files(t, root), packaged(t, m.format))
			require.Equal(t, installs[m.format], calls(t, root))
			conf := filepath.Join(root, "etc/qemu/qemu-ga.conf")
			require.Equal(t, read(t, "etc/qemu-ga.conf"), read(t, conf))

			require.NoError(t, os.WriteFile(conf, []byte("[general]\nverbose=true\n"), 0o644))
			manage(t, root, m.install, packageOf(t, m.format, later))
			require.Equal(t, "[general]\nverbose=true\n", read(t, conf))
			require.Equal(t, upgrades, calls(t, root))

			manage(t, root, m.remove, "qemu-ga")
			require.Equal(t, removes[m.format], calls(t, root))
			require.Equal(t, "[general]\nverbose=true\n", read(t, conf+saved[m.format]))
			require.NoError(t, os.Remove(conf+saved[m.format]))
			_ = os.Remove(filepath.Dir(conf)) // which the changed file may have held
			require.Equal(t, before, files(t, root), "something is left")
		})
	}
}

// packaged are the files of a package, as testdata has them.
func packaged(t *testing.T, format string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(read(t, filepath.Join("testdata", format+".txt"))) {
		path, _, _ := strings.Cut(line[strings.IndexByte(line, '/'):], " -> ")
		found = append(found, strings.TrimRight(path, "/\n"))
	}
	return found
}

// What systemctl is told by the scripts of a format's packages, and what the
// name of a changed file ends with that is no package's any more.
var (
	installs = map[string][]string{
		"rpm": {
			"daemon-reload",
			"--no-reload preset qemu-guest-agent.service",
			"try-restart systemd-journald.service systemd-timesyncd.service",
			"--quiet is-enabled qemu-guest-agent.service",
			"restart qemu-guest-agent.service",
		},
		"archlinux": {
			"daemon-reload",
			"try-restart systemd-journald.service systemd-timesyncd.service",
		},
	}
	upgrades = []string{"daemon-reload", "try-restart qemu-guest-agent.service"}
	removes  = map[string][]string{
		"rpm":       {"--no-reload disable --now qemu-guest-agent.service", "daemon-reload"},
		"archlinux": {"disable --now qemu-guest-agent.service"},
	}
	saved = map[string]string{"rpm": ".rpmsave", "archlinux": ".pacsave"}
)
