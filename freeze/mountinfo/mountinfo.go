// Package mountinfo reads the kernel's mount table.
//
// The format is that of /proc/PID/mountinfo, described in the kernel's
// Documentation/filesystems/proc.rst, section 3.5. It is parsed here and not
// by a library because a table may hold lines longer than any scanner's
// buffer: one container with many overlay layers writes 77 kB, and a parser
// that gives up on that line would stop every freeze of the guest.
package mountinfo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Dev is the device number of a superblock. Filesystems without a block
// device of their own have the major number 0.
type Dev struct {
	Major, Minor uint32
}

// String gives the number as the kernel writes it: "254:1".
func (d Dev) String() string {
	return strconv.FormatUint(uint64(d.Major), 10) + ":" + strconv.FormatUint(uint64(d.Minor), 10)
}

// ParseDev reads a device number as the kernel writes it: "254:1".
func ParseDev(s string) (Dev, error) {
	major, minor, ok := strings.Cut(s, ":")
	if !ok {
		return Dev{}, fmt.Errorf("cannot read device number %q: no colon", s)
	}
	ma, err := strconv.ParseUint(major, 10, 32)
	if err != nil {
		return Dev{}, fmt.Errorf("cannot read device number %q: %w", s, err)
	}
	mi, err := strconv.ParseUint(minor, 10, 32)
	if err != nil {
		return Dev{}, fmt.Errorf("cannot read device number %q: %w", s, err)
	}
	return Dev{Major: uint32(ma), Minor: uint32(mi)}, nil
}

// Mount is one line of the table. Names are as the filesystem has them: the
// kernel's octal escapes are resolved.
type Mount struct {
	// ID is unique among the mounts that exist now; the kernel reuses it.
	ID int
	// Parent is the ID of the mount that this one is mounted on.
	Parent int
	// Dev is the superblock's device number: equal for all mounts of one
	// filesystem, bind mounts and btrfs subvolumes included.
	Dev Dev
	// Root is the directory of the filesystem that the mount shows; "/"
	// unless it is a bind mount or a subvolume.
	Root string
	// Point is where it is mounted, as seen from the reader's root.
	Point string
	// Options are the mount's own options, SuperOptions the superblock's.
	Options, SuperOptions string
	// FSType is the filesystem's type, with its subtype: "fuse.sshfs".
	FSType string
	// Source is what the filesystem said it was mounted from; often a
	// device's path, but any text.
	Source string
}

// HasOption tells whether the mount's own options hold the word name.
func (m Mount) HasOption(name string) bool {
	for word := range strings.SplitSeq(m.Options, ",") {
		if word == name {
			return true
		}
	}
	return false
}

// SuperOption returns the value of NAME=VALUE among the superblock's options.
func (m Mount) SuperOption(name string) (value string, ok bool) {
	for word := range strings.SplitSeq(m.SuperOptions, ",") {
		if key, val, found := strings.Cut(word, "="); found && key == name {
			return val, true
		}
	}
	return "", false
}

// Read parses the table in the file at path, in its order: "/proc/self/mountinfo"
// holds the mounts of the reader's own mount namespace.
func Read(path string) ([]Mount, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the mount table: %w", err)
	}
	defer func() { _ = f.Close() }()
	return Parse(f)
}

// Parse reads a table line by line. A line that does not have the kernel's
// form is an error that quotes it: a mount that is passed over in silence
// would be a filesystem that nobody freezes.
func Parse(r io.Reader) ([]Mount, error) {
	br := bufio.NewReader(r)
	var mounts []Mount
	for {
		line, err := br.ReadString('\n')
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			m, perr := parseLine(line)
			if perr != nil {
				return nil, fmt.Errorf("cannot read line %d of the mount table: %w", len(mounts)+1, perr)
			}
			mounts = append(mounts, m)
		}
		if errors.Is(err, io.EOF) {
			return mounts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the mount table: %w", err)
		}
	}
}

// parseLine takes apart one line:
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// Between the mount's options and the lone dash stand any number of optional
// fields. The kernel escapes blanks in names, so single blanks part the
// fields; the source may be empty.
func parseLine(line string) (Mount, error) {
	head, tail, ok := strings.Cut(line, " - ")
	if !ok {
		return Mount{}, fmt.Errorf("no separator in %q", clip(line))
	}
	left, right := strings.Split(head, " "), strings.Split(tail, " ")
	if len(left) < 6 || len(right) < 3 {
		return Mount{}, fmt.Errorf("too few fields in %q", clip(line))
	}
	id, err := strconv.Atoi(left[0])
	if err != nil {
		return Mount{}, fmt.Errorf("no mount number in %q", clip(line))
	}
	parent, err := strconv.Atoi(left[1])
	if err != nil {
		return Mount{}, fmt.Errorf("no parent number in %q", clip(line))
	}
	dev, err := ParseDev(left[2])
	if err != nil {
		return Mount{}, err
	}
	return Mount{
		ID: id, Parent: parent, Dev: dev,
		Root: unescape(left[3]), Point: unescape(left[4]), Options: left[5],
		FSType: unescape(right[0]), Source: unescape(right[1]), SuperOptions: unescape(right[2]),
	}, nil
}

// clip keeps an error about a long line readable.
func clip(line string) string {
	const most = 120
	if len(line) > most {
		return line[:most] + "…"
	}
	return line
}

// unescape resolves the kernel's \ooo for blank, tab, newline, backslash and
// (in sources) the hash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}
