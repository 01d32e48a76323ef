package agent

import (
	"context"
	"errors"

	"qemu-ga/agent/guest"
)

// suspendDisk answers guest-suspend-disk. Has the guest write its memory to disk
// and switch itself off.
func (a *Agent) suspendDisk(ctx context.Context, _ noArgs) (empty, error) {
	a.announce(ctx, "guest-suspend-disk called")
	return empty{}, a.suspend(guest.SuspendDisk)
}

// suspendRAM answers guest-suspend-ram. Has the guest sleep until the host wakes
// it.
func (a *Agent) suspendRAM(ctx context.Context, _ noArgs) (empty, error) {
	a.announce(ctx, "guest-suspend-ram called")
	return empty{}, a.suspend(guest.SuspendRAM)
}

// suspendHybrid answers guest-suspend-hybrid. Has the guest write its memory to
// disk, and then sleep until the host wakes it.
func (a *Agent) suspendHybrid(ctx context.Context, _ noArgs) (empty, error) {
	a.announce(ctx, "guest-suspend-hybrid called")
	return empty{}, a.suspend(guest.SuspendHybrid)
}

func (a *Agent) suspend(mode guest.SuspendMode) error {
	err := a.root.Suspend(mode)
	if errors.Is(err, errors.ErrUnsupported) {
		return errors.New("the requested suspend mode is not supported by the guest")
	}
	return err
}
