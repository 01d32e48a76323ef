package selinux

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"qemu-ga/freeze/mountinfo"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestStates diagnoses the captured systems of testdata/states: files of
// procfs and selinuxfs, what the kernel answers, and the mounts with what came
// of trying them. What is found must be what the golden file beside it says.
func TestStates(t *testing.T) {
	paths, err := filepath.Glob("testdata/states/*.txtar")
	require.NoError(t, err)
	require.Len(t, paths, 26)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			require.NoError(t, err)
			c := unpack(t, archive)
			facts := c.system.Probe()
			found := Diagnose(facts, c.roots(facts))
			var text strings.Builder
			fmt.Fprintf(&text, "%s\n%s.\n", found.State, found.Summary)
			for _, f := range found.Findings {
				fmt.Fprintf(&text, "* %s\n", f)
			}
			for _, v := range found.Mounts {
				fmt.Fprintf(&text, "%s: %s %s\n  %s\n", v.Point, v.Allowed, v.Cause, v.Reason)
			}
			fmt.Fprintf(&text, "%s\n\n", AdviceText(found.Advice))
			enc := json.NewEncoder(&text)
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			require.NoError(t, enc.Encode(facts))
			requireGolden(t, strings.TrimSuffix(path, ".txtar")+".golden", text.String())
		})
	}
}

func requireGolden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// captured is a system of plain files.
type captured struct {
	t       *testing.T
	system  *System
	mounts  []mountinfo.Mount
	denials map[string]Denial
}

// unpack lays an archive out. A file whose text is an errno's name with an
// exclamation mark is one that cannot be read.
func unpack(t *testing.T, archive *txtar.Archive) *captured {
	dir := t.TempDir()
	c := &captured{t: t, denials: make(map[string]Denial)}
	var access, program, mounts string
	for _, f := range archive.Files {
		switch f.Name {
		case "access":
			access = string(f.Data)
		case "program":
			program = strings.TrimSpace(string(f.Data))
		case "mounts":
			mounts = string(f.Data)
		default:
			path := filepath.Join(dir, f.Name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, f.Data, 0o644))
		}
	}
	s := New(Config{Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys")})
	s.read = func(path string) ([]byte, error) {
		text, err := os.ReadFile(path)
		if err == nil && strings.HasPrefix(string(text), "!") {
			return nil, errno(strings.TrimSpace(string(text)))
		}
		return text, err
	}
	s.ask = func(_, question string) (string, error) { return answer(access, question) }
	s.link = func(string) (string, error) {
		path, _, ok := strings.Cut(program, " ")
		if !ok {
			return "", unix.ENOENT
		}
		return path, nil
	}
	labels := map[string]string{}
	if _, label, ok := strings.Cut(program, " "); ok {
		labels[s.proc+"/thread-self/exe"] = label
	}
	s.label = func(path string, _ int) ([]byte, error) {
		if err := errno(labels[path]); err != nil {
			return nil, err
		}
		return []byte(labels[path] + "\x00"), nil
	}
	modes := map[string]unix.Stat_t{}
	s.stat = func(path string, _ int) (unix.Stat_t, error) {
		st, ok := modes[path]
		if !ok {
			return st, unix.EACCES
		}
		return st, nil
	}
	c.system = s
	for line := range strings.Lines(mounts) {
		if !strings.HasPrefix(line, "#") {
			c.mount(strings.Fields(line), labels, modes)
		}
	}
	return c
}

// mount reads one line: point device type label mode owner denial options.
func (c *captured) mount(f []string, labels map[string]string, modes map[string]unix.Stat_t) {
	require.Len(c.t, f, 8)
	dev, err := mountinfo.ParseDev(f[1])
	require.NoError(c.t, err)
	point := strings.ReplaceAll(f[0], `\040`, " ")
	c.mounts = append(c.mounts, mountinfo.Mount{Point: point, Dev: dev, FSType: f[2], Source: "/dev/vdb", SuperOptions: f[7]})
	labels[point] = f[3]
	if mode, err := strconv.ParseUint(f[4], 8, 12); err == nil {
		owner, err := strconv.Atoi(f[5])
		require.NoError(c.t, err)
		modes[point] = unix.Stat_t{Mode: uint32(mode) | unix.S_IFDIR, Uid: uint32(owner)}
	}
	if op, name, ok := strings.Cut(f[6], ":"); ok {
		no, _ := errors.AsType[unix.Errno](errno("!" + name))
		c.denials[point] = Denial{Op(op), no}
	}
}

func (c *captured) roots(f Facts) []Root {
	var roots []Root
	for _, m := range c.mounts {
		roots = append(roots, c.system.Examine(f, m, -1, c.denials[m.Point]))
	}
	return roots
}

// errno reads "!EACCES".
func errno(text string) error {
	for _, e := range []unix.Errno{unix.EACCES, unix.EPERM, unix.EROFS, unix.ENODATA, unix.EOPNOTSUPP} {
		if text == "!"+unix.ErrnoName(e) || e == unix.EOPNOTSUPP && text == "!EOPNOTSUPP" {
			return e
		}
	}
	return nil
}

// answer finds a question among lines "QUESTION = ANSWER"; "*" is any.
func answer(access, question string) (string, error) {
	for line := range strings.Lines(access) {
		q, a, _ := strings.Cut(strings.TrimSpace(line), " = ")
		if q == "*" || q == question {
			return a, errno(a)
		}
	}
	return "", unix.EINVAL // as the kernel for a context that its policy does not know
}
