package freeze

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process names a process for good: its number alone can come to be another's.
type process struct {
	PID int `json:"pid"`
	// Start is when it started, in clock ticks since the boot.
	Start uint64 `json:"start"`
}

// startField is where /proc/PID/stat has the start, counted from 0 behind the
// name (proc_pid_stat(5)).
const startField = 19

// findProcess names the process with this number; the zero process if there
// is none.
func findProcess(pid int) process {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}
	}
	return parseStat(pid, string(text))
}

// parseStat reads a line of /proc/PID/stat:
//
//	42 (name) S 1 42 42 0 -1 …
func parseStat(pid int, text string) process {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= startField {
		return process{}
	}
	start, err := strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return process{}
	}
	return process{PID: pid, Start: start}
}

// alive tells whether p has a thread left, be it one that was killed and
// cannot come out of the kernel.
func (p process) alive() bool { return p.PID != 0 && findProcess(p.PID) == p }

// stopped tells whether p has been stopped by a signal or a debugger.
func (p process) stopped() bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil || !p.alive() {
		return false
	}
	state := string(text[strings.LastIndexByte(string(text), ')')+1:])
	return strings.HasPrefix(state, " T") || strings.HasPrefix(state, " t")
}

// kill ends p, the leader of a session, with its process group, and what is
// left of the group where p itself has ended: its number stays taken by that.
func (p process) kill() {
	if other := findProcess(p.PID); p.PID == 0 || other != p && other != (process{}) {
		return
	}
	_ = unix.Kill(-p.PID, unix.SIGKILL)
	p.wait(patience)
}

// processPeriod is how often a process of somebody else's is looked at.
const processPeriod = 10 * time.Millisecond

// wait waits for the end of p, or for limit, and tells whether it has ended.
func (p process) wait(limit time.Duration) bool {
	for end := time.Now().Add(limit); p.alive(); time.Sleep(processPeriod) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
