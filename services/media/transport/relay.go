package transport

import (
	"sync"
	"time"

	"github.com/pion/ice/v4"
)

// relaySlots is how many packets wait in each direction of a relayed pair: half a second of 1080p30 at 4 Mbit/s.
const relaySlots = 256

// relayed stands for the remote address of a relayed pair, which packets from the agent do not carry. It equals no address
// that the kernel reports.
var relayed = sockaddr{len: 1}

// relay carries packets between an endpoint and the TURN client of its ICE agent. That one reads and writes in its own time
// (a TURN server may be behind TCP), hence two queues and two goroutines.
type relay struct {
	e       *Endpoint
	in, out *queue
	workers sync.WaitGroup

	mu            sync.Mutex
	posted        bool // the loop has been asked to empty in
	local, remote string

	packet [packetSize]byte // the loop's own
}

func newRelay(e *Endpoint) *relay {
	return &relay{e: e, in: newQueue(relaySlots), out: newQueue(relaySlots)}
}

// start begins to carry packets of the agent's connection, until that is closed.
func (r *relay) start(conn *ice.Conn) {
	r.workers.Go(func() {
		var packet [packetSize]byte
		for {
			n, err := conn.Read(packet[:])
			if err != nil {
				return
			}
			r.receive(packet[:n])
		}
	})
	r.workers.Go(func() {
		var packet [packetSize]byte
		for {
			n, _, err := r.out.read(packet[:])
			if err != nil {
				return
			}
			if _, err := conn.Write(packet[:n]); err != nil {
				r.e.dropped[dropSend].Add(1)
			}
		}
	})
}

// receive hands a packet to the loop.
func (r *relay) receive(packet []byte) {
	if !r.in.push(packet, relayed.addrPort()) {
		r.e.dropped[dropFlood].Add(1)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.posted {
		r.posted = true
		r.e.loop.post(r.deliver)
	}
}

// deliver runs on the loop's thread.
func (r *relay) deliver() {
	r.mu.Lock()
	r.posted = false
	r.mu.Unlock()
	now := time.Now()
	for range relaySlots {
		n, _, ok := r.in.pop(r.packet[:])
		if !ok {
			break
		}
		r.e.input(r.e.sockets[0][0], r.packet[:n], &relayed, now)
	}
	r.e.tally(now)
}

// send queues a burst and says how much of it fitted.
func (r *relay) send(b *burst) (packets, bytes int) {
	for i := range b.count {
		if p := b.packet(i); len(p) <= packetSize && r.out.push(p, relayed.addrPort()) {
			packets++
			bytes += len(p)
		}
	}
	return packets, bytes
}

// name tells the addresses for statistics.
func (r *relay) name(local, remote string) {
	r.mu.Lock()
	r.local, r.remote = local, remote
	r.mu.Unlock()
}

func (r *relay) names() (local, remote string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.local, r.remote
}

// close waits for the goroutines; the agent is closed already, so that they end.
func (r *relay) close() {
	r.out.close()
	r.in.close()
	r.workers.Wait()
}
