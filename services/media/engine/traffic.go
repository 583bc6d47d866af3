package engine

import (
	"sync"

	"rotunda/services/media/control"
)

// traffic adds up what has passed in all legs. Legs count for themselves, and their counts begin anew with a transport or a stream; what
// they have grown by since somebody last looked is added here, at each heartbeat and when a leg ends.
type traffic struct {
	mu    sync.Mutex
	total control.Traffic
}

// look adds what is new of a leg.
func (t *traffic) look(l *leg) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := l.traffic()
	add := func(total *uint64, now, before uint64) {
		// Of what was lost some comes after all; that is not taken back, as a counter only grows.
		if now > before {
			*total += now - before
		}
	}
	add(&t.total.Received, now.Received, l.counted.Received)
	add(&t.total.Sent, now.Sent, l.counted.Sent)
	add(&t.total.Lost, now.Lost, l.counted.Lost)
	add(&t.total.Dropped, now.Dropped, l.counted.Dropped)
	l.counted = now
}

func (t *traffic) sum() control.Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// traffic is what the leg's transports and streams have counted.
func (l *leg) traffic() (n control.Traffic) {
	if list := l.transports.Load(); list != nil {
		for _, f := range *list {
			received, sent, dropped := f.endpoint.Traffic()
			n.Received, n.Sent, n.Dropped = n.Received+received, n.Sent+sent, n.Dropped+dropped
		}
	}
	if s := l.sound.Load(); s != nil {
		n.Lost += s.lost()
	}
	for which := range pictures {
		if c := l.contribution[which].Load(); c != nil {
			n.Lost += c.lost()
		}
	}
	return n
}

// lost is how many packets of all layers did not come.
func (c *contribution) lost() (n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, y := range c.layers {
		n += uint64(max(y.receiver.Counts().Lost, 0))
	}
	return n
}

// lost is how many packets of sound did not come.
func (s *sound) lost() (n uint64) {
	f := s.flow.Load()
	if f == nil {
		return 0
	}
	f.mu.Lock()
	list := f.list
	f.mu.Unlock()
	for _, in := range list {
		if in.layer.Load() != nil {
			continue
		}
		in.mu.Lock()
		n += uint64(max(in.reception.Lost(), 0))
		in.mu.Unlock()
	}
	return n
}
