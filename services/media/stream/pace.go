package stream

import "time"

// paceBurst is what may go out at once whatever the rate: a dozen packets fit into the queue of every access router.
const paceBurst = 16 << 10

// pacer holds back packets that come faster than the far end's link takes them. It keeps no packets, only the number from
// which on they wait: they lie in the Stream's cache.
type pacer struct {
	rate    int64 // bytes a second, 0 sends at once
	limit   int64 // bytes of one burst
	tokens  int64
	at      int64
	waiting bool
	cursor  int64 // number of the first packet that waits
}

func (p *pacer) init(bitrate int) {
	p.rate = int64(bitrate / 8)
	p.limit = max(paceBurst, p.rate/100)
	p.tokens = p.limit
}

func (p *pacer) refill(now int64) {
	if gone := now - p.at; gone > 0 {
		p.tokens = min(p.limit, p.tokens+min(gone, int64(time.Second))*p.rate/int64(time.Second))
		p.at = now
	}
}

// holds takes a packet's bytes off the budget, or says that it has to wait.
func (p *pacer) holds(out int64, size int, now int64) bool {
	if p.rate == 0 || p.waiting {
		return p.waiting
	}
	p.refill(now)
	if p.tokens < int64(size) {
		p.waiting, p.cursor = true, out
		return true
	}
	p.tokens -= int64(size)
	return false
}

// SetPace changes the rate, bits a second; 0 sends at once.
func (s *Sender) SetPace(bitrate int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pacer.refill(clock(now))
	s.pacer.rate = int64(bitrate / 8)
	s.pacer.limit = max(paceBurst, s.pacer.rate/100)
	if bitrate == 0 {
		s.drain(now)
	}
}

// Tick sends what waits and may go now, and asks again for a key frame that does not come. Call it every 5 to 10 ms.
func (s *Sender) Tick(now time.Time) {
	at := clock(now)
	s.mu.Lock()
	if s.pacer.waiting {
		s.pacer.refill(at)
		s.catchUp(at, now, s.pacer.tokens)
	}
	ask := s.pending
	if ask != nil && at-s.askedAt < int64(KeyInterval) {
		ask = nil
	}
	if ask != nil {
		s.askedAt = at
	}
	s.mu.Unlock()
	if ask != nil {
		ask.RequestKey(now)
	}
}

// drain sends all that waits.
func (s *Sender) drain(now time.Time) {
	if s.pacer.waiting {
		s.catchUp(clock(now), now, int64(MaxCache))
	}
}

// catchUp sends at most budget bytes of what waits. What the cache has lost by now is lost: a receiver that is a second
// behind needs a key frame and a lower rate.
func (s *Sender) catchUp(at int64, now time.Time, budget int64) {
	c := scratches.Get().(*scratch)
	defer scratches.Put(c)
	n := 0
	for s.pacer.cursor < s.nextOut {
		r, group, parameters := s.routes.sent(s.pacer.cursor)
		if r == nil || parameters || !r.from.copyPacket(group, at, &c.entries[n], c.buffers[n][:]) {
			s.pacer.cursor++
			continue
		}
		e := &c.entries[n]
		size := int64(e.length) + int64(s.size)
		if budget < size {
			s.flush(n)
			return
		}
		budget -= size
		s.pacer.tokens -= size
		start := 2*room - int(e.prefix.length) - s.size
		s.packets[n] = s.write(c.buffers[n][start:2*room+int(e.length)], e, r, s.pacer.cursor, now)
		s.pacer.cursor++
		if n++; n == len(c.entries) {
			n = s.flush(n)
		}
	}
	s.flush(n)
	s.pacer.waiting = false
}
