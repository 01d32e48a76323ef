package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const userData = "cloud-init/user-data"

func TestUserDataIsValid(t *testing.T) {
	require.Contains(t, run(t, "cloud-init", "schema", "-c", userData), "Valid cloud-config")
	// The check is one that finds faults.
	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(bad, []byte(strings.Replace(read(t, userData), "runcmd:", "runcmd: 7 #", 1)), 0o600))
	require.Error(t, command(t, "cloud-init", "schema", "-c", bad).Run())
}

// installer takes the script out of the user-data.
func installer(t *testing.T) string {
	t.Helper()
	_, text, found := strings.Cut(read(t, userData), "    content: |\n")
	require.True(t, found)
	var script strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \n"); line != "" && !strings.HasPrefix(line, "      ") {
			break
		}
		script.WriteString(strings.TrimPrefix(line, "      ") + "\n")
	}
	path := filepath.Join(t.TempDir(), "install-qemu-ga")
	require.NoError(t, os.WriteFile(path, []byte(script.String()), 0o700))
	return path
}

// The script calls the package manager of the guest's family, with the package
// from wherever it is.
func TestUserDataInstalls(t *testing.T) {
	script := installer(t)
	run(t, "shellcheck", script)
	for name, c := range map[string]struct {
		source string
		have   []string
		want   string
	}{
		"Debian":  {"FILE/x_1_amd64.deb", []string{"apt-get"}, "apt-get install -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold ./x_1_amd64.deb"},
		"a URL":   {"https://example.com/a/x.deb?token=1", []string{"apt-get", "wget"}, "apt-get install -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold ./x.deb"},
		"Fedora":  {"FILE/x.rpm", []string{"dnf"}, "dnf install -y ./x.rpm"},
		"CentOS":  {"FILE/x.rpm", []string{"yum"}, "yum install -y ./x.rpm"},
		"SUSE":    {"FILE/x.rpm", []string{"zypper", "dnf"}, "zypper --non-interactive --no-gpg-checks install --force-resolution ./x.rpm"},
		"Alpine":  {"FILE/x.apk", []string{"apk"}, "apk del --quiet qemu-guest-agent\napk add --allow-untrusted ./x.apk"},
		"Arch":    {"FILE/x.pkg.tar.zst", []string{"pacman", "systemctl"}, "pacman -U --noconfirm --ask=4 ./x.pkg.tar.zst\nsystemctl enable --now qemu-guest-agent"},
		"unknown": {"FILE/x.zip", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bin, files := t.TempDir(), t.TempDir()
			calls := filepath.Join(bin, "calls")
			for _, program := range []string{"basename", "cp", "mktemp", "sh", "ls", "touch"} {
				path, err := exec.LookPath(program)
				require.NoError(t, err)
				require.NoError(t, os.Symlink(path, filepath.Join(bin, program)))
			}
			for _, program := range c.have {
				// Whatever is installed must be there; wget -q -O FILE URL
				// brings it.
				stub := "#!/bin/sh\necho \"${0##*/} $*\" >>" + calls + "\nfor last; do :; done\ncase $last in ./*) ls \"$last\" >/dev/null ;; esac\n"
				if program == "wget" {
					stub = "#!/bin/sh\ntouch \"$3\"\n"
				}
				require.NoError(t, os.WriteFile(filepath.Join(bin, program), []byte(stub), 0o700))
			}
			source := strings.Replace(c.source, "FILE", files, 1)
			if strings.HasPrefix(c.source, "FILE") {
				require.NoError(t, os.WriteFile(source, nil, 0o600))
			}
			cmd := exec.Command(script, source)
			cmd.Env = []string{"PATH=" + bin, "TMPDIR=" + t.TempDir()}
			output, err := cmd.CombinedOutput()
			if c.want == "" {
				require.Error(t, err)
				require.Contains(t, string(output), "cannot install ./x.zip: it is no deb, rpm, apk or Arch package")
				return
			}
			require.NoError(t, err, "%s", output)
			require.Equal(t, c.want+"\n", read(t, calls))
		})
	}
}

// Ignition's own validator takes the configuration, and finds a fault in a
// bad one.
func TestIgnitionIsValid(t *testing.T) {
	const validator = "github.com/coreos/ignition/v2/validate@v2.20.0"
	run(t, "go", "run", validator, "ignition/qemu-ga.ign")
	bad := filepath.Join(t.TempDir(), "bad.ign")
	text := strings.Replace(read(t, "ignition/qemu-ga.ign"), `"path": "/etc`, `"path": "etc`, 1)
	require.NoError(t, os.WriteFile(bad, []byte(text), 0o600))
	require.Error(t, command(t, "go", "run", validator, bad).Run())
}
