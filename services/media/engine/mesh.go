package engine

import (
	"slices"
	"sync/atomic"
	"time"

	"rotunda/services/media/audio"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// mesh is what a conference has on this worker while it has legs on others as well. Every worker sends every other one the
// mix of its own legs, never what came from a third, and the layers that are wanted there; so sound takes one step, and
// nobody hears himself.
//
// Sound goes uncompressed: to send and to hear 20 ms of L16 takes 10 and 9 µs, a thousandth of a core for each other worker.
// Opus would take 55 and 25 µs to encode and decode, and what 770 kbit/s cost on loopback is in the 10.
type mesh struct {
	conference *conference
	number     uint32
	tap        *audio.Tap
	peers      atomic.Pointer[[]*peer]
	// fresh: somebody has come who has heard no offers yet.
	fresh atomic.Bool

	// The audio thread's.
	header rtp.Header
	packet []byte
	hold   int

	// The director's: what was offered last, and when.
	offers  []offer
	toldAt  time.Time
	said    []byte
	layers  map[uint32]*layer
	scratch []uint32
}

// holdTicks of silence are sent after the last sound, 100 ms, so that the far end's jitter buffer ends on silence and has
// nothing to conceal.
const holdTicks = 5

// mixSamples are 20 ms of the mix.
const mixSamples = 960

var silence [mixSamples]int16

func newMesh(c *conference, number uint32) *mesh {
	m := &mesh{conference: c, number: number, packet: make([]byte, 0, rtp.HeaderSize+4+2*mixSamples), layers: map[uint32]*layer{}}
	m.header = rtp.Header{PayloadType: soundType, SSRC: number, Sequence: uint16(rtp.NewSSRC()), Timestamp: rtp.NewSSRC()}
	m.peers.Store(&[]*peer{})
	m.tap = c.bus.TapInner(m.speak)
	return m
}

func (m *mesh) exchange() *exchange { return m.conference.owner.engine.exchange }

// meet brings the peers to the wanted state.
func (m *mesh) meet(others []control.Other) {
	var next []*peer
	for _, p := range *m.peers.Load() {
		if slices.Contains(others, p.other) {
			next = append(next, p)
		} else {
			p.close()
		}
	}
	for _, o := range others {
		if !slices.ContainsFunc(next, func(p *peer) bool { return p.other == o }) {
			next = append(next, newPeer(m, o))
			m.fresh.Store(true)
		}
	}
	m.peers.Store(&next)
}

func (m *mesh) close() {
	m.tap.Remove()
	m.meet(nil)
}

// speak sends 20 ms of what the legs here say, in the audio thread; nothing while they are silent.
func (m *mesh) speak(pcm []int16, _ time.Time) {
	h := &m.header
	h.Timestamp += mixSamples
	h.Marker = m.hold == 0
	switch {
	case pcm != nil:
		m.hold = holdTicks
	case m.hold == 0:
		return
	default:
		m.hold--
		pcm = silence[:]
	}
	h.Sequence++
	if voice := m.conference.bus.Voice(); voice != 0 {
		h.SetContributor(voice)
	}
	m.packet = codec.AppendL16(h.Append(m.packet[:0]), pcm)
	port := m.exchange().port
	for _, p := range *m.peers.Load() {
		port.SendOne(p.other.Exchange, m.packet)
	}
}

// trade exchanges pictures with the other workers: it offers the layers of the legs here, sends what is wanted of them, and asks
// for what is shown here of guests.
func (s *stage) trade(now time.Time) {
	m := s.conference.mesh.Load()
	if m == nil {
		return
	}
	m.offer(s, now)
	for _, p := range *m.peers.Load() {
		p.serve(m.layers, now)
		m.scratch = m.scratch[:0]
		for _, g := range s.conference.guests.Load().list {
			if g.want.Load().Worker == p.other.Worker {
				for _, c := range g.contribution {
					m.scratch = c.watched(m.scratch)
				}
			}
		}
		p.ask(m.scratch, now)
	}
}

// offer tells the peers of the layers of the legs here, when they have changed, when somebody is new, or when it is
// due.
func (m *mesh) offer(s *stage, now time.Time) {
	offers := make([]offer, 0, len(m.offers))
	clear(m.layers)
	for _, c := range s.contributions {
		if _, own := c.from.(*leg); own && !c.off(now) {
			offers = c.offers(offers, m.layers, now)
		}
	}
	slices.SortFunc(offers, func(a, b offer) int { return int(int64(a.number) - int64(b.number)) })
	same := slices.EqualFunc(offers, m.offers, func(a, b offer) bool {
		a.bitrate, b.bitrate = 0, 0
		return a == b
	})
	if m.offers = offers; !m.fresh.Swap(false) && same && now.Sub(m.toldAt) < sayEvery {
		return
	}
	m.toldAt = now
	list := make([]byte, 0, len(offers)*offerSize)
	for i := range offers {
		list = offers[i].append(list)
	}
	m.said = say(m.said, m.number, nameHave, list, func(packet []byte) {
		for _, p := range *m.peers.Load() {
			p.send(packet)
		}
	})
}

// offers adds the layers of a leg's picture to what is offered.
func (c *contribution) offers(dst []offer, layers map[uint32]*layer, now time.Time) []offer {
	c.mu.Lock()
	defer c.mu.Unlock()
	for place, y := range c.layers[:min(len(c.layers), maxPlaces)] {
		if numberOf(y.codec) < 0 || !y.alive(now) {
			continue
		}
		layers[y.number] = y
		dst = append(dst, offer{source: c.source, number: y.number, place: uint8(place), offered: y.offered(now)})
	}
	return dst
}

// watched adds the numbers of the layers that are decoded or sent on to somebody.
func (c *contribution) watched(dst []uint32) []uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, y := range c.layers {
		if c.decoded == y || y.stream.Subscribers() > 0 {
			dst = append(dst, y.number)
		}
	}
	return dst
}
