package cdr

import (
	"bytes"
	"sync"
)

const (
	// maxBacklog and maxBytes bound what waits for one receiver. 10,000 records are a busy hour of a full machine, and 16 MiB
	// more than they usually have; four receivers share the text of records.
	maxBacklog = 10_000
	maxBytes   = 16 << 20
	// batchRecords and batchBytes bound one POST. The first record goes whatever its size.
	batchRecords = 100
	batchBytes   = 64 << 10
)

// backlog are the records that a receiver has not acknowledged.
type backlog struct {
	mu    sync.Mutex
	queue []waiting
	bytes int
	// flying of them, from the first on, are being sent: they stay.
	flying int
	// index is the recordIndex of the first one.
	index uint64
	// missing have been dropped after the last one in queue.
	missing uint64
	// dropped since the last report.
	dropped uint64
	// sent have been acknowledged since the start, lost were dropped.
	sent, lost uint64
	wake       chan struct{}
}

// waiting is a record with the number of those that were dropped just before it.
type waiting struct {
	*record
	missing uint64
}

func newBacklog() *backlog { return &backlog{index: 1, wake: make(chan struct{}, 1)} }

// put adds a record and says whether it is the first for which others had to go.
func (b *backlog) put(r *record) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, waiting{r, b.missing})
	b.missing = 0
	b.bytes += r.size()
	for len(b.queue) > b.flying && (len(b.queue) > maxBacklog || b.bytes > maxBytes) {
		gone := b.queue[b.flying]
		b.bytes -= gone.size()
		// Those that fly are few: they move up.
		copy(b.queue[1:b.flying+1], b.queue[:b.flying])
		b.queue[0] = waiting{}
		b.queue = b.queue[1:]
		if lost := gone.missing + 1; len(b.queue) > b.flying {
			b.queue[b.flying].missing += lost
		} else {
			b.missing += lost
		}
		first = first || b.dropped == 0
		b.dropped++
		b.lost++
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return first
}

// take writes the next document into b, of at most so many records, and returns how many it has.
func (l *backlog) take(b *bytes.Buffer, most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	start := b.Len()
	n := 0
	for n < min(most, len(l.queue)) {
		w := l.queue[n]
		if n > 0 && b.Len()-start+w.size() > batchBytes {
			break
		}
		w.put(b, l.index+uint64(n), w.missing)
		n++
	}
	l.flying = n
	return n
}

// done ends what take began: acknowledged records go.
func (l *backlog) done(acknowledged bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.flying
	l.flying = 0
	if !acknowledged {
		return
	}
	for i := range l.queue[:n] {
		l.bytes -= l.queue[i].size()
		l.queue[i] = waiting{}
	}
	l.queue = l.queue[n:]
	if len(l.queue) == 0 {
		// What an outage made large is given back.
		l.queue = nil
	}
	l.index += uint64(n)
	l.sent += uint64(n)
}

// left is how many wait.
func (l *backlog) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// report returns how many were dropped since the last report.
func (l *backlog) report() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.dropped
	l.dropped = 0
	return n
}
