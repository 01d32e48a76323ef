package freeze

import "time"

// pulse notices a freezer that does not run any more, although it lives: one
// that was stopped (SIGSTOP, a debugger). It is asked once a second to answer,
// where something hangs on it; what is over sooner asks nothing.
type pulse struct {
	child *child
	tick  *time.Ticker
	asked bool
}

func newPulse(c *child) *pulse { return &pulse{child: c, tick: time.NewTicker(patience)} }

// beat, called at each tick, tells whether the freezer has said anything since
// it was asked, and asks again.
func (p *pulse) beat() bool {
	if p.asked {
		return false
	}
	p.asked = true
	p.child.send(order{Do: doAnswer})
	return true
}

// heard notes that the freezer has said something.
func (p *pulse) heard() { p.asked = false }

func (p *pulse) stop() { p.tick.Stop() }
