package guest

import (
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the directory below which a guest's /proc, /sys, /etc, /run and
// /dev are read: "/" for the guest the agent runs in, a captured tree under
// testdata/guests in tests. All names are absolute, as the guest sees them.
type Root string

// maxLinks bounds the symlinks followed for one name, as the kernel does.
const maxLinks = 40

// Real resolves every symlink of name, absolute ones against the root, and
// returns the name as the guest sees it. Where a part does not exist the name
// is resolved as far as it goes and returned with the error.
func (r Root) Real(name string) (string, error) {
	done, rest := "/", name
	for links := 0; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		target, err := os.Readlink(r.below(next))
		switch {
		case errors.Is(err, unix.EINVAL): // not a link
			done = next
		case err != nil:
			return path.Join(next, rest), err
		case links == maxLinks:
			return path.Join(next, rest), &os.PathError{Op: "resolve", Path: name, Err: unix.ELOOP}
		default:
			links++
			if path.IsAbs(target) {
				done = "/"
			}
			rest = target + "/" + rest
		}
	}
	return done, nil
}

// Path returns where the guest's name lies for this process. A name that does
// not exist gets a path that does not exist either, never one outside the
// root.
func (r Root) Path(name string) string {
	if r.isSystem() {
		return name
	}
	real, _ := r.Real(name)
	return r.below(real)
}

// ReadFile reads the guest's file name whole.
func (r Root) ReadFile(name string) ([]byte, error) {
	return os.ReadFile(r.Path(name))
}

// ReadDir lists the guest's directory name, sorted.
func (r Root) ReadDir(name string) ([]os.DirEntry, error) {
	return os.ReadDir(r.Path(name))
}

// Open opens the guest's file name for reading.
func (r Root) Open(name string) (*os.File, error) {
	return os.Open(r.Path(name))
}

func (r Root) isSystem() bool { return r == "/" || r == "" }

// exists tells whether the guest has a file or directory name that can be
// reached.
func (r Root) exists(name string) bool { return unix.Access(r.Path(name), unix.F_OK) == nil }

// below joins root and name without resolving anything.
func (r Root) below(name string) string {
	if r.isSystem() {
		return name
	}
	return string(r) + name
}
