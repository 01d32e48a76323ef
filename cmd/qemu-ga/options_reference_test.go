package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qemu-ga/agent"
	"qemu-ga/cmd/internal/vm"

	"github.com/stretchr/testify/require"
)

// printed is what a program says to a command line.
type printed struct {
	status int
	stdout string
	errors string
}

// ours runs a command line that only prints.
func ours(t *testing.T, config string, args []string) printed {
	t.Helper()
	getenv := func(name string) string { return map[string]string{"QGA_CONF": config}[name] }
	var out bytes.Buffer
	o, err := parseOptions(args, getenv, "")
	if err == nil {
		var done bool
		done, err = inform(&out, o, "11.1.3", agent.Commands())
		require.True(t, done, "%q", args)
	}
	if err != nil {
		return printed{1, "", err.Error()}
	}
	return printed{0, sorted(out.String()), ""}
}

// theirs runs the same with the real qemu-ga. Args must make it print and end.
func theirs(t *testing.T, program, config string, args []string) printed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = []string{"QGA_CONF=" + config, "PATH=" + os.Getenv("PATH")}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	p := printed{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	if p.status != 0 {
		p.stdout = "" // "Unknown option" goes there
		return p
	}
	p.stdout = sorted(p.stdout)
	return p
}

// sorted sorts the lists of a dump: qemu-ga reverses each.
func sorted(dump string) string {
	lines := strings.SplitAfter(dump, "\n")
	for i, line := range lines {
		key, list, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "-rpcs=")
		if ok {
			names := strings.Split(list, ",")
			slices.Sort(names)
			lines[i] = key + "-rpcs=" + strings.Join(names, ",") + "\n"
		}
	}
	return strings.Join(lines, "")
}

// pick returns a few of words, chosen by r.
func pick(r *rand.Rand, most int, words ...string) []string {
	var some []string
	for range r.IntN(most + 1) {
		some = append(some, words[r.IntN(len(words))])
	}
	return some
}

// requireSame compares what the two programs print.
func requireSame(t *testing.T, program, config string, args []string) (status int) {
	t.Helper()
	got, want := ours(t, config, args), theirs(t, program, config, args)
	about := fmt.Sprintf("args %q\nour error: %s\ntheirs: %s", args, got.errors, want.errors)
	if strings.Contains(got.errors, "requires an argument") && want.status == 0 {
		// qemu-ga reads its arguments twice. The first time moves words that
		// are no options to the end, where an option that lacks its argument
		// finds them the second time.
		return got.status
	}
	require.Equal(t, want.status, got.status, about)
	if !strings.HasPrefix(got.stdout, "Usage:") {
		require.Equal(t, want.stdout, got.stdout, about)
	}
	const unreadable = "error loading configuration from path: "
	require.Equal(t, strings.Contains(want.errors, unreadable), strings.HasPrefix(got.errors, unreadable), about)
	if _, complaint, ok := strings.Cut(want.errors, "/qemu-ga: "); ok && got.status != 0 && !strings.HasPrefix(got.errors, unreadable) {
		// What getopt says, less the program's name, begins our line.
		complaint, _, _ = strings.Cut(complaint, "\n")
		require.True(t, strings.HasPrefix(got.errors, complaint+": "), about)
	}
	return got.status
}

// TestCommandLineAgainstReference gives random command lines to both programs.
// All begin with -D, so that neither becomes a daemon.
func TestCommandLineAgainstReference(t *testing.T) {
	program := filepath.Join(vm.Reference(t), "qemu-ga")
	words := []string{
		"-d", "-v", "-r", "-dvr", "-rF", "-F", "-F/x", "-vF/x y", "-m", "-p", "-l", "-f", "-t", "-b", "-a", "-s", "-x", "-vx",
		"-munix-listen", "-misa-serial", "-mvsock-listen", "-mother", "-p/some/path", "-vp", "/path", "3:1234",
		"-l/log", "-f/pid", "-t/state", "-ba,b", "-bc", "-aguest ping,", "-a", "-b,", "-sx", "-", "word", "--",
		"--daemonize", "--verbose", "--verb", "--ver", "--v", "--retry-path", "--re", "--r=1", "--method=isa-serial", "--me",
		"--path=/p", "--pa", "--p", "--pid=/pid", "--pidfile", "--log=/l", "--l", "--stat=/s", "--s", "--statedir", "--d",
		"--fsfreeze-hook", "--fsfreeze-hook=/h", "--fs", "--f=/h", "--block-rpcs=x,y", "--bl", "--b=z", "--allow-rpcs=x", "--al=",
		"--dump-conf", "--du", "--foo", "--foo=bar", "--dump-conf=x", "-D", "--=x", "größe", "-l  tab\tand blank ", "-l\\back\nline",
		"-b", "help", "?", "-V", "--vers", "-h", "--he", "--c=/nowhere/conf", "-c/nowhere/conf",
	}
	r := rand.New(rand.NewPCG(1, 2))
	statuses := map[int]int{}
	for range 500 {
		args := append([]string{"-D"}, pick(r, 5, words...)...)
		statuses[requireSame(t, program, "/nowhere/conf", args)]++
	}
	require.Greater(t, statuses[0], 100)
	require.Greater(t, statuses[1], 100)
}

// TestConfigAgainstReference gives random configuration files to both.
func TestConfigAgainstReference(t *testing.T) {
	program := filepath.Join(vm.Reference(t), "qemu-ga")
	config := filepath.Join(t.TempDir(), "qemu-ga.conf")
	lines := []string{
		"[general]", "  [general] ", "[other]", "[general]\t", "# comment", " # comment", "", "  ", ";comment=no",
		"daemon=true", "daemon=1", "daemon = 0 ", "daemon=false\t", "daemon=yes", "daemon=True", "daemon=", "daemonize=true",
		"method=isa-serial", "method= unix-listen", "method=virtio-serial ", "path=/a b ", "path=\\s/a\\tb\\\\c", "path=\\q", "path=x\\",
		"path = /größe", "logfile=/l#og ; x", "pidfile=/p=q", "statedir=/s\r", "fsfreeze-hook=/hook", "verbose=true", "retry-path=1",
		"block-rpcs=a;b,c", "block-rpcs=x", "allow-rpcs=guest-ping,guest sync", "allow-rpcs=", "unknown=1", "verbose[de]=true", "path[x=1",
		"a]=b", "=x", "word", "[bad", "[]", "[a[b]", "[g] x", "sp aced=1", "verbose =true", "\tverbose=true", "path=\t /x", "method=a\xff", "k\xff=1",
	}
	r := rand.New(rand.NewPCG(3, 4))
	statuses := map[int]int{}
	for range 500 {
		text := append([]string{"[general]"}, pick(r, 7, lines...)...)
		if r.IntN(10) == 0 {
			text = text[1:]
		}
		end := []string{"\n", "", "\r\n"}[r.IntN(3)]
		require.NoError(t, os.WriteFile(config, []byte(strings.Join(text, "\n")+end), 0o600))
		about := fmt.Sprintf("%q", text)
		got, want := ours(t, config, []string{"-D"}), theirs(t, program, config, []string{"-D"})
		require.Equal(t, want.status, got.status, "%s\nour error: %s\ntheirs: %s", about, got.errors, want.errors)
		require.Equal(t, want.stdout, got.stdout, about)
		statuses[got.status]++
	}
	require.Greater(t, statuses[0], 100)
	require.Greater(t, statuses[1], 100)
}
