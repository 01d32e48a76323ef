package main

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"qemu-ga/agent"
	"qemu-ga/agent/channel"
	"qemu-ga/freeze"
)

// dropCapabilities gives up what no command needs that a host may ask for. If
// that fails, which an SELinux policy may cause, the agent runs all the same:
// the commands are disabled one way or the other.
//
// Nothing may be under way that changes a thread's capabilities.
func dropCapabilities(a *agent.Agent, engine *freeze.Engine, o options, restored bool, logger *slog.Logger) {
	needed, all := neededCapabilities(a, engine, o, restored)
	if all {
		return
	}
	if err := keepCapabilities(needed); err != nil {
		logger.Warn(err.Error())
		return
	}
	logger.Info(fmt.Sprintf("all capabilities are given up but those of the numbers %v: a hook that is added needs a restart", needed))
}

// neededCapabilities returns the capabilities that the agent may still need
// once its channel is open; all says that these may be any.
func neededCapabilities(a *agent.Agent, engine *freeze.Engine, o options, restored bool) (needed []agent.Capability, all bool) {
	needed, all = a.Capabilities()
	freezes := false
	for _, c := range needed {
		freezes = freezes || c == unix.CAP_SYS_ADMIN
	}
	switch {
	case all, freezes && engine.Hooked():
		return nil, true // what a hook needs is not ours to know
	case !restored:
		needed = append(needed, agent.FreezeCapabilities()...)
	}
	if o.method == channel.VsockListen && (o.retry || o.cloudInit != 0) {
		needed = append(needed, unix.CAP_NET_BIND_SERVICE) // for ports below 1024
	}
	return needed, false
}

// keepCapabilities gives up all capabilities but those given, for good: this
// process has no others any more, nor does any program that it starts. The
// user stays root, to whom the files of the system belong.
func keepCapabilities(keep []agent.Capability) error {
	var set uint64
	for _, c := range keep {
		set |= 1 << c
	}
	last, err := lastCapability()
	if err != nil {
		return fmt.Errorf("cannot give up capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var now [2]unix.CapUserData
	if err := unix.Capget(&header, &now[0]); err != nil {
		return fmt.Errorf("cannot give up capabilities: capget: %w", err)
	}
	// A service manager may have taken some away already.
	set &= uint64(now[0].Permitted) | uint64(now[1].Permitted)<<32
	bounded := dropBounds(last, set)
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("cannot give up capabilities: prctl: %w", errno)
	}
	if err := setCapabilities(header, set); err != nil {
		return err
	}
	return bounded
}

// dropBounds keeps programs from getting other capabilities than those of set,
// whoever starts them.
func dropBounds(last int, set uint64) error {
	for c := range last + 1 {
		if set>>c&1 == 1 {
			continue
		}
		if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0); errno != 0 {
			return fmt.Errorf("cannot give up capability %d for the programs that the agent starts: %w: it needs CAP_SETPCAP, and an SELinux policy that allows it", c, errno)
		}
	}
	return nil
}

// lastCapability is the highest number of one that the kernel knows.
func lastCapability() (int, error) {
	text, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 6)
	return int(n), err
}
