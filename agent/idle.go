package agent

import (
	"sync/atomic"
	"time"
)

// idleDelay is how long nothing must have been asked for the agent to count
// as idle: longer than the pauses of a host that asks one thing after another.
const idleDelay = 2 * time.Second

// idle notices that the hosts have stopped asking. It has a timer only for a
// moment after a command, so that an idle agent sleeps.
type idle struct {
	do    func() // what is done then; nil is nothing
	begun time.Time
	last  atomic.Int64 // when something was asked, in nanoseconds since begun
	armed atomic.Bool
}

// touch notes that something is asked, or that what a host has asked for is no
// longer needed.
func (i *idle) touch() {
	if i.do == nil {
		return
	}
	i.last.Store(int64(time.Since(i.begun)))
	if i.armed.CompareAndSwap(false, true) {
		time.AfterFunc(idleDelay, i.look)
	}
}

func (i *idle) look() {
	quiet := time.Since(i.begun) - time.Duration(i.last.Load())
	if quiet < idleDelay {
		time.AfterFunc(idleDelay-quiet, i.look)
		return
	}
	i.armed.Store(false)
	i.do()
}
