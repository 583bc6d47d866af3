package rtp

import "time"

const (
	// maxMissing bounds the packets that are asked for at one time: half a second of 4 Mbit/s. Beyond it a key frame is
	// cheaper than the repair.
	maxMissing = 256
	// reorderWait is how long a gap may fill by itself: reordering in the Internet is within some milliseconds.
	reorderWait = 10 * time.Millisecond
	// minRetry bounds the pace of retries on short paths, where the answer waits for the sender's next tick.
	minRetry = 20 * time.Millisecond
	maxTries = 10
	// giveUp is after how long a repair comes too late to be seen as anything but a freeze.
	giveUp = time.Second
)

// Losses decides which packets of one stream to ask for again by NACK. The zero value is ready.
type Losses struct {
	numbers Sequence
	origin  time.Time
	// missing is in ascending order.
	missing [maxMissing]loss
	count   int
	given   int
}

// loss is one missing packet; times count from the origin, since 256 entries a stream add up.
type loss struct {
	number      int64
	since, next time.Duration
	tries       int
}

// Received takes a packet that came, and finds what is missing before it. It reports whether the packet had been asked for.
func (l *Losses) Received(sequence uint16, now time.Time) (repaired bool) {
	newest, started := l.numbers.Newest()
	n := l.numbers.Extend(sequence)
	switch {
	case !started:
		l.origin = now
		return false
	case n == newest:
		return false
	case newest-n > maxMisorder:
		// The sender began anew; what was missing before will not come.
		*l = Losses{origin: now, given: l.given + l.count + 1}
		l.numbers.Extend(sequence)
		return false
	case n < newest:
		return l.found(n)
	}
	gap := n - newest - 1
	if gap > maxMissing {
		l.given += l.count + int(gap)
		l.count = 0
		return false
	}
	if over := l.count + int(gap) - maxMissing; over > 0 {
		l.given += over
		l.drop(0, over)
	}
	at := now.Sub(l.origin)
	for m := newest + 1; m < n; m++ {
		l.missing[l.count] = loss{number: m, since: at, next: at + reorderWait}
		l.count++
	}
	return false
}

func (l *Losses) found(n int64) (repaired bool) {
	for i := l.count - 1; i >= 0 && l.missing[i].number >= n; i-- {
		if l.missing[i].number == n {
			repaired = l.missing[i].tries > 0
			l.drop(i, i+1)
			return repaired
		}
	}
	return false
}

func (l *Losses) drop(from, to int) {
	l.count = from + copy(l.missing[from:], l.missing[to:l.count])
}

// Due appends the sequence numbers to ask for now, in ascending order; call it every 10 to 20 ms. A packet is asked for
// again after a round trip, ten times or a second long. given counts the packets that were given up since the last call: if
// it is not 0, a key frame is needed.
func (l *Losses) Due(dst []uint16, now time.Time, roundTrip time.Duration) (due []uint16, given int) {
	// A quarter more, or a path with jitter would be asked twice for most of its losses.
	pace := max(roundTrip+roundTrip/4, minRetry)
	at := now.Sub(l.origin)
	kept := 0
	for i := range l.missing[:l.count] {
		m := &l.missing[i]
		if at >= m.next {
			if m.tries >= maxTries || at-m.since >= giveUp {
				l.given++
				continue
			}
			m.tries++
			m.next = at + pace
			dst = append(dst, uint16(m.number))
		}
		l.missing[kept] = *m
		kept++
	}
	l.count = kept
	given, l.given = l.given, 0
	return dst, given
}

// Forget drops all losses before a packet that begins a key frame: nothing refers to them any more.
func (l *Losses) Forget(before uint16) {
	n := l.numbers.Peek(before)
	i := 0
	for i < l.count && l.missing[i].number < n {
		i++
	}
	l.drop(0, i)
	l.given = 0
}

// Missing returns how many packets are being asked for or waited for.
func (l *Losses) Missing() int { return l.count }
