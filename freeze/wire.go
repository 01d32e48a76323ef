package freeze

import (
	"time"

	"golang.org/x/sys/unix"
)

// The agent and its freezer talk over a socket pair, one JSON object after
// another: orders down, events up. Targets are numbers in the order of the
// descriptors that the freezer inherits.

// order is what the agent asks of the freezer.
type order struct {
	// Do is one of doSync, doFreeze, doThaw.
	Do string `json:"do"`
	// Target is what to sync.
	Target int `json:"target,omitempty"`
	// Lands and Levels are the plan of a freeze.
	Lands  [][]int `json:"lands,omitempty"`
	Levels [][]int `json:"levels,omitempty"`
	// Rehearse tells of each target whether its freeze may be rehearsed, Hasten
	// whether it may run before ordinary threads.
	Rehearse []bool `json:"rehearse,omitempty"`
	Hasten   []bool `json:"hasten,omitempty"`
	// Window bounds the time from the first FIFREEZE to the last, Deadline
	// the time from the first FIFREEZE to the thaw.
	Window   time.Duration `json:"window,omitempty"`
	Deadline time.Duration `json:"deadline,omitempty"`
	// Stats are the files that tell what each target's disks have completed,
	// Standstill is how long these may complete nothing during the window.
	Stats      [][]string    `json:"stats,omitempty"`
	Standstill time.Duration `json:"standstill,omitempty"`
	// Expedite asks for expedited RCU grace periods during the window.
	Expedite bool `json:"expedite,omitempty"`
}

const (
	doSync   = "sync"
	doFreeze = "freeze"
	doThaw   = "thaw"
	doAnswer = "answer" // with isAlive, to show that the freezer runs

	// What the freezer tells itself of.
	doRehearse = "rehearse"
	doStop     = "stop"
)

// event is what the freezer reports.
type event struct {
	// Is is one of isReady, isAlive, isSynced, isFrozen, isFailed, isThawed.
	Is string `json:"is"`
	// Target and Result answer one sync.
	Target int    `json:"target,omitempty"`
	Result result `json:"result,omitzero"`
	// Results has one entry for each target.
	Results []result `json:"results,omitempty"`
	// Why says what ended a freeze: one of the why constants.
	Why string `json:"why,omitempty"`
	// Rehearsal is how long it was rehearsed before the window.
	Rehearsal time.Duration `json:"rehearsal,omitempty"`
	// Window is the time from the first FIFREEZE to the last one's return,
	// Thaw that from the first FITHAW to the last.
	Window time.Duration `json:"window,omitempty"`
	Thaw   time.Duration `json:"thaw,omitempty"`
	// At is when it happened: a Unix time in nanoseconds.
	At int64 `json:"at,omitempty"`
}

const (
	// isReady: the freezer runs and its threads wait for orders.
	isReady = "ready"
	// isAlive answers doAnswer.
	isAlive = "alive"
	// isSynced: one target was synced.
	isSynced = "synced"
	// isFrozen: every target was tried, and what could be frozen is.
	isFrozen = "frozen"
	// isFailed: the freeze was given up for Why; isThawed follows.
	isFailed = "failed"
	// isThawed: everything that was frozen is thawed, but for targets whose
	// ioctl is still in the kernel (pending) or was refused. It comes once
	// more when the last pending one has returned.
	isThawed = "thawed"
)

// The reasons why a freeze ends. The freezer gives the first group, the agent
// finds the second by itself.
const (
	whyAsked    = "asked"    // the agent's order, on a request to thaw
	whyAgent    = "agent"    // the agent is gone
	whyDeadline = "deadline" // the freeze lasted as long as it may
	whyWindow   = "window"   // freezing took longer than it may
	whyStill    = "still"    // freezing waited for a disk that completed nothing
	whyError    = "error"    // a filesystem refused
	whySignal   = "signal"   // SIGTERM or SIGINT

	whyFreezer     = "freezer"     // the freezer is gone
	whyStop        = "stop"        // the agent is told to stop
	whyRestart     = "restart"     // the agent was restarted
	whyUndelivered = "undelivered" // nobody took the answer to the freeze
)

// result is what became of one target.
type result struct {
	// Frozen tells that the freeze holds it, or held it.
	Frozen bool `json:"frozen,omitempty"`
	// Thawed tells that it is not frozen any more.
	Thawed bool `json:"thawed,omitempty"`
	// Pending tells that an ioctl on it has not returned.
	Pending bool `json:"pending,omitempty"`
	// Freeze and Thaw are the errors of the ioctls (of syncfs, for a sync).
	Freeze unix.Errno `json:"freeze,omitempty"`
	Thaw   unix.Errno `json:"thaw,omitempty"`
	// Took is how long FIFREEZE (or syncfs) took.
	Took time.Duration `json:"took,omitempty"`
}
