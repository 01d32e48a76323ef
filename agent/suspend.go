package agent

import (
	"context"
	"errors"

	"qemu-ga/agent/guest"
)

// suspendDisk answers guest-suspend-disk.
func (a *Agent) suspendDisk(ctx context.Context, _ noArgs) (empty, error) {
	a.announce(ctx, "guest-suspend-disk called")
	return empty{}, a.suspend(guest.SuspendDisk)
}

// suspendRAM answers guest-suspend-ram.
func (a *Agent) suspendRAM(ctx context.Context, _ noArgs) (empty, error) {
	a.announce(ctx, "guest-suspend-ram called")
	return empty{}, a.suspend(guest.SuspendRAM)
}

// suspendHybrid answers guest-suspend-hybrid.
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
