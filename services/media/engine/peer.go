package engine

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"rotunda/services/media/audio"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
)

// peer is another worker in one conference: what its legs say is heard here, and what it wants of the legs here it is
// sent.
type peer struct {
	mesh  *mesh
	other control.Other
	// source is the mix of its legs.
	source *audio.Source

	mu sync.Mutex
	// wanted are the numbers of layers that it has asked for, with the time; outlets send them.
	wanted  map[uint32]time.Time
	outlets map[uint32]*outlet
	closed  bool

	// The director's own: what was asked of it last, and when.
	asked   []uint32
	askedAt time.Time
	packet  []byte
}

// outlet sends a layer to a peer.
type outlet struct {
	peer   *peer
	layer  *layer
	sender *stream.Sender
}

const (
	// sayEvery is the pace at which a worker repeats what it has and wants; what was not repeated for forgetAfter is over.
	sayEvery    = time.Second
	forgetAfter = 3 * time.Second
	// maxWanted bounds what one peer can make us remember: every layer of a hundred legs.
	maxWanted = 400
)

func newPeer(m *mesh, other control.Other) *peer {
	p := &peer{mesh: m, other: other, wanted: map[uint32]time.Time{}, outlets: map[uint32]*outlet{}}
	p.source = m.conference.bus.AddSource(other.Mix, audio.SourceOptions{Link: true})
	m.exchange().enter(p)
	return p
}

func (p *peer) close() {
	p.mesh.exchange().leave(p)
	p.source.Remove()
	p.mu.Lock()
	defer p.mu.Unlock()
	for number, o := range p.outlets {
		o.sender.Close()
		delete(p.outlets, number)
	}
	clear(p.wanted)
	p.closed = true
}

// sound takes 20 ms of the mix. Its contributor is who leads among those who speak there.
func (p *peer) sound(h *rtp.Header, payload []byte, arrival time.Time) {
	if h.Contributors() > 0 {
		p.source.Speak(h.Contributor(0))
	}
	p.source.Push(audio.Packet{Codec: control.L16, SSRC: h.SSRC, Sequence: h.Sequence, Timestamp: h.Timestamp, Marker: h.Marker,
		Level: audio.LevelUnknown, Arrival: arrival, Payload: payload})
}

// hear takes a list of what the peer has or wants, on the network thread.
func (p *peer) hear(name, list []byte) {
	now := time.Now()
	switch [4]byte(name) {
	case nameHave:
		for ; len(list) >= offerSize; list = list[offerSize:] {
			if o, ok := parseOffer(list); ok {
				p.mesh.conference.offer(p, o, now)
			}
		}
	case nameWant:
		fresh := false
		p.mu.Lock()
		for ; len(list) >= 4; list = list[4:] {
			number := binary.BigEndian.Uint32(list)
			if _, known := p.wanted[number]; !known {
				if len(p.wanted) >= maxWanted {
					continue
				}
				fresh = true
			}
			p.wanted[number] = now
		}
		p.mu.Unlock()
		if fresh {
			p.mesh.conference.changed.Store(true)
		}
	}
}

// serve sends the layers that are wanted, and no others. It is the director's.
func (p *peer) serve(layers map[uint32]*layer, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for number, at := range p.wanted {
		if now.Sub(at) > forgetAfter {
			delete(p.wanted, number)
		}
	}
	for number, o := range p.outlets {
		if _, wanted := p.wanted[number]; !wanted || layers[number] != o.layer {
			o.sender.Close()
			delete(p.outlets, number)
		}
	}
	for number := range p.wanted {
		y := layers[number]
		if y == nil || p.outlets[number] != nil {
			continue
		}
		o, err := newOutlet(p, y)
		if err == nil {
			err = o.sender.Switch(y.stream, now)
		}
		if err != nil {
			p.mesh.conference.owner.engine.c.Log.Error("a picture cannot be passed on", "worker", p.other.Worker, "error", err)
			continue
		}
		p.outlets[number] = o
	}
}

func newOutlet(p *peer, y *layer) (*outlet, error) {
	o := &outlet{peer: p, layer: y}
	var err error
	o.sender, err = stream.NewSender(stream.SenderOptions{Codec: y.codec, SSRC: y.number, PayloadType: uint8(picturesFrom + numberOf(y.codec)),
		Sequence: uint16(rtp.NewSSRC()), Timestamp: rtp.NewSSRC(), Output: o})
	return o, err
}

// SendVideo sends a burst ([stream.Output]).
func (o *outlet) SendVideo(packets [][]byte) {
	o.peer.mesh.exchange().port.Send(o.peer.other.Exchange, packets)
}

// outlet returns the one that sends a layer.
func (p *peer) outlet(number uint32) *outlet {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outlets[number]
}

func (p *peer) tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.outlets {
		o.sender.Tick(now)
	}
}

// ask tells the peer which of its layers are wanted, when that has changed or is due. It is the director's.
func (p *peer) ask(wanted []uint32, now time.Time) {
	slices.Sort(wanted)
	if slices.Equal(wanted, p.asked) && (len(wanted) == 0 || now.Sub(p.askedAt) < sayEvery) {
		return
	}
	p.asked, p.askedAt = append(p.asked[:0], wanted...), now
	list := make([]byte, 0, 4*len(wanted))
	for _, number := range wanted {
		list = binary.BigEndian.AppendUint32(list, number)
	}
	p.packet = say(p.packet, p.mesh.number, nameWant, list, p.send)
}

// send sends a packet of RTCP.
func (p *peer) send(packet []byte) { p.mesh.exchange().port.SendOne(p.other.Exchange, packet) }
