package meeting

import "sync"

// pump runs what it is given in order, in a goroutine that lives only while there is something to do. Lines and observers are told by
// pumps, so that nobody is told anything under a lock and nobody waits for them.
type pump struct {
	mu      sync.Mutex
	idle    *sync.Cond
	queue   []func()
	running bool
}

func newPump() *pump {
	p := &pump{}
	p.idle = sync.NewCond(&p.mu)
	return p
}

func (p *pump) add(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, f)
	if !p.running {
		p.running = true
		go p.run()
	}
}

func (p *pump) run() {
	for {
		p.mu.Lock()
		batch := p.queue
		p.queue = nil
		if len(batch) == 0 {
			p.running = false
			p.idle.Broadcast()
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		for _, f := range batch {
			f()
		}
	}
}

// settle waits until there is nothing to do.
func (p *pump) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.running {
		p.idle.Wait()
	}
}
