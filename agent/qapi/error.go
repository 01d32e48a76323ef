package qapi

import (
	"errors"
	"fmt"
)

// The error classes of the protocol. qemu-ga uses no others.
const (
	GenericError    = "GenericError"
	CommandNotFound = "CommandNotFound"
)

// maxQuoted bounds what an error repeats of a request, in bytes. QEMU repeats
// all of it; a name of 60 MiB would then be held three times over.
const maxQuoted = 64 << 10

// Error is an error as a client sees it: {"class": Class, "desc": Desc}.
type Error struct {
	Class string // GenericError or CommandNotFound
	Desc  string // for people; clients tell errors apart by Class
}

// Error returns the description alone.
func (e *Error) Error() string { return e.Desc }

// Errorf returns a GenericError with the formatted description.
func Errorf(format string, args ...any) *Error {
	return &Error{GenericError, fmt.Sprintf(format, args...)}
}

// NotFound returns the error for a command that does not exist.
func NotFound(name string) *Error {
	return &Error{CommandNotFound, "The command " + clip(name) + " has not been found"}
}

// Disabled returns the error for a command that exists but may not run:
// blocked, or not in the allow list.
func Disabled(name string) *Error {
	return &Error{
		CommandNotFound,
		"Command " + clip(name) + " has been disabled: the command is not allowed",
	}
}

// Frozen returns the error for a command that is not safe while filesystems
// are frozen. qemu-ga gave the reason up to version 9.0 and says no more than
// Disabled since; hosts look for either.
func Frozen(name string) *Error {
	e := Disabled(name)
	e.Desc += ": the agent is in frozen state"
	return e
}

// asError returns err in the form a client sees. A wrapped *Error keeps its
// class and gains the words around it.
func asError(err error) Error {
	class := GenericError
	if e, ok := errors.AsType[*Error](err); ok && e.Class != "" {
		class = e.Class
	}
	return Error{class, err.Error()}
}

// clip shortens what a client sent to a length that may be repeated to it.
func clip(s string) string {
	if len(s) > maxQuoted {
		return s[:maxQuoted]
	}
	return s
}
