package guest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// User is an entry of the user database.
type User struct {
	Name     string
	UID, GID int
	// Home is the home directory, as the guest sees it.
	Home string
}

// ErrNoUser says that the guest has no such user.
var ErrNoUser = errors.New("no such user")

// LookupUser finds a user in /etc/passwd, or, by getent(1), where else the
// guest has users: in a directory service, or with systemd-homed.
func (r Root) LookupUser(name string) (User, error) {
	f, err := r.Open("/etc/passwd")
	if err == nil {
		user, ok := findUser(f, name)
		_ = f.Close()
		if ok {
			return user, nil
		}
	}
	if user, ok := findUser(bytes.NewReader(r.getent("passwd", name)), name); ok {
		return user, nil
	}
	return User{}, ErrNoUser
}

// findUser finds a user in a list like /etc/passwd; broken lines and those of
// NIS are passed over:
//
//	debian:x:1000:1000:Debian,,,:/home/debian:/bin/bash
func findUser(rd io.Reader, name string) (User, bool) {
	lines := bufio.NewReader(rd)
	for {
		line, err := lines.ReadString('\n')
		if fields := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(fields) >= 6 && fields[0] == name {
			uid, err := strconv.ParseUint(fields[2], 10, 32)
			gid, err2 := strconv.ParseUint(fields[3], 10, 32)
			if err == nil && err2 == nil && name != "" {
				return User{Name: name, UID: int(uid), GID: int(gid), Home: fields[5]}, true
			}
		}
		if err != nil {
			return User{}, false
		}
	}
}

// getent asks the guest's name services; no answer is nil.
func (r Root) getent(database, key string) []byte {
	file, err := r.lookPath("getent")
	if err != nil {
		return nil
	}
	cmd := &exec.Cmd{
		Path: file, Args: []string{"getent", "--", database, key},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	return out
}
