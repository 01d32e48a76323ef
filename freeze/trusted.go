package freeze

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks bounds the symbolic links on the way to a hook, as the kernel does.
const maxLinks = 40

// trusted refuses a program that somebody else than root could have written,
// or could put another in the place of: it is about to be run as root. What
// cannot be looked at is left to exec, which says why.
func trusted(program string) error {
	file := program
	if !strings.Contains(program, "/") {
		found, err := exec.LookPath(program)
		if err != nil {
			return nil //nolint:nilerr // exec's to tell
		}
		file = found
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return nil //nolint:nilerr // exec's to tell
	}
	if err := rootsWay(path); err != nil {
		return fmt.Errorf("cannot run the fsfreeze hook %s as root: %w", program, err)
	}
	return nil
}

// rootsWay goes the way to a file as the kernel does, and refuses it where
// somebody else than root could lead it elsewhere: each directory, each
// symbolic link and the file must be root's. Of a file that is not there it is
// the directory in which somebody could make one.
func rootsWay(path string) error {
	at, rest := "/", path
	for links := 0; ; {
		info, err := os.Lstat(at)
		if err != nil {
			return nil //nolint:nilerr // exec's to tell
		}
		if err := rootsOwn(at, info); err != nil {
			return err
		}
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return nil
		}
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		next := filepath.Join(at, part) // no link is left in at, so ".." is right
		switch found, err := os.Lstat(next); {
		case errors.Is(err, fs.ErrNotExist):
			return rootsAlone(at, info)
		case err != nil:
			return nil // exec's to tell
		case found.Mode().Type() != fs.ModeSymlink:
			at = next
		default:
			if err := rootsOwn(next, found); err != nil {
				return err
			}
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return nil //nolint:nilerr // exec's to tell
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = target + "/" + rest
		}
	}
}

// rootsOwn refuses a file, directory or link that belongs to somebody else
// than root, or whom the agent runs as, or in which somebody else can write.
func rootsOwn(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d; if it is meant to, chown root %s", path, st.Uid, path)
	}
	// In a sticky directory, as /tmp, nobody can replace what is root's. A
	// link's mode means nothing.
	if info.IsDir() && info.Mode()&os.ModeSticky != 0 || info.Mode().Type() == fs.ModeSymlink {
		return nil
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return fmt.Errorf("everybody can write to %s (mode %04o); chmod o-w %s", path, mode, path)
	case mode&0o020 != 0 && st.Gid != 0:
		return fmt.Errorf("group %d can write to %s (mode %04o); chmod g-w %s", st.Gid, path, mode, path)
	}
	return nil
}

// rootsAlone refuses a directory of root's in which others can make what is
// not there: one like /tmp.
func rootsAlone(dir string, info fs.FileInfo) error {
	if info.Mode()&os.ModeSticky == 0 || info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return fmt.Errorf("it is not there, and others than root could make it in %s (mode %04o)", dir, info.Mode().Perm())
}
