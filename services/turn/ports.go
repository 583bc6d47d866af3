package turn

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
)

// The relay ports of the deployment guide, section 4.7 and appendix B.
const (
	firstPort = 50000
	lastPort  = 62000
)

var errNoPort = errors.New("no relay port is free")

// ports hands out the relay ports: in random order first, then in the order in which they were given back, so that a port
// rests as long as can be and packets of the call before meet nobody. Nobody is refused while one is free. It also knows
// whose each port is, which any thread may ask without a lock.
type ports struct {
	mu    sync.Mutex
	queue []uint16
	free  [lastPort - firstPort + 2]bool // by index in owner; the one beyond the last is never free
	owner [lastPort - firstPort + 1]atomic.Pointer[allocation]
}

func newPorts() *ports {
	p := &ports{}
	for _, i := range rand.Perm(len(p.owner)) {
		p.giveBack(uint16(firstPort + i))
	}
	return p
}

// take has bind try free ports until one can be had: media workers of the same machine, whose numbers overlap, may have
// some. busy tells from bind's error that only this port is the trouble.
func (p *ports) take(bind func(port uint16) error, busy func(error) bool) error {
	var taken []uint16
	defer func() {
		for _, port := range taken {
			p.giveBack(port)
		}
	}()
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.mu.Unlock()
			return errNoPort
		}
		port := p.queue[0]
		p.remove(0)
		p.mu.Unlock()
		err := bind(port)
		if err == nil {
			return nil
		}
		taken = append(taken, port)
		if !busy(err) {
			return err
		}
	}
}

// takeEven does so for even ports; with pair set the one above is taken as well, unbound.
func (p *ports) takeEven(pair bool, bind func(port uint16) error, busy func(error) bool) (uint16, error) {
	tried := map[uint16]bool{}
	for {
		p.mu.Lock()
		i := slices.IndexFunc(p.queue, func(port uint16) bool {
			return port%2 == 0 && !tried[port] && (!pair || p.free[port-firstPort+1])
		})
		if i < 0 {
			p.mu.Unlock()
			return 0, errNoPort
		}
		port := p.queue[i]
		p.remove(i)
		if pair {
			p.remove(slices.Index(p.queue, port+1))
		}
		p.mu.Unlock()
		err := bind(port)
		if err == nil {
			return port, nil
		}
		p.giveBack(port)
		if pair {
			p.giveBack(port + 1)
		}
		tried[port] = true
		if !busy(err) {
			return 0, err
		}
	}
}

// remove takes the i-th of the queue. The caller holds mu.
func (p *ports) remove(i int) {
	p.free[p.queue[i]-firstPort] = false
	if i == 0 {
		p.queue = p.queue[1:]
		return
	}
	p.queue = slices.Delete(p.queue, i, i+1)
}

func (p *ports) giveBack(port uint16) {
	p.mu.Lock()
	p.queue = append(p.queue, port)
	p.free[port-firstPort] = true
	p.mu.Unlock()
}

func (p *ports) left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)
}

func (p *ports) set(port uint16, a *allocation) { p.owner[port-firstPort].Store(a) }

// at is the allocation that has a port, or nil.
func (p *ports) at(port uint16) *allocation {
	if port < firstPort || port > lastPort {
		return nil
	}
	return p.owner[port-firstPort].Load()
}
