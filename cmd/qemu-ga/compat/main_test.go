package compat_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"qemu-ga/freeze/freezetest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Where things are: outside the ground, relative to this directory, and in it.
const (
	referenceDir = "../../../.cache/reference"
	guestsDir    = "../../../testdata/guests"
	// builtVariable tells the program in the ground where outside our agent
	// was built.
	builtVariable = "COMPAT_BUILT"
)

// theirs is the real qemu-ga, ours what is compared with it.
var (
	theirs = program{"theirs", "/theirs/qemu-ga"}
	ours   = program{"ours", "/ours/qemu-ga"}
)

func TestMain(m *testing.M) {
	os.Exit(runInGround(m))
}

func runInGround(m *testing.M) int {
	if freezetest.Inside() || lacking() != "" {
		return m.Run()
	}
	if os.Getenv(builtVariable) == "" {
		dir, err := os.MkdirTemp("", "compat")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if err := buildOurs(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	files := freezetest.Bring(differencesFile)
	maps.Copy(files, map[string]string{
		referenceDir:             filepath.Dir(theirs.path),
		os.Getenv(builtVariable): filepath.Dir(ours.path),
		guestsDir + "/debian12-virtio/etc/localtime": "/usr/share/zoneinfo/Europe/Berlin",
		guestsDir + "/debian12-virtio/run/utmp":      "/guest/utmp",
	})
	return freezetest.Main(m.Run, freezetest.Config{Files: files})
}

// buildOurs builds our agent into dir.
func buildOurs(dir string) error {
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "qemu-ga"), "qemu-ga/cmd/qemu-ga")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build qemu-ga: %w: %s", err, output)
	}
	return os.Setenv(builtVariable, dir)
}

// lacking says what the comparison needs and has not; "" is nothing.
func lacking() string {
	if _, err := os.Stat(filepath.Join(referenceDir, "qemu-ga")); err != nil {
		return "there is no qemu-ga to compare with: run .ci/setup reference"
	}
	return freezetest.Missing()
}

// need skips a test of the ground where there is none; where CI is set, it
// fails.
func need(t *testing.T) {
	t.Helper()
	if freezetest.Inside() {
		return
	}
	if what := lacking(); what != "" {
		if os.Getenv("CI") != "" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	freezetest.Need(t)
}

// furnish makes the filesystems that every script finds, and protects the
// machine from what scripts may ask for.
func furnish(t *testing.T) {
	t.Helper()
	hideMachine(t)
	for _, applet := range []string{"chmod", "ln", "printf", "grep", "sed", "sort", "head", "tail", "wc", "hostname", "stat", "tr", "cut", "cp", "env"} {
		require.NoError(t, os.Symlink("busybox", "/bin/"+applet))
	}
	for _, dir := range []string{"/etc", "/sbin", "/var"} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	require.NoError(t, os.Symlink("/run", "/var/run"))
	for _, f := range []freezetest.FS{
		{Type: "ext4", Dir: "/mnt/ext4"},
		{Type: "xfs", Dir: "/mnt/xfs"},
		{Type: "btrfs", Dir: "/mnt/btrfs"},
		{Type: "ext4", Dir: "/mnt/a b\\c", Flags: unix.MS_RDONLY},
		{Type: "ext4", Dir: "/mnt/inner", Image: "/mnt/ext4/image", Size: 16 << 20},
	} {
		require.NoError(t, freezetest.Mount(f))
	}
	for _, bind := range [][2]string{{"/mnt/ext4", "/mnt/bind"}, {"/mnt/xfs", "/mnt/ext4/bound"}} {
		require.NoError(t, os.MkdirAll(bind[1], 0o755))
		require.NoError(t, unix.Mount(bind[0], bind[1], "", unix.MS_BIND, ""))
	}
	output, err := exec.Command("/bin/btrfs", "subvolume", "create", "/mnt/btrfs/volume").CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NoError(t, os.Mkdir("/mnt/volume", 0o755))
	require.NoError(t, unix.Mount(sourceOf(t, "/mnt/btrfs"), "/mnt/volume", "btrfs", 0, "subvol=volume"))
}
