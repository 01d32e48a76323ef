package guest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// openHome opens a user's home directory, for nothing but to work below it.
// The way there leads through directories; a symbolic link on it is followed
// only where nobody but root can have made it, as on systems whose /home is
// one to /var/home. Otherwise whoever may write to the directory above could
// have root work in another's home.
func (r Root) openHome(home string) (int, error) {
	top := string(r)
	if r.isSystem() {
		top = "/"
	}
	dir, err := openPath(unix.AT_FDCWD, top)
	if err != nil {
		return -1, err
	}
	rest := home
	for links := 0; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if part == "" || part == "." {
			continue
		}
		if part == ".." && !r.isSystem() {
			_ = unix.Close(dir)
			return -1, errors.New("a captured guest's home cannot be reached by '..'")
		}
		next, err := openPath(dir, part)
		if !errors.Is(err, unix.ENOTDIR) {
			_ = unix.Close(dir)
			if err != nil {
				return -1, err
			}
			dir = next
			continue
		}
		// A file, or a link.
		target, err := r.trustedLink(dir, part)
		if links++; err == nil && links > maxLinks {
			err = unix.ELOOP
		}
		if err != nil {
			_ = unix.Close(dir)
			return -1, err
		}
		rest = target + "/" + rest
		if path.IsAbs(target) {
			_ = unix.Close(dir)
			if dir, err = openPath(unix.AT_FDCWD, top); err != nil {
				return -1, err
			}
		}
	}
	return dir, nil
}

// trustedLink reads a symbolic link in a directory that only root may change.
func (r Root) trustedLink(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if errors.Is(err, unix.EINVAL) {
		return "", unix.ENOTDIR // no link
	}
	if err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return "", err
	}
	const othersWrite = 0o022
	if own := int(st.Uid) == 0 || int(st.Uid) == os.Geteuid(); !own || st.Mode&othersWrite != 0 {
		return "", fmt.Errorf("'%s' is a symbolic link in a directory that others than root can change: it is not followed", name)
	}
	return string(buf[:n]), nil
}

// openPath opens a directory in another one.
func openPath(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}
