package agent

import (
	"context"
	"fmt"
	"time"

	"qemu-ga/freeze"
)

// freezeArgs are the arguments of guest-fsfreeze-freeze.
type freezeArgs struct {
	// Timeout is our own: after so many seconds the filesystems thaw by
	// themselves, instead of the configured time.
	Timeout *int64 `json:"x-timeout,omitzero"`
}

// freezeListArgs are the arguments of guest-fsfreeze-freeze-list.
type freezeListArgs struct {
	// Mountpoints are the filesystems to freeze, each named by any of its
	// mount points; if missing, all are. An empty list freezes nothing.
	Mountpoints *[]string `json:"mountpoints,omitzero"`
	// Timeout is our own: after so many seconds the filesystems thaw by
	// themselves, instead of the configured time.
	Timeout *int64 `json:"x-timeout,omitzero"`
}

// maxTimeout bounds x-timeout, in seconds: a day. Longer is a mistake.
const maxTimeout = 24 * 60 * 60

// freezeStatus answers guest-fsfreeze-status. Tells "frozen" or "thawed". A freeze that ended by itself
// still counts as frozen until the host has been told: KubeVirt would skip the
// thaw of a thawed guest and record the snapshot as good.
func (a *Agent) freezeStatus(context.Context, noArgs) (string, error) {
	switch a.engine.State() {
	case freeze.Frozen, freeze.Expired:
		return "frozen", nil
	default:
		return "thawed", nil
	}
}

// freezeAll answers guest-fsfreeze-freeze. Freezes all filesystems that lie on
// disks, and returns their number. After an error, or 0, nothing is frozen. They
// thaw by themselves after a time ([fsfreeze] timeout in qemu-ga.conf).
func (a *Agent) freezeAll(ctx context.Context, args freezeArgs) (int64, error) {
	return a.freeze(ctx, nil, args.Timeout)
}

// freezeList answers guest-fsfreeze-freeze-list. Freezes the filesystems that
// are named, and returns their number; an unknown name is an error.
func (a *Agent) freezeList(ctx context.Context, args freezeListArgs) (int64, error) {
	var points []string
	if args.Mountpoints != nil {
		points = append([]string{}, *args.Mountpoints...)
	}
	return a.freeze(ctx, points, args.Timeout)
}

func (a *Agent) freeze(ctx context.Context, points []string, timeout *int64) (int64, error) {
	a.announce(ctx, "guest-fsfreeze called")
	req := freeze.Request{Mountpoints: points, By: peerOf(ctx)}
	if timeout != nil {
		if *timeout < 1 || *timeout > maxTimeout {
			return 0, fmt.Errorf("cannot freeze for %d seconds: x-timeout takes 1 to %d", *timeout, maxTimeout)
		}
		req.Timeout = time.Duration(*timeout) * time.Second
	}
	count, err := a.engine.Freeze(ctx, req)
	a.outcome(ctx, "%d filesystems are frozen", count)
	return int64(count), err
}

// thaw answers guest-fsfreeze-thaw. Thaws what was frozen, and returns the
// number of filesystems. The error "fsfreeze is limited to …" says that they had
// thawed before, by themselves: the snapshot may be inconsistent.
func (a *Agent) thaw(ctx context.Context, _ noArgs) (int64, error) {
	a.announce(ctx, "guest-fsthaw called")
	count, err := a.engine.Thaw(ctx)
	a.outcome(ctx, "%d filesystems were thawed", count)
	return int64(count), err
}

// freezeReport answers x-fsfreeze-report. Tells all of the freeze that is
// running, or of the last one. Times are in nanoseconds.
func (a *Agent) freezeReport(context.Context, noArgs) (freeze.Report, error) {
	return a.engine.Report(), nil
}

// freezeCheck answers x-fsfreeze-check. Tells what a freeze would do now, and
// freezes nothing.
func (a *Agent) freezeCheck(context.Context, noArgs) (freeze.Check, error) {
	return a.engine.Check()
}
