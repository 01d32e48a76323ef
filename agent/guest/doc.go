// Package guest reads the facts of the guest's operating system from its
// files: /proc, /sys, /etc and /run below a [Root]. What the kernel tells only
// by system call (its name, space on a filesystem, network interfaces) is
// asked the same way.
//
// What a host may change is changed by the same files (processors, memory,
// sleep, ssh keys) or by the guest's own programs, found on PATH below the
// Root. The clock alone is no file: a Root that is not the system's refuses to
// set it, so that no test sets that of the machine it runs on.
//
// The package knows nothing of the protocol: it returns plain Go values, and
// the handlers in package agent give them their wire form. A new fact is a
// public method of Root that opens a file, a private function that parses an
// [io.Reader] and shows a sample line, and a captured tree under
// testdata/guests that holds such a file.
//
// Facts are best effort. A device or a session may vanish while it is being
// read, so what cannot be read is left out; an error is returned only where
// there is no answer at all.
package guest
