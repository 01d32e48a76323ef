package freeze

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// trusted refuses a program that somebody else than root could have written:
// it is about to be run as root. What cannot be looked at is left to exec,
// which says why.
func trusted(program string) error {
	path, err := filepath.Abs(program)
	if err != nil {
		return nil //nolint:nilerr // exec's to tell
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil //nolint:nilerr // exec's to tell
	}
	// Who may write to a directory on the way can put another file there.
	for _, at := range []string{real, filepath.Dir(path)} {
		for {
			if err := rootsOwn(at); err != nil {
				return fmt.Errorf("cannot run the fsfreeze hook %s as root: %w", program, err)
			}
			if at == "/" {
				break
			}
			at = filepath.Dir(at)
		}
	}
	return nil
}

// rootsOwn refuses a file or directory in which somebody else than root, or
// whom the agent runs as, can write.
func rootsOwn(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil //nolint:nilerr // exec's to tell
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	// In a sticky directory, as /tmp, nobody can replace what is root's.
	sticky := info.IsDir() && info.Mode()&os.ModeSticky != 0
	switch mode := info.Mode().Perm(); {
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d; if it is meant to, chown root %s", path, st.Uid, path)
	case mode&0o002 != 0 && !sticky:
		return fmt.Errorf("everybody can write to %s (mode %04o); chmod o-w %s", path, mode, path)
	case mode&0o020 != 0 && st.Gid != 0 && !sticky:
		return fmt.Errorf("group %d can write to %s (mode %04o); chmod g-w %s", st.Gid, path, mode, path)
	}
	return nil
}
