package turn

import (
	"encoding/binary"
	"sync"
)

const (
	// queueBytes of media wait for one TCP client: 200 ms of 5 Mbit/s. What is older is of no use to a call.
	queueBytes = 128 << 10
	// answerBytes of pion's answers wait for it; a client that asks more without reading is not one of ours.
	answerBytes = 16 << 10
)

// queue holds what waits to be written to one TCP client. Media beyond its bound pushes out the oldest; answers are never
// dropped, since over TCP nobody sends a request twice.
type queue struct {
	mu      sync.Mutex
	changed sync.Cond
	answers []byte
	// media is a ring of whole frames, made when the first one comes.
	media      []byte
	head, used int
	closed     bool
}

func newQueue() *queue {
	q := &queue{}
	q.changed.L = &q.mu
	return q
}

// answer queues an answer; false means that the client does not read them.
func (q *queue) answer(b []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.answers)+len(b) > answerBytes {
		return false
	}
	q.answers = append(q.answers, b...)
	q.changed.Signal()
	return true
}

// push queues a frame of media and says how many older ones went for it.
func (q *queue) push(frame []byte) (dropped int) {
	size := frameSize(frame)
	if size > len(frame) || size > queueBytes/4 {
		return 1
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 1
	}
	if q.media == nil {
		q.media = make([]byte, queueBytes)
	}
	for q.used+size > queueBytes {
		old := q.peek()
		q.head = (q.head + old) % queueBytes
		q.used -= old
		dropped++
	}
	at := (q.head + q.used) % queueBytes
	n := copy(q.media[at:], frame[:size])
	copy(q.media, frame[n:size])
	q.used += size
	q.changed.Signal()
	return dropped
}

// peek is the size of the oldest frame, by its own header.
func (q *queue) peek() int {
	var head [4]byte
	for i := range head {
		head[i] = q.media[(q.head+i)%queueBytes]
	}
	return frameSize(head[:])
}

// take waits for something and moves as much as fits into b, which has room for all answers: those first, then whole frames
// of media. 0 means closed.
func (q *queue) take(b []byte) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.answers) == 0 && q.used == 0 && !q.closed {
		q.changed.Wait()
	}
	if q.closed {
		return 0
	}
	n := copy(b, q.answers)
	q.answers = q.answers[:0]
	for q.used > 0 {
		size := q.peek()
		if n+size > len(b) {
			break
		}
		end := copy(b[n:n+size], q.media[q.head:])
		copy(b[n+end:n+size], q.media)
		n += size
		q.head = (q.head + size) % queueBytes
		q.used -= size
	}
	return n
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.changed.Broadcast()
	q.mu.Unlock()
}

// frameSize is how many bytes the frame that begins with these four has in a stream: a STUN message, or ChannelData with its
// padding (RFC 8656 section 12.5).
func frameSize(head []byte) int {
	size := int(binary.BigEndian.Uint16(head[2:]))
	if head[0]>>6 == 1 {
		return 4 + (size+3)&^3
	}
	return headerLength + size
}
