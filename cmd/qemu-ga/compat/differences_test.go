package compat_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write DIFFERENCES.md anew")

// difference is something that is not as in QEMU's agent, on purpose.
type difference struct {
	name string // by which scripts and rules refer to it
	// what it is about, what their program does, what ours does, and why.
	what, theirs, ours, why string
}

// differences are all there are: anything else that differs is a fault.
var differences = []difference{
	// Freezing.
	{
		"unknown-mountpoint", "`guest-fsfreeze-freeze-list` with a name that is no mount point",
		"leaves it out and freezes the rest, or nothing", "an error that names it; nothing is frozen",
		"the host would take a snapshot of a filesystem that it believes to be frozen",
	},
	{
		"mountpoint-names", "`guest-fsfreeze-freeze-list` with a bind mount, a volume, or a slash at the end",
		"knows a filesystem only by its first mount point, spelt exactly", "knows it by any of its mount points",
		"the same",
	},
	{
		"foreign-freeze", "a filesystem that another program has frozen", "thawed by `guest-fsfreeze-thaw`, and counted",
		"left as it is", "LVM and administrators freeze, too, and count on it",
	},
	{
		"foreign-thaw", "a filesystem that another program thaws during our freeze", "`guest-fsfreeze-thaw` counts the rest",
		"`guest-fsfreeze-thaw` answers an error that names it", "the snapshot may be inconsistent, and the host has to know",
	},
	{
		"thaw-overtakes", "`guest-fsfreeze-thaw` behind a freeze that is still running", "waits for it",
		"ends the freeze, which answers an error", "a host that has given up must not wait for what it no longer wants",
	},
	{
		"sync-overtakes", "`guest-sync` behind a command that is still running", "waits for it",
		"is answered after a second; the command's own answer is dropped, a freeze rolled back",
		"this is what hosts do after a time-out; a hung command must not make the agent deaf",
	},
	{
		"term-thaws", "SIGTERM while filesystems are frozen", "ignored and forgotten",
		"the agent thaws and ends; the thaw after its restart answers an error",
		"a guest that shuts down would hang",
	},
	{
		"restart-thaws", "the agent is killed while filesystems are frozen",
		"they stay frozen until it is started again and told to thaw",
		"they are thawed at once; `guest-fsfreeze-status` stays `frozen` until a thaw has answered an error",
		"nobody may be there to start it again; and the host has to know",
	},
	{
		"hook-pairs", "the hook fails with `freeze`", "is not called again", "is called with `thaw`",
		"what it had begun is undone",
	},
	{
		"hook-idle", "a freeze of no filesystem, or a thaw when nothing is frozen", "the hook is called",
		"the hook is not called", "a hook is called in pairs, around a freeze",
	},
	{
		"hook-directory", "`-F` with a directory, or a file that is not there beside a directory of its name with `.d`",
		"cannot execute it", "runs the scripts in it", "each has its own limit and its own error, and none is forgotten at the thaw",
	},
	{
		"hook-trust", "a hook that others than root can write to", "is run as root", "is an error that says so",
		"anybody could become root",
	},
	{
		"hidden-trim", "`guest-fstrim` with a filesystem hidden under another mount", "trims the other one twice",
		"says that it is hidden", "it cannot be reached by its name",
	},
	{
		"frozen-reason", "a command that is refused while filesystems are frozen",
		"`Command C has been disabled: the command is not allowed`",
		"the same, and `: the agent is in frozen state`",
		"qemu-ga gave this reason up to version 9.0; some hosts look for the one text, some for the other, and people want to know",
	},
	// Other commands.
	{
		"list-order", "`guest-get-vcpus`, `guest-get-memory-blocks`, `guest-get-disks`, `guest-network-get-interfaces`",
		"in the order of a directory, or of the kernel",
		"sorted; of network interfaces devices first, the loopback last (`--network-order=kernel`: as the kernel has them)",
		"the same guest gives the same answer, and hosts take the first interface for the guest's",
	},
	{
		"hidden-sizes", "the sizes that `guest-get-fsinfo` tells of a filesystem hidden under another mount",
		"those of the other one", "none",
		"they are not its own; where it has another mount that can be seen, that one is told",
	},
	{
		"memory-unplugged", "a block of memory whose state cannot be read", "is online, and can be taken online",
		"is left out, and cannot", "it is being unplugged",
	},
	{
		"suspend-fails", "a program to suspend that fails", "`unknown guest suspend mode`, or no answer at all",
		"an error that names the program", "the host would wait for a guest that sleeps",
	},
	{
		"stale-errno", "`guest-set-time` out of range", "adds the words of an earlier error", "says `Invalid time`",
		"a fault of theirs",
	},
	{
		"route-sign", "numbers of `guest-network-get-route` with the highest bit set", "negative", "as they are",
		"a fault of theirs",
	},
	{
		"exec-pid", "`guest-exec-status` of an unknown program", "says `PID ld does not exist`", "says its number",
		"a fault of theirs",
	},
	{
		"exec-limit", "the output of a program that `guest-exec-status` returns", "up to 16 MiB of each stream",
		"up to 7 MiB, half of it each where both are captured apart (`--exec-output-limit`)",
		"libvirt ends its connection to an agent whose reply is longer than 10 MiB",
	},
	{
		"pipe-read", "`guest-file-read` of a pipe that has fewer bytes than are asked for", "an error; the bytes are lost",
		"returns them", "a fault of theirs",
	},
	{
		"read-limit", "`guest-file-read` of more than 7 MiB", "returns up to 48 MiB",
		"returns 7 MiB, with `eof` false; the next call returns more (`--file-read-limit`)", "the same",
	},
	{
		"ssh-no-user", "the commands for keys with a user who does not exist", "`failed to lookup user 'U': Success`",
		"`failed to lookup user 'U': No such user`", "a fault of theirs",
	},
	{
		"ssh-links", "`.ssh` or `authorized_keys` that is a symbolic link", "is followed, or replaced", "is an error",
		"the user can make one that leads to another's files, and the agent is root",
	},
	{
		"ssh-unreadable", "a change of keys where there is something else in the place of `.ssh` or `authorized_keys`",
		"nothing to remove, or an error of what is tried then", "the error of reading",
		"a key that could not be looked for is not removed",
	},
	{
		"ssh-line-end", "the end of `authorized_keys` after a change", "lacks its line end", "has its line end",
		"other programs append to the file",
	},
	// Connections.
	{
		"second-host", "a second connection to the socket", "waits until the first is closed", "is served",
		"one that hangs would lock out all others",
	},
	{
		"half-requests", "half a request at the end of a connection", "is put before the next host's requests",
		"is dropped", "a host could not know what another one left behind",
	},
	{
		"unread-reply", "a connection closed with a reply unread", "the agent ends", "the agent lives",
		"a fault of theirs",
	},
	{
		"socket-mode", "the mode of a socket that the agent makes, and who is served there", "that of the umask; everybody",
		"600; root and the agent's own user (`--unix-allow-uids`)", "whoever may connect is root",
	},
	{
		"socket-taken", "a socket path on which an agent listens", "is taken away from it",
		"is an error", "the first agent would be deaf without knowing",
	},
	// Words and numbers.
	{
		"json-position", "LINE:COL in what is said of bad JSON", "counts from the start of the agent, and one too far behind a number, a word or a fault",
		"counts from the start of the connection", "that is what a host can count",
	},
	{
		"json-words", "the escape that is quoted when `\\u` lacks digits", "has what stands behind it",
		"ends with the text", "the words of syntax errors are for people",
	},
	{
		"json-infinity", "an `id` beyond the range of floating point", "comes back as `inf`, which is not JSON",
		"comes back as `1e999`", "the reply stays readable",
	},
	{
		"long-host-name", "a host name of 64 characters", "an error", "the name", "a fault of theirs",
	},
	{
		"localtime-file", "`/etc/localtime` that is a file and no link", "UTC, without `/etc/timezone`", "the file's zone",
		"it is what everything else in the guest goes by",
	},
	{"version", "the version", "its own", "that of the protocol", "hosts compare it with that of QEMU"},
	{
		"own-commands", "`guest-info` and `-b help`", "", "also list the commands that begin with `x-`",
		"they are explained in the README",
	},
	{
		"own-arguments", "`x-timeout` of the commands that freeze", "unknown", "the longest time to stay frozen",
		"explained in the README",
	},
	// The command line.
	{"own-options", "options of our own, and `--blacklist` of older versions", "unknown", "understood", "explained by `--help`"},
	{"help-text", "`--help`", "its text", "ours", "it has more to explain"},
	{"option-errors", "a bad option", "two lines on standard error and one on standard output", "one line on standard error", "a fault of theirs"},
	{"dump-order", "lists in the output of `-D`", "reversed", "in the order given", "a fault of theirs"},
}

// onDisks are those that take disks which the ground has not: TestVMDisks of
// package main compares there.
var onDisks = []difference{
	{
		"scsi-target", "the target of a disk of a virtio-scsi controller on PCI", "0", "the target",
		"libvirt takes the disk for another, or finds none, where disks have targets of their own",
	},
	{
		"btrfs-disks", "the disks of a btrfs over several", "the one that the mount table names", "all",
		"a snapshot of one of them is no snapshot of the filesystem; of LVM and md all are told as well",
	},
}

const header = `# Where this agent differs from QEMU's

Made by the tests of this directory, which run the same requests against both
programs: every other reply is the same. Change the table in
differences_test.go and run "go test ./cmd/qemu-ga/compat -update".

` + columns

const columns = `| | qemu-ga 11.1 | this agent | why |
|---|---|---|---|
`

const disksHeader = `
Where disks are takes a guest that has some. TestVMDisks of the directory above
compares ` + "`guest-get-fsinfo` and `guest-get-disks`" + ` in one with 16 disks on
seven kinds of controllers:

` + columns

// differencesFile has the table for readers.
const differencesFile = "DIFFERENCES.md"

// TestDifferencesFile says that the table for readers is this one.
func TestDifferencesFile(t *testing.T) {
	var b strings.Builder
	b.WriteString(header)
	rows := func(list []difference) {
		for _, d := range list {
			fmt.Fprintf(&b, "| **%s** | %s | %s | %s |\n", d.what, d.theirs, d.ours, d.why)
		}
	}
	rows(differences)
	b.WriteString(disksHeader)
	rows(onDisks)
	if *update {
		require.NoError(t, os.WriteFile(differencesFile, []byte(b.String()), 0o644))
	}
	data, err := os.ReadFile(differencesFile)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(data), "run the test with -update")
}
