package engine

import (
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
	"rotunda/services/media/transport"
)

// exchange is the worker's port for the other workers of the machine. All conferences share it; a packet belongs to the
// mix or to the layer whose number is its SSRC, and feedback to the conference and worker whose mix is its sender. Its
// [transport.Handler] methods run on the network thread.
type exchange struct {
	port *transport.Exchange

	mu sync.Mutex // taken to replace a table
	// peers by the number of their mix, layers of guests by their number; replaced as a whole.
	peers  atomic.Pointer[map[uint32]*peer]
	layers atomic.Pointer[map[uint32]*layer]

	// The network thread's own.
	header rtp.Header
	lost   []uint16
	pushed []*layer
}

// soundType is the payload type of a mix. Those of pictures are picturesFrom and what the codec adds to it.
const (
	soundType    = 96
	picturesFrom = 97
)

// localhost is where exchanges meet: nothing that goes there leaves the machine, so nothing is encrypted.
var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func openExchange(l *transport.Loop) (*exchange, error) {
	x := &exchange{}
	x.peers.Store(&map[uint32]*peer{})
	x.layers.Store(&map[uint32]*layer{})
	var err error
	x.port, err = l.OpenExchange(localhost, x)
	return x, err
}

// enter has packets of a peer taken, leave not any more.
func (x *exchange) enter(p *peer) { list(x, &x.peers, p.other.Mix, p, true) }
func (x *exchange) leave(p *peer) { list(x, &x.peers, p.other.Mix, p, false) }

// carry has packets of a guest's layer taken, drop not any more.
func (x *exchange) carry(y *layer) { list(x, &x.layers, y.number, y, true) }
func (x *exchange) drop(y *layer)  { list(x, &x.layers, y.number, y, false) }

// list changes a table. What has been replaced by another of its number is not taken out.
func list[T any](x *exchange, table *atomic.Pointer[map[uint32]*T], number uint32, entry *T, on bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	next := maps.Clone(*table.Load())
	if on {
		next[number] = entry
	} else if next[number] == entry {
		delete(next, number)
	}
	table.Store(&next)
}

// RTP takes a packet of sound or of a picture.
func (x *exchange) RTP(packet []byte, arrival time.Time) {
	payload, err := x.header.Parse(packet)
	if err != nil {
		return
	}
	if x.header.PayloadType == soundType {
		if p := (*x.peers.Load())[x.header.SSRC]; p != nil {
			p.sound(&x.header, payload, arrival)
		}
		return
	}
	y := (*x.layers.Load())[x.header.SSRC]
	if y == nil {
		return
	}
	y.push(packet, arrival)
	if n := len(x.pushed); n == 0 || x.pushed[n-1] != y {
		x.pushed = append(x.pushed, y)
	}
}

// RTCP takes what a peer offers and wants, and what it has lost.
func (x *exchange) RTCP(packet []byte, arrival time.Time) {
	peers := *x.peers.Load()
	c := rtp.Walk(packet)
	for c.Next() {
		p := peers[c.Sender]
		if p == nil {
			continue
		}
		switch c.Kind {
		case rtp.Application:
			p.hear(c.Application())
		case rtp.NACK:
			if o := p.outlet(c.Media); o != nil {
				x.lost = appendLost(x.lost[:0], &c)
				o.sender.HandleNACK(x.lost, arrival)
			}
		case rtp.PLI:
			if o := p.outlet(c.Media); o != nil {
				o.sender.RequestKey(arrival)
			}
		}
	}
}

// Batch forwards what came at once in one burst.
func (x *exchange) Batch(now time.Time) {
	for i, y := range x.pushed {
		y.receiver.Flush(now)
		x.pushed[i] = nil
	}
	x.pushed = x.pushed[:0]
}

// tick gives the senders to other workers their time.
func (x *exchange) tick(now time.Time) {
	for _, p := range *x.peers.Load() {
		p.tick(now)
	}
}

// State, Candidates and Flood have nobody to tell: the other end is a worker, whose manager watches it.
func (x *exchange) State(string, string, string)      {}
func (x *exchange) Candidates(control.TransportState) {}
func (x *exchange) Flood(uint64)                      {}
