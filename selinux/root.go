package selinux

import (
	"errors"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// LabelFrom says where a label was found.
type LabelFrom string

// The places.
const (
	// FromFile: the kernel gave the label of the directory.
	FromFile LabelFrom = "file"
	// FromMount: a mount option sets it.
	FromMount LabelFrom = "mount-option"
	// LabelHidden: this domain may not look at the directory.
	LabelHidden LabelFrom = "hidden"
	// LabelGarbled: the kernel gave what is no context.
	LabelGarbled LabelFrom = "garbled"
	// LabelNone: the filesystem gives none.
	LabelNone LabelFrom = "none"
)

// Root is the root directory of a mount, and what came of trying it.
type Root struct {
	// Point is where it is mounted, Device the superblock's number, Type and
	// Source as in the mount table.
	Point  string `json:"mountpoint"`
	Device string `json:"device"`
	Type   string `json:"type"`
	Source string `json:"source"`
	// Label is its context, From where that was found.
	Label Context   `json:"label,omitempty"`
	From  LabelFrom `json:"label-from"`
	// Mode and Owner are those of the directory; Known tells whether it let
	// itself be looked at.
	Mode  uint32 `json:"permissions,omitempty"`
	Owner int    `json:"owner"`
	Known bool   `json:"stat"`
	// Denial is what the kernel refuses.
	Denial Denial `json:"-"`
	// Lacks are the permissions of class dir that the policy denies, as far
	// as the kernel was asked; Asked says whether it was.
	Lacks []string `json:"lacks,omitempty"`
	Asked Asking   `json:"asked"`
}

// Examine looks at the root of a mount that has been tried. fd is the root,
// open, or -1.
func (s *System) Examine(f Facts, m mountinfo.Mount, fd int, d Denial) Root {
	r := Root{
		Point: m.Point, Device: m.Dev.String(), Type: m.FSType, Source: m.Source,
		Denial: d, From: LabelNone, Asked: AskUnavailable,
	}
	if f.Mode != Disabled && f.Mode != NoPolicy {
		s.examineLabel(f, m, fd, &r)
	}
	if r.From == LabelHidden {
		return r // what hides the label hides the rest, with one more line in the audit log
	}
	st, err := s.stat(m.Point, fd)
	if err == nil {
		r.Known, r.Mode, r.Owner = true, st.Mode&0o7777, int(st.Uid)
	}
	return r
}

func (s *System) examineLabel(f Facts, m mountinfo.Mount, fd int, r *Root) {
	text, err := s.label(m.Point, fd)
	switch {
	case err == nil:
		if r.Label, r.From = parseContext(text), FromFile; r.Label == "" {
			r.From = LabelGarbled
		}
	case errors.Is(err, unix.EACCES):
		r.From = LabelHidden
	}
	if r.Label == "" {
		if r.Label = optionLabel(m.SuperOptions); r.Label != "" {
			r.From = FromMount
		}
	}
	if r.Label != "" && f.Asking == AskAllowed {
		r.Lacks, _, err = s.lacks(f.Domain, r.Label, "dir", "read", "open", "ioctl")
		r.Asked = asking(err)
	}
}

// Roots tries the filesystems, each given by all of its mounts, and examines
// of each the first root that may be frozen and thawed, or else its first.
// Nothing is changed, and nothing frozen; filesystems must not be frozen by
// this program either, or an open could wait for ever.
func (s *System) Roots(f Facts, filesystems [][]mountinfo.Mount) []Root {
	var roots []Root
	for _, mounts := range filesystems {
		var first *Root
		for _, m := range mounts {
			r := s.try(f, m)
			if first == nil || r.Denial == (Denial{}) {
				first = &r
			}
			if r.Denial == (Denial{}) {
				break
			}
		}
		if first != nil {
			roots = append(roots, *first)
		}
	}
	return roots
}

// try opens a mount's root, tries it, and examines it.
func (s *System) try(f Facts, m mountinfo.Mount) Root {
	fd, err := unix.Open(m.Point, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		var d Denial
		if errno, ok := errors.AsType[unix.Errno](err); ok && (errno == unix.EACCES || errno == unix.EPERM) {
			d = Denial{OpOpen, errno}
		}
		return s.Examine(f, m, -1, d)
	}
	defer func() { _ = unix.Close(fd) }()
	d := s.Try([]int{fd})[0]
	r := s.Examine(f, m, fd, d)
	if f.Foreign {
		r.Denial = predict(f, r)
	}
	return r
}
