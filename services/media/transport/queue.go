package transport

import (
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/pion/transport/v4/deadline"
)

// queue is a bounded FIFO of datagrams between the loop's thread and a goroutine. What does not fit is dropped, as in a
// socket. It keeps its buffers, so that it allocates nothing once it has been full.
type queue struct {
	mu     sync.Mutex
	slots  []datagram
	first  int
	count  int
	closed bool
	ready  chan struct{} // one token: there is something, or the end
	limit  *deadline.Deadline
}

type datagram struct {
	data []byte
	from netip.AddrPort
}

func newQueue(slots int) *queue {
	return &queue{slots: make([]datagram, slots), ready: make(chan struct{}, 1), limit: deadline.New()}
}

// push copies a datagram into the queue and reports whether there was room.
func (q *queue) push(data []byte, from netip.AddrPort) bool {
	q.mu.Lock()
	if q.closed || q.count == len(q.slots) {
		q.mu.Unlock()
		return false
	}
	slot := &q.slots[(q.first+q.count)%len(q.slots)]
	slot.data = append(slot.data[:0], data...)
	slot.from = from
	q.count++
	q.mu.Unlock()
	q.signal()
	return true
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// pop copies the oldest datagram out, cut to the length of data, without waiting.
func (q *queue) pop(data []byte) (n int, from netip.AddrPort, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		return 0, netip.AddrPort{}, false
	}
	slot := &q.slots[q.first]
	q.first = (q.first + 1) % len(q.slots)
	q.count--
	return copy(data, slot.data), slot.from, true
}

// read waits for a datagram, the end or the deadline. One goroutine at a time.
func (q *queue) read(data []byte) (int, netip.AddrPort, error) {
	for {
		if n, from, ok := q.pop(data); ok {
			return n, from, nil
		}
		q.mu.Lock()
		closed := q.closed
		q.mu.Unlock()
		if closed {
			q.signal() // for whoever reads next
			return 0, netip.AddrPort{}, net.ErrClosed
		}
		select {
		case <-q.ready:
		case <-q.limit.Done():
			return 0, netip.AddrPort{}, os.ErrDeadlineExceeded
		}
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}
