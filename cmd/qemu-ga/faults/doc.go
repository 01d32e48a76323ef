// Package faults is the table of what can go wrong while a guest is frozen,
// and what comes of it. The faults themselves are tests, done for real to the
// built program (to its processes, its disks, its channel), and where that is
// safe to the C agent beside it:
//
//   - ground: on loop filesystems in a private mount namespace;
//   - guest: in a virtual machine, for what must not be done to this machine:
//     its clock, its memory, its sleep.
//
// To add one, write an entry of the list in the file of its family.
//
// Each of the two packages prints its table at the end, and appends it as
// Markdown to the file that the environment variable FAULTS_TABLE names.
package faults
