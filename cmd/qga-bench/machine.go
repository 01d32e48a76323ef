package main

import (
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where and when the measurements were made.
type machine struct {
	date         time.Time
	took         time.Duration
	kernel       string
	cores        int
	memory       uint64 // GiB
	before, then string // the load average at the start and at the end
}

func describeMachine() machine {
	m := machine{date: time.Now(), cores: runtime.NumCPU(), before: load()}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.kernel = unix.ByteSliceToString(uts.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.memory = (info.Totalram*uint64(info.Unit) + 1<<29) >> 30
	}
	return m
}

// finish notes the end.
func (m *machine) finish() {
	m.took, m.then = time.Since(m.date), load()
}

// load is how many programs wanted to run in the last minute. The file is
//
//	0.20 0.18 0.12 1/80 11206
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
