package vm

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/cmd/internal/vm/control"
)

// AgentPath is where our agent lies in the guest.
const AgentPath = "/usr/bin/qemu-ga"

// referencePath is where the real qemu-ga and its libraries lie.
const referencePath = "/reference"

// osRelease is what the guest says it is.
const osRelease = `ID=scratch
NAME="Scratch guest"
PRETTY_NAME="Scratch guest 1"
VERSION="1"
VERSION_ID="1"
`

// initramfs writes the guest's first and only root filesystem.
func initramfs(t testing.TB, config Config, file string) {
	t.Helper()
	a := newArchive()
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "mnt", "var/log", "root"} {
		a.dir(dir)
	}
	// Process 1 is started with these, before it can mount anything.
	a.device("dev/console", 5, 1)
	a.device("dev/null", 1, 3)
	a.text("etc/os-release", osRelease)
	a.text("etc/hostname", "scratch\n")
	a.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	a.text("etc/group", "root:x:0:\n")

	busybox, err := exec.LookPath("busybox")
	require.NoError(t, err)
	for applet := range strings.FieldsSeq(runTool(t, "busybox", "--list")) {
		a.symlink("bin/"+applet, "busybox")
	}
	a.file("bin/busybox", busybox) // which is one of its own applets
	a.file("init", Build(t, "./cmd/internal/vm/guestinit"))
	if config.Reference {
		addTree(t, a, referencePath, Reference(t))
	} else {
		a.file(AgentPath, Build(t, "./cmd/qemu-ga"))
	}
	for _, name := range config.Programs {
		addProgram(t, a, name)
	}
	for path, source := range config.Files {
		addTree(t, a, path, source)
	}
	boot := control.BootConfig{Modules: addModules(t, a, config), Init: config.Init}
	data, err := json.Marshal(boot)
	require.NoError(t, err)
	a.text(control.Boot, string(data))
	require.NoError(t, a.save(file))
}

// addTree adds a file, or a directory with all that is in it. Files keep their
// permissions.
func addTree(t testing.TB, a *archive, name, source string) {
	t.Helper()
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside := filepath.Join(name, strings.TrimPrefix(path, source))
		switch {
		case d.IsDir():
			a.dir(inside)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			a.symlink(inside, target)
		default:
			info, err := d.Info()
			if err != nil {
				return err
			}
			a.add(inside, entry{mode: unix.S_IFREG | uint32(info.Mode().Perm()), source: path})
		}
		return nil
	})
	require.NoError(t, err)
}
