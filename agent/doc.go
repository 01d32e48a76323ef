// Package agent is QEMU's guest agent: the table of commands, the policy that
// says which may run, and the sessions that serve them over channels.
//
// # To add a command
//
// Add a row to the table in commands.go, a handler with its argument and
// return structs in the file of its family, and a test. The structs are the
// only description of the command: requests are decoded by them, replies
// encoded from them.
//
// # Order
//
// Replies keep the order of requests; clients count on it. Yet a session reads
// ahead, because two requests can overtake the one that is being served:
//
//   - guest-fsfreeze-thaw ends a freeze that is still running. The freeze
//     answers an error, with nothing frozen, and then the thaw answers.
//   - guest-sync and guest-sync-delimited say that the client has given up on
//     what it asked before. The running command gets one second more; then
//     its reply is dropped for good, as it would be taken for another's, and
//     a freeze is rolled back.
//
// # Freezes
//
// A freeze belongs to the guest and not to a connection: every session sees
// the same state. While filesystems are frozen only commands that touch no
// disk are served. The answer to a freeze must reach the host; where it
// cannot, the filesystems are thawed at once.
package agent
