package guest

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// SuspendMode is a way to suspend a guest: the words that each of those who
// can do it has for it.
type SuspendMode struct {
	// Unit and Verb are systemd's: "systemd-suspend", "suspend".
	Unit, Verb string
	// Query and Program are pm-utils': "--suspend", "pm-suspend".
	Query, Program string
	// State is the kernel's: "mem"; empty if the kernel alone cannot do it.
	State string
}

// The three modes of the protocol.
var (
	SuspendDisk   = SuspendMode{"systemd-hibernate", "hibernate", "--hibernate", "pm-hibernate", "disk"}
	SuspendRAM    = SuspendMode{"systemd-suspend", "suspend", "--suspend", "pm-suspend", "mem"}
	SuspendHybrid = SuspendMode{"systemd-hybrid-sleep", "hybrid-sleep", "--suspend-hybrid", "pm-suspend-hybrid", ""}
)

const powerState = "/sys/power/state"

// Suspend suspends the guest by the first who can: systemd, pm-utils, the
// kernel. It returns after the guest has woken up or, with systemd, when it
// has been told. The error is errors.ErrUnsupported if nobody can.
func (r Root) Suspend(mode SuspendMode) error {
	var failed error
	for _, way := range []func(SuspendMode) error{r.suspendBySystemd, r.suspendByPMUtils, r.suspendByKernel} {
		err := way(mode)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			failed = errors.Join(failed, err)
		}
	}
	if failed == nil {
		return errors.ErrUnsupported
	}
	return failed
}

func (r Root) suspendBySystemd(mode SuspendMode) error {
	// systemctl(1): 1 to 3 say that the unit is there and does not run.
	if status := r.exitStatus("systemctl", "status", mode.Unit); status < 1 || status > 3 {
		return errors.ErrUnsupported
	}
	return r.Run("suspend: systemctl "+mode.Verb, nil, "systemctl", mode.Verb)
}

func (r Root) suspendByPMUtils(mode SuspendMode) error {
	if r.exitStatus("pm-is-supported", mode.Query) != 0 {
		return errors.ErrUnsupported
	}
	return r.Run("suspend: "+mode.Program, nil, mode.Program)
}

func (r Root) suspendByKernel(mode SuspendMode) error {
	states, err := r.firstLine(powerState)
	if mode.State == "" || err != nil || !strings.Contains(states, mode.State) {
		return errors.ErrUnsupported
	}
	if err := r.writeFile(powerState, mode.State); err != nil {
		return fmt.Errorf("suspend: cannot write to '%s': %w", powerState, Worded(err))
	}
	return nil
}

// exitStatus runs a program that only answers by its exit status, -1 if it
// cannot be run.
func (r Root) exitStatus(name string, args ...string) int {
	file, err := r.lookPath(name)
	if err != nil {
		return -1
	}
	cmd := &exec.Cmd{
		Path: file, Args: append([]string{name}, args...),
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	_ = cmd.Run()
	if cmd.ProcessState == nil { // not even started
		return -1
	}
	return cmd.ProcessState.ExitCode()
}
