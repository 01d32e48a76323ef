package agent

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"qemu-ga/agent/qapi"
)

// setUserPasswordArgs are the arguments of guest-set-user-password.
type setUserPasswordArgs struct {
	// Username names the user.
	Username string `json:"username"`
	// Password is the new password.
	Password qapi.Base64 `json:"password"`
	// Crypted tells that it is a hash as crypt(3) makes it.
	Crypted bool `json:"crypted"`
}

// setUserPassword answers guest-set-user-password. Sets a user's password. The guest's chpasswd(8)
// does the work: it knows the system's rules for hashes, and its locks.
func (a *Agent) setUserPassword(ctx context.Context, args setUserPasswordArgs) (empty, error) {
	defer clear(args.Password)
	a.audit(ctx, "guest-set-user-password called, user: "+clipped(args.Username, maxAudited))
	password, _, _ := bytes.Cut(args.Password, []byte{0}) // a C string
	switch {
	case bytes.Contains(password, []byte("\n")):
		return empty{}, errors.New("forbidden characters in raw password")
	case strings.ContainsAny(args.Username, "\n:"):
		return empty{}, errors.New("forbidden characters in username")
	}
	line := make([]byte, 0, len(args.Username)+len(password)+2)
	line = append(append(append(append(line, args.Username...), ':'), password...), '\n')
	defer clear(line)
	var flags []string
	if args.Crypted {
		flags = []string{"-e"}
	}
	if err := a.root.Run("set user password", bytes.NewReader(line), "chpasswd", flags...); err != nil {
		return empty{}, hushed{err, "chpasswd refuses"}
	}
	return empty{}, nil
}
