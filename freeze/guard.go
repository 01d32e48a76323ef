package freeze

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// Guard knows what the kernel's access control would say to a freeze. It is
// handed in, so that this package depends on no security module.
type Guard interface {
	// Try tells for each open directory whether the kernel would let this
	// process freeze and thaw its filesystem, and does neither. The zero
	// Denial is a yes, or no answer.
	Try(fds []int) []Denial
	// Explain says why the kernel refuses, and what to do about it. With
	// frozen, filesystems stand still, and no file on a disk may be touched.
	Explain(refusals []Refusal, frozen bool) Explanation
}

// Op is what the kernel was asked to do.
type Op string

// The operations that it may refuse.
const (
	OpOpen   Op = "open"
	OpFreeze Op = "freeze"
	OpThaw   Op = "thaw"
	OpTrim   Op = "trim"
)

// Denial is what the kernel says no to, and how.
type Denial struct {
	Op    Op
	Errno unix.Errno
}

// Refusal is a filesystem that is refused by every one of its mounts.
type Refusal struct {
	// Mount is the first of them.
	Mount mountinfo.Mount
	// FD is its root, open as long as Explain runs, or -1.
	FD int
	Denial
}

// Explanation is what a Guard has to say.
type Explanation struct {
	// Reasons has a text for each refusal; "" where it knows none.
	Reasons []string
	// Advice says what to do about all of them; "" where it knows nothing.
	Advice string
}

// refusal is the error of a filesystem that cannot be opened, or must not be
// frozen because it could not be frozen or thawed. Its text begins with
// qemu-ga's words.
type refusal struct {
	mount  mountinfo.Mount
	file   *os.File // nil where the open is what is refused
	op     Op
	err    error
	reason string
}

func (r *refusal) Error() string {
	text := r.err.Error()
	if r.reason != "" {
		text += " (" + r.reason + ")"
	}
	return text
}

func (r *refusal) Unwrap() error { return r.err }

// denied tells whether it is access control that refuses.
func (r *refusal) denied() bool { return errors.Is(r.err, unix.EACCES) || errors.Is(r.err, unix.EPERM) }

// admit opens every filesystem by a mount through which the kernel lets it be
// frozen and thawed. The results are aligned: a target, or why there is none.
// advice says what to do about those that are refused. Nothing is changed.
func (e *Engine) admit(all []*filesystem) (targets []target, errs []error, advice string) {
	targets, errs = make([]target, len(all)), make([]error, len(all))
	for i, f := range all {
		targets[i], errs[i] = openTarget(f)
	}
	e.tryAll(targets, errs)
	return targets, errs, e.explain(errs, false)
}

// tryAll takes those out of targets that could be opened, and not be frozen
// and thawed again by any of their mounts.
func (e *Engine) tryAll(targets []target, errs []error) {
	if e.cfg.Guard == nil {
		return
	}
	var open, fds []int
	for i, t := range targets {
		if errs[i] == nil {
			open, fds = append(open, i), append(fds, int(t.file.Fd()))
		}
	}
	for j, d := range e.cfg.Guard.Try(fds) {
		i := open[j]
		if d == (Denial{}) {
			continue
		}
		t, other := e.otherMount(targets[i])
		if other {
			_ = targets[i].file.Close()
			targets[i] = t
			continue
		}
		errs[i] = t.refuse(d.Op, d.Errno)
		targets[i] = target{}
	}
}

// otherMount finds another mount of t's filesystem, whose root has another
// label, by which it can be frozen and thawed.
func (e *Engine) otherMount(t target) (target, bool) {
	for _, m := range t.Mounts {
		if m.Point == t.point {
			continue
		}
		file, err := openMount(m, t.filesystem)
		if err != nil {
			continue
		}
		if e.cfg.Guard.Try([]int{int(file.Fd())})[0] == (Denial{}) {
			return target{filesystem: t.filesystem, file: file, point: m.Point}, true
		}
		_ = file.Close()
	}
	return t, false
}

// mount is the one that t was opened by.
func (t target) mount() mountinfo.Mount {
	for _, m := range t.Mounts {
		if m.Point == t.point {
			return m
		}
	}
	return t.Mounts[0]
}

// explain gives the refusals among errs their reasons, and returns the advice
// for all of them.
func (e *Engine) explain(errs []error, frozen bool) string {
	var refused []*refusal
	var told []Refusal
	for _, err := range errs {
		r, ok := errors.AsType[*refusal](err)
		if !ok || !r.denied() {
			continue
		}
		refused = append(refused, r)
		one := Refusal{Mount: r.mount, FD: -1, Denial: Denial{Op: r.op}}
		one.Errno, _ = errors.AsType[unix.Errno](r.err)
		if r.file != nil {
			one.FD = int(r.file.Fd())
		}
		told = append(told, one)
	}
	if e.cfg.Guard == nil || len(told) == 0 {
		return ""
	}
	x := e.cfg.Guard.Explain(told, frozen)
	for i, r := range refused {
		r.reason = x.Reasons[i]
	}
	return x.Advice
}

// explained is the text of a refusal of the whole, with what to do about it.
func explained(text, advice string) string {
	if advice != "" {
		text += ". " + advice
	}
	return text
}

// refuseAll is the error of everything that is refused, with what to do about
// it; nil if nothing is. Its text begins with prefix.
func (e *Engine) refuseAll(prefix string, errs []error, frozen bool) error {
	advice := e.explain(errs, frozen)
	return refuseWith(prefix, errs, advice)
}

func refuseWith(prefix string, errs []error, advice string) error {
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	if len(texts) == 0 {
		return nil
	}
	return errors.New(prefix + explained(strings.Join(texts, "; "), advice))
}

// refuse is the refusal of an ioctl on t, in qemu-ga's words.
func (t target) refuse(op Op, errno unix.Errno) error {
	err := fmt.Errorf("failed to %s %s: %w", op, t.point, spelled{errno})
	if op == OpTrim {
		err = fmt.Errorf("failed to trim: %w", spelled{errno})
	}
	return &refusal{mount: t.mount(), file: t.file, op: op, err: err}
}

// told is a refusal with its reason, and what to do about it.
func (e *Engine) told(err error, frozen bool) error {
	return e.refuseAll("", []error{err}, frozen)
}

// releaseAll closes what refusals hold open.
func releaseAll(errs []error) {
	for _, err := range errs {
		if r, ok := errors.AsType[*refusal](err); ok {
			_ = r.file.Close() // nil is no file
		}
	}
}
