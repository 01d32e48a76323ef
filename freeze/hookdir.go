package freeze

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hookSet is the hook programs of a freeze, in the order of their "freeze".
type hookSet struct {
	programs []string
	// unread has the directories that could not be looked into, and why.
	unread []string
	// own tells that they are scripts of hook directories, which are told of
	// a freeze that failed, and named in their errors. Otherwise there is one
	// program, which is called as qemu-ga calls it.
	own bool
}

// hookSuffixes end the names of files in a hook directory that are no hooks:
// what editors and package managers leave there, and examples.
var hookSuffixes = []string{
	"~", ".bak", ".orig", ".sample", ".swp", ".rpmnew", ".rpmorig", ".rpmsave", ".apk-new", ".pacnew", ".pacsave",
	".dpkg-old", ".dpkg-new", ".dpkg-tmp", ".dpkg-dist", ".dpkg-bak", ".dpkg-backup", ".dpkg-remove", ".ucf-new", ".ucf-old", ".ucf-dist",
}

// Hooked tells whether a freeze would run hooks now, or fail for one: a hook
// directory may be empty.
func (e *Engine) Hooked() bool {
	set, err := findHooks(e.cfg.Hook, e.cfg.HookDirs)
	return err != nil || len(set.programs) > 0
}

// findHooks tells which hooks a freeze would run now, and refuses those that
// must not be run.
func (c *Config) findHooks() (hookSet, error) {
	set, err := findHooks(c.Hook, c.HookDirs)
	for _, program := range set.programs {
		if err == nil {
			err = trusted(program)
		}
	}
	return set, err
}

// findHooks tells which programs hook stands for. A file is run as it is, by
// whatever name execvp(3) finds it. Where hook is a directory, or none is
// there and hook.d is one, it is the scripts in that directory and in the
// further ones, by name; of two with the same name, the one in the earlier
// directory.
func findHooks(hook string, further []string) (hookSet, error) {
	if hook == "" {
		return hookSet{}, nil
	}
	first := hook
	info, err := os.Stat(first)
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(hook, "/") {
		first = hook + ".d"
		info, err = os.Stat(first)
	}
	if err != nil || !info.IsDir() {
		return hookSet{programs: []string{hook}}, nil
	}
	set := hookSet{own: true}
	paths := make(map[string]string)
	for i, dir := range append([]string{first}, further...) {
		entries, err := os.ReadDir(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil && i == 0:
			return set, fmt.Errorf("cannot read the hook directory: %w", err)
		case err != nil:
			// Policies of SELinux keep the agent out of some by default, and they
			// are empty as a rule: no reason to refuse every freeze.
			set.unread = append(set.unread, fmt.Sprintf("cannot read the hook directory: %v; no script there is run", err))
			continue
		}
		if err := addScripts(paths, dir, entries); err != nil {
			return set, err
		}
	}
	for _, path := range paths {
		if path != "" {
			set.programs = append(set.programs, path)
		}
	}
	slices.SortFunc(set.programs, func(a, b string) int {
		return strings.Compare(filepath.Base(a), filepath.Base(b))
	})
	return set, nil
}

// addScripts adds the scripts of dir to paths, by their names. A file that is
// not executable is none, and hides those of its name in later directories.
func addScripts(paths map[string]string, dir string, entries []fs.DirEntry) error {
	for _, entry := range entries {
		name := entry.Name()
		ignored := func(suffix string) bool { return strings.HasSuffix(name, suffix) }
		if _, known := paths[name]; known || strings.HasPrefix(name, ".") || slices.ContainsFunc(hookSuffixes, ignored) {
			continue
		}
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return fmt.Errorf("cannot look at a hook: %w", err) // a link that leads nowhere is not meant so
		case info.IsDir():
			continue
		case info.Mode().IsRegular() && info.Mode()&0o111 != 0:
			paths[name] = path
		default:
			paths[name] = ""
		}
	}
	return nil
}
