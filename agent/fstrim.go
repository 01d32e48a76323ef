package agent

import (
	"context"
	"errors"
)

// trimArgs are the arguments of guest-fstrim.
type trimArgs struct {
	// Minimum is the shortest run of free bytes that is worth discarding;
	// if missing, 0. Negative numbers wrap, as in qemu-ga.
	Minimum int64 `json:"minimum,omitzero"`
}

// trimResponse is the answer to guest-fstrim.
type trimResponse struct {
	// Paths has an entry for each filesystem.
	Paths []trimResult `json:"paths"`
}

// trimResult is what became of one filesystem.
type trimResult struct {
	// Path is where it is mounted.
	Path string `json:"path"`
	// Trimmed is how many bytes were discarded; missing with Error.
	Trimmed *int64 `json:"trimmed,omitzero"`
	// Minimum is the shortest run that was discarded, by the kernel's count;
	// missing with Error.
	Minimum *int64 `json:"minimum,omitzero"`
	// Error says why nothing was.
	Error string `json:"error,omitzero"`
}

// trim answers guest-fstrim. Tells the disks, and so the host, which blocks the
// filesystems do not use.
func (a *Agent) trim(ctx context.Context, args trimArgs) (trimResponse, error) {
	a.audit(ctx, "guest-fstrim called")
	trimmed, err := a.engine.Trim(ctx, uint64(args.Minimum))
	if err != nil {
		return trimResponse{}, err
	}
	var r trimResponse
	for _, t := range trimmed {
		one := trimResult{Path: t.Point}
		switch {
		case errors.Is(t.Err, errors.ErrUnsupported):
			one.Error = "trim not supported"
		case t.Err != nil:
			one.Error = t.Err.Error()
		default:
			bytes, minimum := int64(t.Bytes), int64(t.Minimum)
			one.Trimmed, one.Minimum = &bytes, &minimum
		}
		r.Paths = append(r.Paths, one)
	}
	a.outcome(ctx, "%d filesystems were asked", len(r.Paths))
	return r, nil
}
