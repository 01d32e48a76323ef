package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
)

// sshUserArgs are the arguments of guest-ssh-get-authorized-keys.
type sshUserArgs struct {
	// Username names the user.
	Username string `json:"username"`
}

// sshAddArgs are the arguments of guest-ssh-add-authorized-keys.
type sshAddArgs struct {
	// Username names the user.
	Username string `json:"username"`
	// Keys are the keys to add, each a line of the file.
	Keys []string `json:"keys"`
	// Reset tells to drop all others.
	Reset bool `json:"reset,omitzero"`
}

// sshRemoveArgs are the arguments of guest-ssh-remove-authorized-keys.
type sshRemoveArgs struct {
	// Username names the user.
	Username string `json:"username"`
	// Keys are the keys to remove. One that is not there does no harm.
	Keys []string `json:"keys"`
}

// authorizedKeys is the answer to guest-ssh-get-authorized-keys.
type authorizedKeys struct {
	// Keys are the keys, the last of the file first.
	Keys []string `json:"keys"`
}

// sshGet answers guest-ssh-get-authorized-keys. Lists the keys with which a user
// may log in by ssh, the last of the file first.
func (a *Agent) sshGet(ctx context.Context, args sshUserArgs) (authorizedKeys, error) {
	a.audit(ctx, "guest-ssh-get-authorized-keys called, user: "+clipped(args.Username, maxAudited))
	user, err := a.keyOwner(ctx, args.Username)
	if err != nil {
		return authorizedKeys{}, err
	}
	file, err := a.keysOf(user)
	if home := (noHome{}); errors.As(err, &home) {
		return authorizedKeys{}, notRead(home.file, home.err)
	}
	if err != nil {
		return authorizedKeys{}, err
	}
	defer func() { _ = file.Close() }()
	data, err := file.Read()
	if err != nil {
		return authorizedKeys{}, notRead(file.Name(), err)
	}
	const each = 16 // bytes that Go has for a string besides its text
	lines := bytes.Count(data, []byte("\n")) + 1
	if !shareOf(ctx).holds(len(data) + lines*each) { // a user may have very short lines
		return authorizedKeys{}, errNoRoom
	}
	keys := make([]string, 0, lines)
	for line := range strings.SplitSeq(string(data), "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			keys = append(keys, line)
		}
	}
	slices.Reverse(keys)
	a.outcome(ctx, "%d keys", len(keys))
	return authorizedKeys{Keys: keys}, nil
}

// sshAdd answers guest-ssh-add-authorized-keys. Adds keys with which a user may
// log in by ssh. Symbolic links below the home directory are refused.
func (a *Agent) sshAdd(ctx context.Context, args sshAddArgs) (empty, error) {
	a.audit(ctx, fmt.Sprintf("guest-ssh-add-authorized-keys called, user: %s, keys: %d, reset: %t",
		clipped(args.Username, maxAudited), len(args.Keys), args.Reset))
	for _, key := range args.Keys {
		if strings.HasPrefix(key, "#") || strings.Contains(key, "\n") {
			return empty{}, hushed{fmt.Errorf("invalid OpenSSH public key: '%s'", key), "invalid OpenSSH public key"}
		}
	}
	return empty{}, a.changeKeys(ctx, args.Username, true, func(lines []string) []string {
		if args.Reset {
			lines = nil
		}
		for _, key := range args.Keys {
			if !slices.Contains(lines, key) {
				lines = append(lines, key)
			}
		}
		return lines
	})
}

// sshRemove answers guest-ssh-remove-authorized-keys. Removes keys with which a
// user may log in by ssh.
func (a *Agent) sshRemove(ctx context.Context, args sshRemoveArgs) (empty, error) {
	a.audit(ctx, fmt.Sprintf("guest-ssh-remove-authorized-keys called, user: %s, keys: %d",
		clipped(args.Username, maxAudited), len(args.Keys)))
	return empty{}, a.changeKeys(ctx, args.Username, false, func(lines []string) []string {
		return slices.DeleteFunc(lines, func(line string) bool { return slices.Contains(args.Keys, line) })
	})
}

// changeKeys changes the lines of a user's file, and leaves each with its end:
// qemu-ga leaves the last without. create says to make the file where there is
// none.
func (a *Agent) changeKeys(ctx context.Context, username string, create bool, change func(lines []string) []string) error {
	user, err := a.keyOwner(ctx, username)
	if err != nil {
		return err
	}
	done, err := a.keys.lock(ctx, guest.AuthorizedKeysName(user))
	if err != nil {
		return err
	}
	defer done()
	file, err := a.keysOf(user)
	if home := (noHome{}); errors.As(err, &home) {
		return fmt.Errorf("failed to create directory '%s': %w", path.Dir(home.file), guest.Worded(home.err))
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	data, err := file.Read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return notRead(file.Name(), err)
	}
	if err != nil && !create {
		return nil
	}
	var lines []string
	if text := strings.TrimSuffix(string(data), "\n"); text != "" {
		lines = strings.Split(text, "\n")
	}
	var text strings.Builder
	for _, line := range change(lines) {
		text.WriteString(line)
		text.WriteByte('\n')
	}
	if err := file.Write([]byte(text.String())); err != nil {
		return fmt.Errorf("failed to write to '%s': %w", file.Name(), guest.Worded(err))
	}
	if err := file.LabelError(); err != nil {
		a.log.Warn(fmt.Sprintf("the ssh server may refuse '%s': %v: run restorecon -R on its directory", file.Name(), err))
	}
	return nil
}

// keyOwner finds a user.
func (a *Agent) keyOwner(ctx context.Context, username string) (guest.User, error) {
	user, err := a.root.LookupUser(ctx, username)
	if err != nil {
		return user, fmt.Errorf("failed to lookup user '%s': %w", username, guest.Worded(err))
	}
	return user, nil
}

// keysOf finds a user's file.
func (a *Agent) keysOf(user guest.User) (*guest.AuthorizedKeys, error) {
	file, err := a.root.OpenAuthorizedKeys(user)
	if err != nil {
		return nil, noHome{guest.AuthorizedKeysName(user), err}
	}
	return file, nil
}

// noHome says that the directory cannot be opened in which file would lie.
type noHome struct {
	file string
	err  error
}

func (e noHome) Error() string { return e.file + ": " + guest.Strerror(e.err) }

// notRead says why a file cannot be read, in GLib's words and QEMU's.
func notRead(file string, err error) error {
	problem := "Failed to open file"
	if errors.Is(err, unix.EISDIR) {
		problem = "Error reading file"
	}
	return fmt.Errorf("failed to read '%s': %s “%s”: %w", file, problem, file, guest.Worded(err))
}
