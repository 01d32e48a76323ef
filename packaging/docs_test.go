package packaging

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// help is what the packaged program prints of itself.
func help(t *testing.T) string {
	t.Helper()
	return run(t, filepath.Join(tree(t), "usr/bin/qemu-ga"), "--help")
}

// The manual pages are well formed, and the tools that show them agree.
func TestManualPages(t *testing.T) {
	pages, err := filepath.Glob("man/*.[1-8]")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		lint := run(t, "sh", "-c", "mandoc -T lint -W warning "+page+" || true")
		// A page that is made of the code has no day of its own.
		lint = regexp.MustCompile(`(?m)^.*qemu-ga-ref.7:.* missing date, using "": TH\n`).ReplaceAllString(lint, "")
		require.Empty(t, lint)
		// An absolute path, or man takes it for a name.
		full, err := filepath.Abs(page)
		require.NoError(t, err)
		shown := command(t, "man", "--warnings", "-E", "UTF-8", "-Tutf8", "-l", full)
		var problems strings.Builder
		shown.Stderr = &problems
		text, err := shown.Output()
		require.NoError(t, err)
		require.Empty(t, problems.String(), page)
		require.Greater(t, len(text), 1000)
	}
}

var (
	longOption = regexp.MustCompile(`--[a-z][a-z-]+`)
	fontChange = regexp.MustCompile(`\\f.`)
)

// plain is a manual page without its escapes.
func plain(t *testing.T, page string) string {
	t.Helper()
	return fontChange.ReplaceAllString(strings.ReplaceAll(read(t, page), `\-`, "-"), "")
}

// Every option that --help tells of is in qemu-ga(8), and every key of our
// groups in qemu-ga.conf(5).
func TestManualPagesAreComplete(t *testing.T) {
	manual, conf := plain(t, "man/qemu-ga.8"), plain(t, "man/qemu-ga.conf.5")
	options := longOption.FindAllString(help(t), -1)
	require.Greater(t, len(options), 30)
	require.Empty(t, lacking(manual, options), "not in qemu-ga(8)")
	path := filepath.Join(t.TempDir(), "conf")
	for _, match := range regexp.MustCompile(`(?m)^\.SS \[([a-z-]+)\]$`).FindAllStringSubmatch(conf, -1) {
		group := match[1]
		section, _, _ := strings.Cut(conf[strings.Index(conf, match[0])+len(match[0]):], "\n.S")
		// The program itself says which keys a group has.
		require.NoError(t, os.WriteFile(path, []byte("["+group+"]\nno-such-key=1\n"), 0o600))
		cmd := command(t, filepath.Join(tree(t), "usr/bin/qemu-ga"), "-c", path, "-D")
		var said strings.Builder
		cmd.Stderr = &said
		_ = cmd.Run() // in some groups it is an error
		require.Contains(t, said.String(), "no-such-key", "group [%s] does not exist", group)
		_, keys, _ := strings.Cut(strings.TrimSpace(said.String()), ": use ")
		require.Empty(t, lacking(section, strings.Split(keys, ", ")), "not in qemu-ga.conf(5), [%s]", group)
	}
	for _, option := range options {
		group, _, more := strings.Cut(strings.TrimPrefix(option, "--"), "-")
		switch {
		case option == "--cloud-init-wait":
			group = "cloud-init"
		case !more, !strings.Contains("exec fsfreeze file network unix vsock", group), option == "--fsfreeze-hook":
			continue
		}
		require.Empty(t, lacking(conf, []string{".SS [" + group + "]\n"}), "%s has no group in qemu-ga.conf(5)", option)
	}
}

// lacking returns the words that are not in a text.
func lacking(text string, words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(word string) bool { return strings.Contains(text, word) })
}

// inPath puts the packaged program first on PATH.
func inPath(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", filepath.Join(tree(t), "usr/bin")+":"+os.Getenv("PATH"))
}

func TestBashCompletion(t *testing.T) {
	inPath(t)
	said := run(t, "bash", "-euc", `. completion/qemu-ga.bash
try() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _qemu_ga qemu-ga "" ""; echo "${COMPREPLY[*]}"; }
try qemu-ga th
try qemu-ga --fsfreeze-ti
try qemu-ga --block-rpcs = guest-ping,guest-shut
try qemu-ga -m v`)
	require.Equal(t, "thaw\n--fsfreeze-timeout\nguest-ping,guest-shutdown\nvirtio-serial vsock-listen\n", said)
}

func TestFishCompletion(t *testing.T) {
	inPath(t)
	t.Setenv("HOME", t.TempDir())
	said := run(t, "fish", "--no-config", "-c", `source completion/qemu-ga.fish
complete -C 'qemu-ga th'
complete -C 'qemu-ga --fsfreeze-ti'
complete -C 'qemu-ga --block-rpcs=guest-ping,guest-shut'
complete -C 'qemu-ga -m v'`)
	require.Equal(t, "thaw\n--fsfreeze-timeout=\tthaw by itself after this time (300)\n"+
		"--block-rpcs=guest-ping,guest-shutdown\nvirtio-serial\nvsock-listen\n", said)
}

// zsh completes at a terminal only, so it has one here.
func TestZshCompletion(t *testing.T) {
	inPath(t)
	said := run(t, "zsh", "-f", "-c", `zmodload zsh/zpty
zpty z 'zsh -f -i'
zpty -w z "PS1=; TERM=dumb; fpath=($PWD/completion \$fpath); autoload -U compinit; compinit -u -D; zstyle ':completion:*' verbose no; echo REA''DY"
zpty -r z out '*READY*'
for text in --fsfreeze-ti --block-rpcs=guest-shut; do
	# What is completed is printed by echo.
	zpty -w -n z "print -r -- qemu-ga ''"$'\x15'"qemu-ga $text"$'\t\x01'"print -r -- DO''NE "$'\n'
	zpty -r z out '*DONE*
'
	print -r -- "${out##*DONE}"
done
zpty -d z`)
	require.Contains(t, said, "qemu-ga --fsfreeze-timeout")
	require.Contains(t, said, "qemu-ga --block-rpcs=guest-shutdown")
}
