package selinux

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Asking says whether the kernel answers what its policy allows.
type Asking string

// The ways it can be.
const (
	// AskAllowed: it does.
	AskAllowed Asking = "allowed"
	// AskDenied: this domain may not ask.
	AskDenied Asking = "denied"
	// AskReadOnly: selinuxfs is mounted read-only.
	AskReadOnly Asking = "read-only"
	// AskUnavailable: there is nobody to ask.
	AskUnavailable Asking = "unavailable"
	// AskGarbled: the answers are errors or have not the kernel's form, or the
	// policy has not the classes and permissions that are asked for.
	AskGarbled Asking = "garbled"
)

// errGarbled is why an answer is not used.
var errGarbled = errors.New("cannot understand the kernel's answer")

// decision is the kernel's answer to one access query.
type decision struct {
	allowed    uint32 // a bit for each permission
	permissive bool   // the domain is: what is not allowed happens all the same
}

// maxAnswer bounds an answer: selinuxfs gives no more than a page.
const maxAnswer = 4096

// parseDecision reads the answer of selinuxfs's node access: allowed,
// decided, audited when allowed, audited when denied, all in base 16, the
// policy's number, and flags in base 16, of which bit 0 is a permissive
// domain:
//
//	20080013 ffffffff 0 fffffbff 2 0
//
// Kernels before 2.6.32 leave the flags out.
func parseDecision(text string) (decision, error) {
	fields := strings.Fields(strings.TrimRight(text, "\x00\n"))
	if len(text) > maxAnswer || len(fields) != 5 && len(fields) != 6 {
		return decision{}, errGarbled
	}
	allowed, err := strconv.ParseUint(fields[0], 16, 32)
	if err != nil {
		return decision{}, errGarbled
	}
	d := decision{allowed: uint32(allowed)}
	if len(fields) == 6 {
		flags, err := strconv.ParseUint(fields[5], 16, 32)
		if err != nil {
			return decision{}, errGarbled
		}
		d.permissive = flags&1 != 0
	}
	return d, nil
}

// class is a class of the loaded policy: policies number them as they like.
type class struct {
	number int
	perms  map[string]uint32 // each a bit of a decision
}

// class reads a class's numbers.
func (s *System) class(name string) (class, error) {
	dir := s.node("class/" + name)
	number, err := s.number(dir + "/index")
	if err != nil {
		return class{}, err
	}
	perms, err := s.list(dir + "/perms")
	if err != nil {
		return class{}, err
	}
	c := class{number: number, perms: make(map[string]uint32, len(perms))}
	for _, perm := range perms {
		n, err := s.number(dir + "/perms/" + perm)
		if err != nil {
			return class{}, err
		}
		if n < 1 || n > 32 {
			return class{}, fmt.Errorf("permission %s has the number %d: %w", perm, n, errGarbled)
		}
		c.perms[perm] = 1 << (n - 1)
	}
	return c, nil
}

func (s *System) number(path string) (int, error) {
	text, err := s.read(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimRight(string(text), "\n"), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, errGarbled)
	}
	return int(n), nil
}

// lacks asks which of the permissions wanted the domain does not have. The
// query knows nothing of extended permissions: an ioctl that it allows may be
// denied by its number, which the trial finds out.
func (s *System) lacks(domain, target Context, name string, wanted ...string) (missing []string, permissive bool, err error) {
	c, err := s.class(name)
	if err != nil {
		return nil, false, err
	}
	answer, err := s.ask(s.node("access"), fmt.Sprintf("%s %s %d", domain, target, c.number))
	if err != nil {
		return nil, false, err
	}
	d, err := parseDecision(answer)
	if err != nil {
		return nil, false, err
	}
	for _, perm := range wanted {
		bit, ok := c.perms[perm]
		if !ok {
			return nil, false, fmt.Errorf("class %s has no permission %s: %w", name, perm, errGarbled)
		}
		if d.allowed&bit == 0 {
			missing = append(missing, perm)
		}
	}
	return missing, d.permissive, nil
}

// asking tells what a failed query says of later ones.
func asking(err error) Asking {
	switch {
	case err == nil:
		return AskAllowed
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return AskDenied
	case errors.Is(err, unix.EROFS):
		return AskReadOnly
	default:
		return AskGarbled
	}
}

// askNode writes a question to a node of selinuxfs and reads the answer,
// which belongs to the same open file.
func askNode(path, question string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write([]byte(question)); err != nil {
		return "", err
	}
	answer := make([]byte, maxAnswer)
	n, err := f.Read(answer)
	return string(answer[:n]), err
}
