package packaging

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata anew")

// contents lists a package by its format's own tool: mode and path of each
// file, no directories but empty ones.
var contents = map[string]func(t *testing.T, file string) []string{
	"deb": func(t *testing.T, file string) []string {
		var found []string
		for line := range strings.Lines(run(t, "dpkg-deb", "-c", file)) {
			f := strings.Fields(line)
			found = append(found, f[0]+" "+strings.TrimPrefix(strings.Join(f[5:], " "), "."))
		}
		return found
	},
	"rpm": func(t *testing.T, file string) []string {
		return strings.Split(strings.TrimSpace(run(t, "rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILENAMES}\n]", file)), "\n")
	},
	// Neither apk-tools nor a reader of apk is in Debian; the format is tar.
	"apk": tarContents,
	"archlinux": func(t *testing.T, file string) []string {
		var found []string
		for path := range strings.Lines(run(t, "pacman", "-Qlpq", "--root", "/", file)) {
			found = append(found, strings.TrimSpace(path))
		}
		return found
	},
}

// tarContents lists the gzip members of an apk: control, then data.
func tarContents(t *testing.T, file string) []string {
	t.Helper()
	var found []string
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for archive := tar.NewReader(z); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		// apk refuses a package with a larger number than the field has digits
		// for, as the type of a file is in a mode.
		require.Zero(t, head.Mode&^0o7777, "the mode of %s", head.Name)
		found = append(found, head.FileInfo().Mode().String()+" /"+head.Name)
	}
}

// Each package holds exactly what testdata says: go test -update changes it.
func TestContents(t *testing.T) {
	for format, list := range contents {
		t.Run(format, func(t *testing.T) {
			found := list(t, packageOf(t, format, version))
			// Directories that hold something say nothing.
			found = slices.DeleteFunc(found, func(line string) bool {
				path := strings.TrimSuffix(line[strings.IndexByte(line, '/'):], "/")
				return slices.ContainsFunc(found, func(other string) bool {
					return strings.HasPrefix(other[strings.IndexByte(other, '/'):], path+"/") && other != line
				})
			})
			slices.SortFunc(found, func(a, b string) int {
				return strings.Compare(a[strings.IndexByte(a, '/'):], b[strings.IndexByte(b, '/'):])
			})
			golden := filepath.Join("testdata", format+".txt")
			text := strings.Join(found, "\n") + "\n"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(text), 0o600))
			}
			require.Equal(t, read(t, golden), text)
		})
	}
}

// A package stands for qemu-guest-agent, takes its place, and keeps what the
// administrator has changed.
func TestMetadata(t *testing.T) {
	deb := run(t, "dpkg-deb", "-I", packageOf(t, "deb", version))
	for _, field := range []string{
		"Package: qemu-ga", "Architecture: amd64", "Provides: qemu-guest-agent",
		"Conflicts: qemu-guest-agent", "Replaces: qemu-guest-agent",
	} {
		require.Contains(t, deb, " "+field+"\n")
	}
	require.Equal(t, "/etc/default/qemu-guest-agent\n/etc/init.d/qemu-guest-agent\n/etc/qemu/qemu-ga.conf\n",
		sorted(run(t, "dpkg-deb", "-I", packageOf(t, "deb", version), "conffiles")))

	rpm := packageOf(t, "rpm", version)
	require.Contains(t, run(t, "rpm", "-qp", "--provides", rpm), "qemu-guest-agent\n")
	require.Equal(t, "qemu-guest-agent\n", run(t, "rpm", "-qp", "--conflicts", rpm))
	require.Equal(t, "qemu-guest-agent\n", run(t, "rpm", "-qp", "--obsoletes", rpm))
	flags := run(t, "rpm", "-qp", "--qf", "[%{FILEFLAGS:fflags} %{FILENAMES}\n]", rpm)
	for _, path := range []string{"/etc/qemu/qemu-ga.conf", "/etc/sysconfig/qemu-ga"} {
		require.Contains(t, flags, "cn "+path+"\n", "config(noreplace)")
	}
	require.Contains(t, flags, "l /usr/share/licenses/qemu-ga/LICENSE\n", "licence")

	arch := run(t, "pacman", "-Qip", packageOf(t, "archlinux", version))
	for _, field := range []string{"Provides        : qemu-guest-agent", "Conflicts With  : qemu-guest-agent", "Replaces        : qemu-guest-agent"} {
		require.Contains(t, arch, field)
	}
}

func sorted(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

func TestLintian(t *testing.T) {
	require.Empty(t, run(t, "lintian", "--allow-root", "--fail-on=error,warning", packageOf(t, "deb", version)))
	overrides := strings.Split(strings.TrimSpace(read(t, "lintian-overrides")), "\n")
	for i, line := range overrides {
		if !strings.HasPrefix(line, "#") {
			require.True(t, strings.HasPrefix(overrides[i-1], "# "), "an override without its reason: %s", line)
		}
	}
}

// The same sources give the same bytes.
func TestReproducible(t *testing.T) {
	again := t.TempDir()
	var formats []string
	for format := range ending {
		packageOf(t, format, version)
		formats = append(formats, format)
	}
	build(t, "packages", again, version, strings.Join(formats, " "))
	entries, err := os.ReadDir(again)
	require.NoError(t, err)
	require.Len(t, entries, len(ending))
	for _, e := range entries {
		first, second := read(t, filepath.Join(scratch, version, e.Name())), read(t, filepath.Join(again, e.Name()))
		require.Equal(t, sha256.Sum256([]byte(first)), sha256.Sum256([]byte(second)), e.Name())
	}
}

// The notices name every module that is really in the program, with its
// licence.
func TestNotices(t *testing.T) {
	info, err := buildinfo.ReadFile(filepath.Join(tree(t), "usr/bin/qemu-ga"))
	require.NoError(t, err)
	require.NotEmpty(t, info.Deps)
	parts := strings.Split(read(t, filepath.Join(tree(t), "usr/share/doc/qemu-ga/copyright")), "\n ----------------------------------------\n")[1:]
	var want []string
	for _, module := range info.Deps {
		want = append(want, module.Path+" "+module.Version)
	}
	require.Contains(t, parts[0], "the Go standard library and runtime "+info.GoVersion)
	for _, part := range parts {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "\n")
		require.Contains(t, text, "Copyright", name)
		want = slices.DeleteFunc(want, func(module string) bool { return module == name })
	}
	require.Empty(t, want, "modules without a notice")
}

// A system extension fits every system of its architecture and starts the
// agent by itself, as it has no part in /etc.
func TestSysext(t *testing.T) {
	dir := t.TempDir()
	build(t, "sysext", dir, version, "")
	image := filepath.Join(dir, "sysext-amd64", "qemu-ga.raw")
	listed := run(t, "unsquashfs", "-ll", image)
	require.NotContains(t, listed, "squashfs-root/etc")
	require.Contains(t, listed, "multi-user.target.wants/qemu-guest-agent.service -> ../qemu-guest-agent.service")
	out := filepath.Join(dir, "out")
	run(t, "unsquashfs", "-q", "-n", "-d", out, image)

	// Merged by systemd-sysext into the /usr of a system that knows nothing of
	// it. The mounts stay in a namespace of their own.
	root := filepath.Join(dir, "root")
	for _, part := range []string{"usr/lib", "etc", "opt", "run", "var/lib/extensions"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, part), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "usr/lib/os-release"), []byte("ID=flatcar\nVERSION_ID=4000\n"), 0o600))
	require.NoError(t, os.Rename(image, filepath.Join(root, "var/lib/extensions/qemu-ga.raw")))
	said := run(t, "unshare", "--mount", "--propagation", "private", "sh", "-euc", `
mount -t tmpfs run /run
mount --make-rshared /
systemd-sysext --root="$1" merge
"$1/usr/bin/qemu-ga" --version
systemd-sysext --root="$1" unmerge`, "sh", root)
	require.Contains(t, said, "Using extensions 'qemu-ga'.\n")
	require.Contains(t, said, "QEMU Guest Agent ")
	require.Equal(t, "ID=_any\nARCHITECTURE=x86-64\nEXTENSION_RELOAD_MANAGER=1\n",
		read(t, filepath.Join(out, "usr/lib/extension-release.d/extension-release.qemu-ga")))
	for _, file := range []string{"usr/bin/qemu-ga", "usr/lib/systemd/system/qemu-guest-agent.service", "usr/lib/udev/rules.d/60-qemu-guest-agent.rules"} {
		require.Equal(t, read(t, filepath.Join(tree(t), file)), read(t, filepath.Join(out, file)), file)
	}
}
