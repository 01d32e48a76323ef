// Package compat compares this agent with QEMU's: the scripts in testdata are
// run against both programs, in the same sandbox, and every reply must be the
// same or differ on purpose. DIFFERENCES.md lists what differs and why.
//
// # To add a script
//
// Put a text file into testdata. Each line is a step; a step's reply is
// compared. Masks, mounts and files of a script end with it.
//
//	# a comment
//	{"execute":"guest-ping"}          a request: any line that begins with {
//	raw "\xff" "["*1025 '{"a":1}'     pieces of bytes in Go's quotes (or plain
//	                                  text in '), each in a write of its own
//	shut PIECES                       the same, then no more is sent: replies
//	                                  until the agent closes the connection
//	abandon PIECES                    the same, but the connection is closed
//	                                  as soon as a reply can be read, unread
//	second PIECES                     the same over a connection of its own,
//	                                  and its first reply
//	close                             closes the connection
//	agent TZ=UTC -b guest-ping        (re)starts the agents, with environment
//	                                  and options
//	kill                              kills the agent; term tells it to end
//	$ cat /w/log                      a shell command's output and status; it
//	                                  has $AGENT, $SOCKET and $STATE
//	file /w/hook 755                  makes a file of the lines that follow
//	| #!/bin/sh                       and begin with |
//	mount ext4 /mnt/x                 makes a filesystem, also with ro
//	freeze /mnt/x                     freezes it behind the agent's back; thaw
//	frozen /mnt/x /mnt/y              tells whether filesystems are frozen
//	mask return[].used-bytes          from here on, only the kind of value is
//	                                  compared; with now, that it is the time;
//	                                  with time or digits, not what is in a text;
//	                                  with ground, disks of the machine are
//	await                             asks guest-exec-status for the program
//	                                  started last until it has ended; in a
//	                                  request its number is written $PID
//
// The directory /w is new for each run of a script. Where replies differ on
// purpose, three lines before the step say so; the name is that of an entry in
// the table of differences, none of which may be without use:
//
//	differs unknown-mountpoint
//	theirs {"return": 0}
//	ours {"error": {"class": "GenericError", "desc": "cannot freeze …"}}
//	{"execute":"guest-fsfreeze-freeze-list","arguments":{"mountpoints":["/x"]}}
//
// # Safety
//
// Both agents run in a freezing ground (package freezetest): namespaces of
// their own, loop devices for disks. They also lack the capabilities to set
// the clock and to reboot, and where processors, memory and sleep states are
// governed there are only files that look so: no script can do the machine
// harm.
package compat
