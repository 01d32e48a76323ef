package agent

import (
	"context"
	"errors"
)

// shutdownArgs are the arguments of guest-shutdown.
type shutdownArgs struct {
	// Mode is "powerdown" (if missing), "halt" or "reboot".
	Mode *string `json:"mode,omitzero"`
}

// shutdown answers guest-shutdown. Shuts the guest down. It runs the guest's program for the mode,
// and shutdown(8) on a guest that has no such program, or whose halt(8) powers off: that of sysvinit.
func (a *Agent) shutdown(ctx context.Context, args shutdownArgs) (empty, error) {
	mode := "powerdown"
	if args.Mode != nil {
		mode = *args.Mode
	}
	a.announce(ctx, "guest-shutdown called, mode: "+clipped(mode, maxAudited))
	var program, flag string
	switch mode {
	case "powerdown":
		program, flag = "/sbin/poweroff", "-P"
	case "halt":
		program, flag = "/sbin/halt", "-H"
	case "reboot":
		program, flag = "/sbin/reboot", "-r"
	default:
		// Texts are part of the protocol; this one ends so in qemu-ga.
		return empty{}, errors.New("mode is invalid (valid values are: halt|powerdown|reboot")
	}
	powersOff := mode == "halt" && a.root.SysVinit()
	if a.root.Executable(program) && !powersOff {
		return empty{}, a.root.Run("shutdown", nil, program)
	}
	return empty{}, a.root.Run("shutdown", nil, "/sbin/shutdown", "-h", flag, "+0", "hypervisor initiated shutdown")
}
