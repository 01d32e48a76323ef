package freeze

import (
	"context"
	"errors"
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// Trimmed is what a trim did to one filesystem.
type Trimmed struct {
	// Point is the mount point that it was trimmed by.
	Point string
	// Bytes were discarded, in free extents of at least Minimum bytes, which
	// the kernel may have raised.
	Bytes, Minimum uint64
	// Err says why nothing was trimmed: errors.ErrUnsupported where the
	// device or the filesystem cannot.
	Err error
}

// Trim discards the free blocks of every filesystem that is on a disk, those
// mounted last first, as guest-fstrim does. Extents shorter than minimum
// bytes are left. A filesystem that cannot be trimmed does not keep the
// others from it. When ctx ends, the rest is left alone.
func (e *Engine) Trim(ctx context.Context, minimum uint64) ([]Trimmed, error) {
	_, all, err := e.survey()
	if err != nil {
		return nil, err
	}
	var trimmed []Trimmed
	for _, f := range slices.Backward(all) {
		if !f.onDisk() || f.Type == "zfs" {
			continue
		}
		if ctx.Err() != nil {
			return nil, errStopped
		}
		trimmed = append(trimmed, e.trimOne(f, minimum))
	}
	return trimmed, nil
}

func (e *Engine) trimOne(f *filesystem, minimum uint64) Trimmed {
	t, err := openTarget(f)
	if err != nil {
		return Trimmed{Point: f.name(), Err: e.told(err, false)}
	}
	defer func() { _ = t.file.Close() }()
	r := trimRange{length: math.MaxUint64, minimum: minimum}
	err = fitrim(int(t.file.Fd()), &r)
	switch {
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EOPNOTSUPP):
		err = errors.ErrUnsupported
	case err != nil:
		errno, _ := errors.AsType[unix.Errno](err)
		err = e.told(t.refuse(OpTrim, errno), false)
	}
	return Trimmed{Point: t.point, Bytes: r.length, Minimum: r.minimum, Err: err}
}
