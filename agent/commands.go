package agent

import (
	"context"

	"qemu-ga/agent/qapi"
)

// table has a row for each command, in the order in which qemu-ga lists them;
// ours, which begin with x-, come last.
func table() []*Command {
	return []*Command{
		command("guest-sync-delimited", syncID, instant|frozenToo|delimited|resyncs),
		command("guest-sync", syncID, instant|frozenToo|resyncs),
		command("guest-ping", ping, instant|frozenToo),
		command("guest-get-time", (*Agent).getTime, 0),
		command("guest-info", (*Agent).info, instant|frozenToo),
		command("guest-shutdown", (*Agent).shutdown, silent),
		command("guest-fsfreeze-status", (*Agent).freezeStatus, instant|frozenToo),
		command("guest-fsfreeze-freeze", (*Agent).freezeAll, freezes),
		command("guest-fsfreeze-freeze-list", (*Agent).freezeList, freezes),
		command("guest-fsfreeze-thaw", (*Agent).thaw, frozenToo|thaws),
		command("guest-fstrim", (*Agent).trim, 0),
		command("guest-network-get-interfaces", (*Agent).networkInterfaces, 0),
		command("guest-get-fsinfo", (*Agent).fsInfo, 0),
		command("guest-get-host-name", (*Agent).hostName, 0),
		command("guest-get-users", (*Agent).users, 0),
		command("guest-get-timezone", (*Agent).timezone, 0),
		command("guest-get-osinfo", (*Agent).osInfo, 0),
		command("x-fsfreeze-report", (*Agent).freezeReport, instant|frozenToo),
		command("x-fsfreeze-check", (*Agent).freezeCheck, 0),
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
)

// Command is one row of the table.
type Command struct {
	// Name is the protocol's name for it.
	Name   string
	traits trait
	call   func(a *Agent, ctx context.Context, req qapi.Request) (any, error)
}

func (c *Command) is(t trait) bool { return c.traits&t != 0 }

// command makes a row of a typed handler: A is the struct of its arguments, R
// what it returns.
func command[A, R any](name string, handler func(*Agent, context.Context, A) (R, error), traits trait) *Command {
	return &Command{
		Name: name, traits: traits,
		call: func(a *Agent, ctx context.Context, req qapi.Request) (any, error) {
			var args A
			if err := req.Decode(&args); err != nil {
				return nil, err
			}
			return handler(a, ctx, args)
		},
	}
}

// noArgs is the argument struct of a command that takes none.
type noArgs struct{}

// empty is the return value of a command whose success says nothing: {}.
type empty struct{}
