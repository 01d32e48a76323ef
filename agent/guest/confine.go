package guest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// FilePolicy says which files may be opened. What counts is the real name of
// the very file that is then used, whatever name and symbolic links led to it:
// the file is found first, then judged, and then used by its descriptor, so
// that nothing can be put in its place in between.
//
// A pattern that stands for many files covers no devices, and for writing
// nothing in /proc and /sys: those must be named one by one.
type FilePolicy struct {
	// Read and Write cover what may be read and written; nil is nothing.
	Read, Write *PathList
	// Keep names files and directories that are never written, nor anything
	// below them, whatever Write says: those that the policy itself is made
	// of.
	Keep []string
}

// Empty tells whether the policy allows no file.
func (p *FilePolicy) Empty() bool {
	return (p.Read == nil || p.Read.Empty()) && (p.Write == nil || p.Write.Empty())
}

// Open opens a file as open(2) does with flags, if the policy allows it. A new
// file has the mode 0; created tells of it. The error is ErrRefused also for a
// file that does not exist where the policy would not allow its name: a host
// need not learn what files there are.
func (p *FilePolicy) Open(name string, flags int) (fd int, created bool, err error) {
	for range 2 { // once more for a file that came into being meanwhile
		fd, err = p.openExisting(name, flags&^unix.O_CREAT)
		if !errors.Is(err, unix.ENOENT) || flags&unix.O_CREAT == 0 {
			return fd, false, err
		}
		fd, err = p.create(name, flags)
		if !errors.Is(err, unix.EEXIST) {
			return fd, err == nil, err
		}
	}
	return -1, false, unix.ENOENT // a symbolic link to nowhere
}

func (p *FilePolicy) openExisting(name string, flags int) (int, error) {
	found, err := find(name, 0)
	if err != nil {
		return -1, p.unlessRefused(name, flags, err)
	}
	defer found.close()
	if !p.allows(found.real, found.stat.Mode, flags) || flags&unix.O_ACCMODE != unix.O_RDONLY && p.keeps(found) {
		return -1, ErrRefused
	}
	return reopen(found.fd, flags)
}

// create makes a new file.
func (p *FilePolicy) create(name string, flags int) (int, error) {
	dir, base := path.Split(name)
	if base == "" || base == "." || base == ".." {
		return -1, p.unlessRefused(name, flags, unix.EISDIR)
	}
	parent, err := find(path.Clean(dir), unix.O_DIRECTORY)
	if err != nil {
		return -1, p.unlessRefused(name, flags, err)
	}
	defer parent.close()
	real := path.Join(parent.real, base)
	if !p.allows(real, unix.S_IFREG, flags) || p.below(real) {
		return -1, ErrRefused
	}
	return unix.Openat(parent.fd, base, flags|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0)
}

// unlessRefused is the error for a file that cannot be found.
func (p *FilePolicy) unlessRefused(name string, flags int, err error) error {
	if errors.Is(err, unix.ENOSYS) || p.allows(path.Clean(name), unix.S_IFREG, flags) {
		return err
	}
	return ErrRefused
}

// allows tells whether a file may be opened with flags.
func (p *FilePolicy) allows(real string, mode uint32, flags int) bool {
	reads, writes := flags&unix.O_ACCMODE != unix.O_WRONLY, flags&unix.O_ACCMODE != unix.O_RDONLY
	return (!reads || suffices(p.Read.cover(real), mode, false)) &&
		(!writes || suffices(p.Write.cover(real), mode, kernelOwn(real)))
}

// suffices tells whether a file may be used that a list covers in this way.
func suffices(c coverage, mode uint32, special bool) bool {
	switch mode & unix.S_IFMT {
	case unix.S_IFCHR, unix.S_IFBLK, unix.S_IFSOCK:
		special = true
	}
	return c == byName || c == byPattern && !special
}

// kernelOwn tells of files through which the kernel is changed.
func kernelOwn(real string) bool {
	return strings.HasPrefix(real, "/proc/") || strings.HasPrefix(real, "/sys/")
}

// keeps tells whether the file is one that is never written, by its name or,
// as a file may have several, by itself.
func (p *FilePolicy) keeps(f *found) bool {
	if p.below(f.real) {
		return true
	}
	for _, name := range p.Keep {
		var st unix.Stat_t
		if unix.Stat(name, &st) == nil && st.Dev == f.stat.Dev && st.Ino == f.stat.Ino {
			return true
		}
	}
	return false
}

// below tells whether a name is one of those kept, or lies below one.
func (p *FilePolicy) below(real string) bool {
	for _, name := range p.Keep {
		name, _ = Root("/").Real(name) // as far as it is there
		if real == name || strings.HasPrefix(real, name+"/") {
			return true
		}
	}
	return false
}

// OpenProgram finds the program that a name leads to, if the list covers it.
// The file can be executed and opened by its descriptor, and is no more than
// that.
func (l *PathList) OpenProgram(name string) (*os.File, error) {
	found, err := find(name, 0)
	switch {
	case err != nil && !errors.Is(err, unix.ENOSYS) && l.cover(path.Clean(name)) == uncovered:
		return nil, ErrRefused
	case err != nil:
		return nil, err
	case l.cover(found.real) == uncovered:
		found.close()
		return nil, ErrRefused
	case found.stat.Mode&unix.S_IFMT != unix.S_IFREG:
		found.close()
		return nil, unix.EACCES
	}
	return os.NewFile(uintptr(found.fd), found.real), nil
}

// found is a file that is known, and not open for anything.
type found struct {
	fd   int // O_PATH
	real string
	stat unix.Stat_t
}

func (f *found) close() { _ = unix.Close(f.fd) }

// find finds a file without opening it, which a device might take as an order.
// The links of /proc that lead to other processes' files are not followed: in
// a mount namespace of its own, which any user can make, a process sees files
// under other names.
func find(name string, flags uint64) (*found, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOSYS) {
		return nil, fmt.Errorf("the policy needs openat2(2), Linux 5.6: %w", err)
	}
	if err != nil {
		return nil, err
	}
	f := &found{fd: fd}
	if err = unix.Fstat(fd, &f.stat); err == nil {
		f.real, err = os.Readlink(Descriptor(fd))
	}
	if err == nil && f.stat.Nlink == 0 { // its name says " (deleted)"
		err = unix.ENOENT
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// reopen opens what find has found.
func reopen(fd, flags int) (int, error) {
	for {
		opened, err := unix.Open(Descriptor(fd), flags, 0)
		if !errors.Is(err, unix.EINTR) {
			return opened, err
		}
	}
}

// Descriptor is the name by which a process reaches a file that it has open.
func Descriptor(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
