package ground_test

import (
	"os"
	"path/filepath"
	"sync"
	"time"
)

// prober writes to a filesystem all the time and measures how long it could
// not: the only judge of a freeze that asks neither agent. Its writes go to
// the page cache, so a slow disk alone does not hold them up.
type prober struct {
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	started time.Time // of the write under way; zero is none
	worst   time.Duration
	err     error
}

// probePause is the time between two writes of a prober.
const probePause = 2 * time.Millisecond

func startProber(dir string) (*prober, error) {
	file, err := os.OpenFile(filepath.Join(dir, "probe"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	p := &prober{stop: make(chan struct{}), done: make(chan struct{})}
	go p.run(file)
	return p, nil
}

func (p *prober) run(file *os.File) {
	defer close(p.done)
	defer func() { _ = file.Close() }()
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	for {
		p.note(time.Now(), nil)
		_, err := file.WriteAt([]byte("x"), 0)
		p.note(time.Time{}, err)
		select {
		case <-tick.C:
		case <-p.stop:
			return
		}
	}
}

// note takes down the beginning of a write, or its end.
func (p *prober) note(started time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if started.IsZero() {
		p.worst = max(p.worst, time.Since(p.started))
	}
	p.started = started
	if p.err == nil {
		p.err = err
	}
}

// stall is the longest that a write took, or has taken so far.
func (p *prober) stall() time.Duration { return max(p.waiting(), p.worstDone()) }

func (p *prober) worstDone() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.worst
}

// waiting is how long the write under way has waited.
func (p *prober) waiting() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started.IsZero() {
		return 0
	}
	return time.Since(p.started)
}

// failed is the first error of a write.
func (p *prober) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// end stops the prober, which must be able to write, within limit.
func (p *prober) end(limit time.Duration) bool {
	close(p.stop)
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}
