package main

import (
	"time"
	"unsafe"
)

var started = time.Now()

// now is the monotonic clock.
func now() int64 { return int64(time.Since(started)) }

// pointer is an argument of a system call that is made without Go's
// scheduler.
func pointer[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
