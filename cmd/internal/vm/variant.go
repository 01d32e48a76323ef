package vm

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Variant is a Debian with packages of its own. Its image is made when a test
// first asks for it (the first of all takes a minute, others what their
// packages take) and kept in .cache/debian until its recipe changes.
type Variant struct {
	// Name names the image among others. It is "" for Debian as all guests
	// have it.
	Name string
	// Packages are installed beyond debianPackages, without recommended ones.
	Packages []string
	// Script is run by sh -eu in the system, which is not running, when the
	// packages are there.
	Script string
}

// The variants that tests have in common.
var (
	// CloudInit has cloud-init, which looks for a NoCloud seed only.
	CloudInit = Variant{
		Name: "cloud-init", Packages: []string{"cloud-init"},
		Script: "echo 'datasource_list: [NoCloud, None]' >/etc/cloud/cloud.cfg.d/90_seed.cfg",
	}
	// Databases has PostgreSQL, MariaDB and Redis, none of them started.
	Databases = Variant{
		Name:     "databases",
		Packages: []string{"postgresql", "mariadb-server", "redis-server"},
		Script:   "systemctl disable postgresql mariadb redis-server",
	}
	// SELinux has Debian's policy and its tools, and every file is labelled.
	// SELinux is off unless Debian.KernelArgs turns it on.
	SELinux = Variant{
		Name: "selinux",
		Packages: []string{
			"selinux-policy-default", "selinux-basics", "policycoreutils", "auditd", "setools",
			"semodule-utils", "checkpolicy", "selinux-utils",
		},
		Script: callsPass,
	}
	// SysVinit has sysvinit in place of systemd.
	SysVinit = Variant{Name: "sysvinit", Packages: append([]string{"sysv-rc"}, sysVinitPackages...), Script: quietInittab}
	// OpenRC has OpenRC's services in place of systemd's; process 1 is
	// sysvinit's.
	OpenRC = Variant{Name: "openrc", Packages: append([]string{"openrc"}, sysVinitPackages...), Script: quietInittab}
	// DistroAgent has Debian's own qemu-guest-agent.
	DistroAgent = Variant{Name: "qemu-guest-agent", Packages: []string{"qemu-guest-agent"}}
)

// sysVinitPackages are what boots without systemd, and a system's log.
// libpam-systemd cannot stay.
var sysVinitPackages = []string{"sysvinit-core", "initscripts", "inetutils-syslogd", "libpam-systemd-"}

// quietInittab leaves out the terminals, which the guests do not have.
const quietInittab = "sed -i '/getty/d' /etc/inittab"

// debianPackages are what every full guest has beyond the essential packages.
var debianPackages = []string{
	"systemd-sysv", "libpam-systemd", "systemd-timesyncd", "udev", "dbus", "kmod", "e2fsprogs", "xfsprogs",
	"btrfs-progs", "dosfstools", "iproute2", "procps", "util-linux", "login", "passwd", "logrotate",
}

//go:embed debian.sh
var debianScript string

// imageLimit is for making an image on a slow and busy machine.
const imageLimit = 15 * time.Minute

// Image returns the image file of a variant, an ext4 filesystem without a
// partition table, which is made if there is none. It must not be written to.
func (variant Variant) Image(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root, which is needed to make a Debian,", "the tests as root")
	}
	kernel := kernelDir(t)
	release, err := os.ReadFile(filepath.Join(kernel, "release"))
	require.NoError(t, err)
	if variant.Name == "" {
		variant.Name = "plain"
	}
	dir := filepath.Join(root(), ".cache", "debian")
	baseHash := hash(debianScript, strings.Join(debianPackages, " "))
	base := filepath.Join(dir, "base-"+baseHash)
	image := filepath.Join(dir, fmt.Sprintf("%s-%s.ext4", variant.Name,
		hash(baseHash, string(release), strings.Join(variant.Packages, " "), variant.Script)))
	if exists(t, image) {
		return image
	}

	Tools(t, "mmdebstrap", "mke2fs")
	// One at a time: the first makes the base for all.
	defer lockDir(t, dir)()
	if exists(t, image) {
		return image
	}
	if !exists(t, base) {
		replace(t, base, filepath.Join(dir, "base-*"), func(next string) {
			runDebianScript(t, append([]string{"base", next}, debianPackages...)...)
		})
	}
	replace(t, image, filepath.Join(dir, variant.Name+"-*.ext4"), func(next string) {
		tree := filepath.Join(dir, "tree")
		require.NoError(t, os.RemoveAll(tree))
		args := append([]string{"image", base, tree, next, kernel, variant.Script}, variant.Packages...)
		runDebianScript(t, args...)
		require.NoError(t, os.RemoveAll(tree))
	})
	return image
}

// replace has a file or directory made under another name, removes what older
// recipes have left, and gives it its own name.
func replace(t testing.TB, path, older string, build func(next string)) {
	t.Helper()
	start := time.Now()
	next := filepath.Join(filepath.Dir(path), "next")
	require.NoError(t, os.RemoveAll(next))
	build(next)
	stale, err := filepath.Glob(older)
	require.NoError(t, err)
	for _, old := range stale {
		require.NoError(t, os.RemoveAll(old))
	}
	require.NoError(t, os.Rename(next, path))
	t.Logf("%s: made in %.0f s", filepath.Base(path), time.Since(start).Seconds())
}

// runDebianScript runs debian.sh. Its mounts go with it.
func runDebianScript(t testing.TB, args ...string) {
	t.Helper()
	script := exec.Command("/bin/sh", append([]string{"-euc", debianScript, "debian.sh"}, args...)...)
	script.Dir = "/"
	script.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unix.CLONE_NEWNS, Setpgid: true, Pdeathsig: syscall.SIGKILL,
	}
	var output strings.Builder
	script.Stdout, script.Stderr = &output, &output
	require.NoError(t, script.Start())
	timer := time.AfterFunc(imageLimit, func() { _ = unix.Kill(-script.Process.Pid, unix.SIGKILL) })
	defer timer.Stop()
	require.NoError(t, script.Wait(), "debian.sh %s:\n%s", strings.Join(args, " "), &output)
}

func exists(t testing.TB, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	return err == nil
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:6])
}

// lockDir makes a directory of things that are kept, and waits until nobody
// else makes something there. unlock ends that.
func lockDir(t testing.TB, dir string) (unlock func()) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	return func() { _ = lock.Close() }
}
