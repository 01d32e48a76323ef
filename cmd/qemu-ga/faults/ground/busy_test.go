package ground_test

import "time"

// machine watches how late the machine wakes a thread that asks for nothing but
// that: what is late for it is late for the agent, too, through no fault of its
// own.
type machine struct {
	stop, done chan struct{}
	late       time.Duration // the most, when done is closed
}

func watchMachine() *machine {
	m := &machine{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for {
			due := time.Now().Add(probePause)
			select {
			case <-time.After(probePause):
				m.late = max(m.late, time.Since(due))
			case <-m.stop:
				return
			}
		}
	}()
	return m
}

// allowance ends the watch, and tells how much longer than on an idle machine
// things may take that need a thread to be woken some times, one after the
// other.
func (m *machine) allowance() time.Duration {
	m.end()
	return 20 * m.late
}

func (m *machine) end() {
	select {
	case <-m.done:
	default:
		close(m.stop)
		<-m.done
	}
}
