package freeze

import (
	"runtime/debug"
	"sync"
	"time"
)

const (
	// collectorPause is how long Go's garbage collection stays off after a
	// freeze's answer: a snapshot is taken within it, as a rule.
	collectorPause = time.Second
	// collectorMemory is how much the program may hold meanwhile. Above it
	// there is collection all the same, whatever a host asks of the program.
	collectorMemory = 64 << 20
)

// pauseCollector turns garbage collection off, so that none runs between a
// freeze's first FIFREEZE and its thaw, where writers would wait for it. resume
// may be called more than once.
func pauseCollector() (resume func()) {
	percent, memory := debug.SetGCPercent(-1), debug.SetMemoryLimit(collectorMemory)
	return sync.OnceFunc(func() {
		debug.SetMemoryLimit(memory)
		debug.SetGCPercent(percent)
	})
}
