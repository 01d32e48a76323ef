package agent

import "time"

// beat is how a service manager's watchdog is served.
type beat struct {
	do    func()
	every time.Duration
}

// start returns the channel that tells when a beat is due; nil, on which
// nothing ever comes, if nobody wants to know.
func (b beat) start() (due <-chan time.Time, stop func()) {
	if b.do == nil || b.every <= 0 {
		return nil, func() {}
	}
	tick := time.NewTicker(b.every)
	return tick.C, tick.Stop
}

// alive says that the agent is of use, having taken the locks that commands
// take: if one of them is never released, there are no more beats, and the
// service manager starts the agent afresh. Nothing here waits for a disk, so
// neither a long freeze nor a hung disk ends the beats. For that reason the
// lock of the file handles is left out: it is held while their counter is
// written.
func (a *Agent) alive() {
	a.engine.State()
	a.children.pass()
	a.beat.do()
}
