package guest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

const (
	sshDir   = ".ssh"
	keysFile = "authorized_keys"
	// maxKeysFile bounds the file, in bytes.
	maxKeysFile = 4 << 20
)

// AuthorizedKeys is a user's file of keys for ssh. It lies in directories that
// the user may change at any moment, and the agent is root: so each step is
// taken from a directory that is open, and no symbolic link is followed below
// the user's home.
type AuthorizedKeys struct {
	root  Root
	user  User
	home  int // descriptor
	label error
}

// OpenAuthorizedKeys finds a user's file, which need not exist. The user's
// home must.
func (r Root) OpenAuthorizedKeys(user User) (*AuthorizedKeys, error) {
	if !path.IsAbs(user.Home) {
		return nil, fmt.Errorf("user '%s' has no home directory", user.Name)
	}
	fd, err := r.openHome(user.Home)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: user.Home, Err: err}
	}
	return &AuthorizedKeys{root: r, user: user, home: fd}, nil
}

// LabelError says why Write could not give the file the SELinux label by which
// the ssh server may read it; nil if it has one, or SELinux is off.
func (k *AuthorizedKeys) LabelError() error { return k.label }

// Close gives up what is open.
func (k *AuthorizedKeys) Close() error { return unix.Close(k.home) }

// Name is the file's name, for messages.
func (k *AuthorizedKeys) Name() string { return AuthorizedKeysName(k.user) }

// AuthorizedKeysName is the name of a user's file.
func AuthorizedKeysName(user User) string { return path.Join(user.Home, sshDir, keysFile) }

// Read returns the file's content; fs.ErrNotExist if there is none.
func (k *AuthorizedKeys) Read() ([]byte, error) {
	dir, err := k.openDir()
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(dir) }()
	// A FIFO or device in its place must not make the agent wait.
	fd, err := unix.Openat(dir, keysFile, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, refuseLink(dir, keysFile, err)
	}
	f := os.NewFile(uintptr(fd), k.Name())
	defer func() { _ = f.Close() }()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, unix.EISDIR
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	if len(data) > maxKeysFile {
		return nil, unix.EFBIG
	}
	return data, err
}

// Write replaces the file, which is the user's own then and nobody else's to
// read, and makes the directory if it is missing. At no time is there half a
// file.
func (k *AuthorizedKeys) Write(data []byte) error {
	dir, err := k.makeDir()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }()
	temporary := "." + keysFile + "." + rand.Text()
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, temporary, flags, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), temporary)
	_, err = f.Write(data)
	k.label = errors.Join(k.root.labelForSSH(dir), k.root.labelForSSH(fd))
	err = errors.Join(err, unix.Fchmod(fd, 0o600), k.own(fd), f.Sync(), f.Close())
	if err == nil {
		err = unix.Renameat(dir, temporary, dir, keysFile)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temporary, 0)
	}
	return err
}

// openDir opens the user's directory for ssh.
func (k *AuthorizedKeys) openDir() (int, error) {
	fd, err := unix.Openat(k.home, sshDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	return fd, refuseLink(k.home, sshDir, err)
}

// makeDir opens the directory, and makes it if it is missing.
func (k *AuthorizedKeys) makeDir() (int, error) {
	dir, err := k.openDir()
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := unix.Mkdirat(k.home, sshDir, 0o700); err != nil {
		return -1, fmt.Errorf("failed to create directory '%s': %w", path.Join(k.user.Home, sshDir), Worded(err))
	}
	if dir, err = k.openDir(); err != nil {
		return -1, err
	}
	if err := k.ownNew(dir); err != nil {
		_ = unix.Close(dir)
		return -1, err
	}
	return dir, nil
}

// ownNew gives the directory just made to the user. The user may have put
// another in its place, which must not become the user's by this: only one
// that is the agent's own and empty does.
func (k *AuthorizedKeys) ownNew(dir int) error {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, err := unix.Getdents(dir, buf)
	if err != nil {
		return err
	}
	_, entries, _ := unix.ParseDirent(buf[:n], -1, nil)
	if int(st.Uid) != os.Geteuid() || entries > 0 {
		return errors.New("another directory was put in its place")
	}
	return k.own(dir)
}

// own gives a file to the user, if it is not already.
func (k *AuthorizedKeys) own(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if int(st.Uid) == k.user.UID && int(st.Gid) == k.user.GID {
		return nil
	}
	return unix.Fchown(fd, k.user.UID, k.user.GID)
}

// refuseLink words the error of opening a name where that is a symbolic link.
func refuseLink(dir int, name string, err error) error {
	var st unix.Stat_t
	if err == nil || unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return err
	}
	return errors.New("symbolic links are not followed there")
}
