package guest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
// guest has users: in a directory service, or with systemd-homed. That is given
// up when ctx is done.
func (r Root) LookupUser(ctx context.Context, name string) (User, error) {
	f, err := r.Open("/etc/passwd")
	if err == nil {
		user, ok := findUser(f, name)
		_ = f.Close()
		if ok {
			return user, nil
		}
	}
	if user, ok := findUser(bytes.NewReader(r.getent(ctx, "passwd", name)), name); ok {
		return user, nil
	}
	if err := ctx.Err(); err != nil {
		return User{}, err
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

// getent asks the guest's name services; no answer is nil. One whose server is
// away may take as long as it likes, and is killed when ctx is done.
func (r Root) getent(ctx context.Context, database, key string) []byte {
	file, err := r.lookPath("getent")
	if err != nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, file, "--", database, key)
	cmd.Args[0] = "getent"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) } // and what it has started
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	return out
}
