package guest

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is the space on a filesystem, in bytes.
type Usage struct {
	// Used is what is taken, Total that plus what an ordinary user could
	// still take, Privileged that plus what is reserved for root.
	Used, Total, Privileged uint64
}

func usageOf(st *unix.Statfs_t) *Usage {
	size := uint64(st.Frsize)
	if size == 0 {
		size = uint64(st.Bsize)
	}
	used := st.Blocks - st.Bfree
	return &Usage{Used: used * size, Total: (used + st.Bavail) * size, Privileged: st.Blocks * size}
}

// usages asks for the whole process: a statfs(2) that hangs keeps one of its
// threads, whoever asked.
var usages = prober{statfs: unix.Statfs, limit: 2 * time.Second}

// prober asks filesystems for their space without ever hanging with them. A
// filesystem whose server or disk is dead keeps statfs(2) in the kernel for
// as long as it likes; it is given up after the limit, and not asked again
// until that call has come back.
type prober struct {
	statfs func(path string, st *unix.Statfs_t) error
	limit  time.Duration

	mu    sync.Mutex
	busy  map[string]int  // calls under way
	stuck map[string]bool // given up, still busy
}

// answer is the usage of one of the points asked for, nil if it cannot tell.
type answer struct {
	index int
	usage *Usage
}

// ask returns the usage of the filesystems mounted at points, nil for those
// that cannot tell. It takes no longer than the limit, however many hang.
func (p *prober) ask(ctx context.Context, points []string) ([]*Usage, error) {
	queue, waiting := p.queue(points)
	answers := make(chan answer, waiting) // so that nobody blocks who comes late
	work := func() {
		for i := range queue {
			answers <- answer{i, p.call(points[i])}
		}
	}
	deadline := time.NewTimer(p.limit)
	defer deadline.Stop()
	// One goroutine asks them all in turn. Whenever it gets nowhere another
	// goes on behind the one that is stuck, so that no more threads hang than
	// there are dead filesystems.
	stall := time.NewTicker(p.limit / 20)
	defer stall.Stop()
	go work()

	usages := make([]*Usage, len(points))
	for moved := false; waiting > 0; {
		select {
		case a := <-answers:
			usages[a.index] = a.usage
			waiting--
			moved = true
		case <-stall.C:
			if !moved {
				go work()
			}
			moved = false
		case <-deadline.C:
			p.giveUp(queue, points)
			return usages, nil
		case <-ctx.Done():
			p.giveUp(queue, points)
			return nil, ctx.Err()
		}
	}
	return usages, nil
}

// queue returns the indexes of the points that are not stuck, in a closed
// channel, and their number.
func (p *prober) queue(points []string) (<-chan int, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := make(chan int, len(points))
	for i, point := range points {
		if !p.stuck[point] {
			queue <- i
		}
	}
	close(queue)
	return queue, len(queue)
}

func (p *prober) call(point string) *Usage {
	p.mu.Lock()
	if p.busy == nil {
		p.busy, p.stuck = map[string]int{}, map[string]bool{}
	}
	p.busy[point]++
	p.mu.Unlock()

	var st unix.Statfs_t
	err := p.statfs(point, &st)

	p.mu.Lock()
	if p.busy[point]--; p.busy[point] == 0 {
		delete(p.busy, point)
	}
	delete(p.stuck, point)
	p.mu.Unlock()
	if err != nil {
		return nil
	}
	return usageOf(&st)
}

// giveUp empties the queue and remembers the points that are being asked.
func (p *prober) giveUp(queue <-chan int, points []string) {
	for range queue { // no goroutine begins another
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, point := range points {
		if p.busy[point] > 0 {
			p.stuck[point] = true
		}
	}
}
