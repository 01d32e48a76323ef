// Package control is what the host and the init program of a test guest say
// to each other: one JSON object a line, over a virtio-serial port of its own,
// so that it keeps working while every filesystem of the guest is frozen.
package control

import "encoding/json"

// Port is the name of the virtio-serial port of the conversation.
const Port = "org.qemu-ga.control"

// Boot is where the host leaves the guest's BootConfig in the initramfs.
const Boot = "/etc/boot.json"

// BootConfig is what init does before it answers the first call.
type BootConfig struct {
	// Modules are the kernel modules to load, in this order.
	Modules []string
	// Root is the serial number of the disk that has the guest's system. If it
	// is not empty, init starts the system's own init from there, and answers
	// calls as a process of that system.
	Root string
	// Init is a program of the initramfs and its arguments. If there is one,
	// it becomes process 1, and the calls are answered beside it.
	Init []string
}

// Files is where the initramfs has the files to be put into the system on the
// disk named by BootConfig.Root, when that boots for the first time.
const Files = "/files"

// Daemon is the name under which the program is started that answers calls
// beside an init that is not ours. By the "@", systemd lets it live until the
// guest is off.
const Daemon = "@control"

// The methods, each with its arguments and its result.
const (
	MethodRun         = "run"          // Run → Ran
	MethodStart       = "start"        // Start → Started
	MethodSignal      = "signal"       // Signal → nothing
	MethodWait        = "wait"         // Wait → Waited
	MethodDisk        = "disk"         // Disk → Found
	MethodAccepts     = "accepts"      // Accepts → []Accepted
	MethodWriterStart = "writer-start" // Writer → nothing
	MethodWriterStats = "writer-stats" // Named → WriterStats
	MethodWriterStop  = "writer-stop"  // Named → WriterStats, with its writes
	MethodVsock       = "vsock"        // Vsock → VsockReply

	MethodVsockRelease = "vsock-release" // nothing → int, how many were held
	MethodPut          = "put"           // File → nothing
	MethodGet          = "get"           // Path → File
)

// Request is one call. Calls run side by side; a reply carries its call's ID.
type Request struct {
	ID     int
	Method string
	Args   json.RawMessage
}

// Response ends the call with the same ID.
type Response struct {
	ID     int
	Error  string          `json:",omitempty"`
	Result json.RawMessage `json:",omitempty"`
}

// Run runs a program to its end.
type Run struct {
	Argv      []string
	TimeoutMS int
}

// Ran is how a program ended.
type Ran struct {
	Status int
	// Output is all it wrote, Stdout what it wrote to its standard output
	// alone.
	Output   string
	Stdout   string
	TimedOut bool
}

// Start starts a program that runs on, under a name.
type Start struct {
	Name string
	Argv []string
	Env  []string
}

// Started tells a started program's process.
type Started struct {
	PID int
}

// Signal sends a signal to a started program.
type Signal struct {
	Name   string
	Signal int
}

// Wait waits for the end of a started program.
type Wait struct {
	Name      string
	TimeoutMS int
}

// Waited tells how a started program ended and what it wrote, if it still
// runs what it wrote so far.
type Waited struct {
	Running bool
	Status  string
	Output  string
}

// Disk asks for the disk with a serial number, as soon as the kernel has it.
type Disk struct {
	Serial    string
	TimeoutMS int
}

// Found names a device file.
type Found struct {
	Path string
}

// Accepts asks which filesystems take a write: the only honest test of
// whether one is frozen.
type Accepts struct {
	Paths     []string
	TimeoutMS int
}

// Accepted tells of one filesystem whether a file was written and synced in
// time, and how long that took.
type Accepted struct {
	Path    string
	OK      bool
	Error   string
	TookMS  float64
	Blocked bool
}

// Writer appends to a file over and over.
type Writer struct {
	Name string
	Path string
	// PauseMS is the time between two writes.
	PauseMS int
	// Buffered leaves out the fsync after each write.
	Buffered bool
}

// Named names a writer.
type Named struct {
	Name string
}

// WriterStats is what a writer has done so far.
type WriterStats struct {
	// Count is the number of finished writes.
	Count int
	// InFlightMS is for how long the write under way has been so: it grows
	// while the filesystem is frozen.
	InFlightMS float64
	// WorstMS is the longest a finished write took.
	WorstMS float64
	// Error is why the writer gave up.
	Error string
	// Writes are all finished writes, told when the writer is stopped.
	Writes []Write
}

// Write is one write and its fsync, in milliseconds since the guest booted.
type Write struct {
	StartMS float64
	EndMS   float64
}

// Vsock connects to a vsock port from inside the guest and sends a line.
type Vsock struct {
	CID  uint32
	Port uint32
	// From is the context ID to connect from; 0 leaves it to the kernel.
	From uint32
	// UID is the user who connects.
	UID  int
	Send string
	// Hold leaves the connection open, with nothing more sent or read.
	Hold      bool
	TimeoutMS int
}

// VsockReply is what came of it: the first line received, or why there is none.
type VsockReply struct {
	Line  string
	Error string
}

// Path names a file in the guest.
type Path struct {
	Path string
}

// File is a file in the guest.
type File struct {
	Path string
	// Mode is its permissions.
	Mode uint32
	Data []byte
}
