package agent

import (
	"context"
	"reflect"

	"qemu-ga/agent/qapi"
	"qemu-ga/selinux"
)

// Table returns the rows of the command table.
func Table() []*Command { return table() }

// table has a row for each command, in the order in which qemu-ga lists them;
// ours, which begin with x-, come last.
func table() []*Command {
	return []*Command{
		command("guest-sync-delimited", syncID, instant|frozenToo|delimited|resyncs),
		command("guest-sync", syncID, instant|frozenToo|resyncs),
		command("guest-ping", ping, instant|frozenToo),
		command("guest-get-time", (*Agent).getTime, 0),
		command("guest-set-time", (*Agent).setTime, privileged, selinux.NeedClock),
		command("guest-info", (*Agent).info, instant|frozenToo),
		command("guest-shutdown", (*Agent).shutdown, silent|privileged, selinux.NeedPower),
		command("guest-file-open", (*Agent).fileOpen, privileged, selinux.NeedFiles),
		command("guest-file-close", (*Agent).fileClose, privileged),
		command("guest-file-read", (*Agent).fileRead, bulky, selinux.NeedFiles),
		command("guest-file-write", (*Agent).fileWrite, 0, selinux.NeedFiles),
		command("guest-file-seek", (*Agent).fileSeek, 0),
		command("guest-file-flush", (*Agent).fileFlush, 0),
		command("guest-fsfreeze-status", (*Agent).freezeStatus, instant|frozenToo),
		command("guest-fsfreeze-freeze", (*Agent).freezeAll, freezes|privileged, selinux.NeedFreeze),
		command("guest-fsfreeze-freeze-list", (*Agent).freezeList, freezes|privileged, selinux.NeedFreeze),
		command("guest-fsfreeze-thaw", (*Agent).thaw, frozenToo|thaws|privileged, selinux.NeedFreeze),
		command("guest-fstrim", (*Agent).trim, privileged),
		command("guest-suspend-disk", (*Agent).suspendDisk, silent|privileged, selinux.NeedHibernation),
		command("guest-suspend-ram", (*Agent).suspendRAM, silent|privileged, selinux.NeedPower),
		command("guest-suspend-hybrid", (*Agent).suspendHybrid, silent|privileged, selinux.NeedPower),
		command("guest-network-get-interfaces", (*Agent).networkInterfaces, 0),
		command("guest-get-vcpus", (*Agent).vcpus, 0),
		command("guest-set-vcpus", (*Agent).setVCPUs, privileged, selinux.NeedSysfs),
		command("guest-get-disks", (*Agent).disks, 0),
		command("guest-get-fsinfo", (*Agent).fsInfo, 0),
		command("guest-set-user-password", (*Agent).setUserPassword, privileged, selinux.NeedPassword),
		command("guest-get-memory-blocks", (*Agent).memoryBlocks, 0),
		command("guest-set-memory-blocks", (*Agent).setMemoryBlocks, privileged, selinux.NeedSysfs),
		command("guest-get-memory-block-info", (*Agent).memoryBlockInfo, 0),
		command("guest-exec-status", (*Agent).execStatus, instant|bulky|privileged),
		command("guest-exec", (*Agent).exec, privileged, selinux.NeedPrograms),
		command("guest-get-host-name", (*Agent).hostName, 0),
		command("guest-get-users", (*Agent).users, 0),
		command("guest-get-timezone", (*Agent).timezone, 0),
		command("guest-get-osinfo", (*Agent).osInfo, 0),
		command("guest-ssh-get-authorized-keys", (*Agent).sshGet, bulky|privileged, selinux.NeedKeys),
		command("guest-ssh-add-authorized-keys", (*Agent).sshAdd, privileged, selinux.NeedKeys),
		command("guest-ssh-remove-authorized-keys", (*Agent).sshRemove, privileged, selinux.NeedKeys),
		command("guest-get-diskstats", (*Agent).diskStats, 0),
		command("guest-get-cpustats", (*Agent).cpuStats, 0),
		command("guest-get-load", (*Agent).loadAverage, 0),
		command("guest-network-get-route", (*Agent).networkRoutes, 0),
		command("x-fsfreeze-report", (*Agent).freezeReport, instant|frozenToo),
		command("x-fsfreeze-check", (*Agent).freezeCheck, 0),
		command("x-selinux-status", (*Agent).selinuxStatus, 0),
	}
}

// Commands lists the names of all commands, in the order of the table.
func Commands() []string {
	var names []string
	for _, c := range table() {
		names = append(names, c.Name)
	}
	return names
}

// trait is what a session has to know of a command.
type trait uint16

const (
	// instant: it neither waits nor touches a disk, and is served without a
	// goroutine of its own.
	instant trait = 1 << iota
	// frozenToo: it is served while filesystems are frozen, whatever the
	// allow and block lists say, as in qemu-ga.
	frozenToo
	// silent: success has no reply.
	silent
	// delimited: its reply follows a byte 0xFF.
	delimited
	// resyncs: it says that the client gave up on earlier requests.
	resyncs
	// freezes: it freezes filesystems; its reply must arrive.
	freezes
	// thaws: it ends a freeze that is running.
	thaws
	// bulky: its reply may be large, and has a share of the memory for such.
	bulky
	// privileged: it changes the guest, or shows what is not for everybody;
	// the log tells of it.
	privileged
)

// Command is one row of the table.
type Command struct {
	// Name is the protocol's name for it.
	Name   string
	traits trait
	// Needs is what SELinux must allow beyond what it allows every agent.
	Needs selinux.Need
	// Args and Returns are the struct of its arguments and what it returns, as
	// package qapi decodes and encodes them.
	Args, Returns reflect.Type
	call          func(a *Agent, ctx context.Context, req qapi.Request) (any, error)
}

func (c *Command) is(t trait) bool { return c.traits&t != 0 }

// WhileFrozen tells whether it is served while filesystems are frozen.
func (c *Command) WhileFrozen() bool { return c.is(frozenToo) }

// Silent tells whether its success has no reply.
func (c *Command) Silent() bool { return c.is(silent) }

// Delimited tells whether its reply follows a byte 0xFF.
func (c *Command) Delimited() bool { return c.is(delimited) }

// Audited tells whether the log has a line for each call.
func (c *Command) Audited() bool { return c.is(privileged) }

// command makes a row of a typed handler: A is the struct of its arguments, R
// what it returns. The last column is what SELinux must allow.
func command[A, R any](name string, handler func(*Agent, context.Context, A) (R, error), traits trait, needs ...selinux.Need) *Command {
	return &Command{
		Name: name, traits: traits, Needs: need(needs),
		Args: reflect.TypeFor[A](), Returns: reflect.TypeFor[R](),
		call: func(a *Agent, ctx context.Context, req qapi.Request) (any, error) {
			var args A
			if err := req.Decode(&args); err != nil {
				if f, ok := any(args).(forehand); ok && err == error(qapi.ErrBase64) { //nolint:errorlint // never wrapped
					return nil, f.first(a, err)
				}
				if traits&privileged != 0 {
					a.tellRefused(ctx, name, hushed{err, "its arguments are wrong"})
				}
				return nil, err
			}
			if traits&privileged == 0 {
				return handler(a, ctx, args)
			}
			return audited(a, ctx, name, func(ctx context.Context) (R, error) { return handler(a, ctx, args) })
		},
	}
}

// forehand is implemented by arguments of which QEMU's agent finds another
// fault before that of the Base64 text among them, which is decoded here with
// all the rest. first returns that fault, or err.
type forehand interface {
	first(a *Agent, err error) error
}

// need is the one that a row names, if any.
func need(named []selinux.Need) selinux.Need {
	if len(named) == 0 {
		return selinux.NeedNothing
	}
	return named[0]
}

// noArgs is the argument struct of a command that takes none.
type noArgs struct{}

// empty is the return value of a command whose success says nothing: {}.
type empty struct{}
