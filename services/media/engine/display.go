package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/layout"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
	"rotunda/services/media/transport"
)

// display is a picture that a leg is sent: the main one or the presentation. It has one lane, or one for each slot of a far
// end that draws its own layout. What the lanes carry is decided by the director's thread.
type display struct {
	leg   *leg
	which int
	flow  *flow
	lanes []*lane
	// made of, to tell whether a change needs a new display.
	made  control.Video
	class atomic.Uint32
	// width and height of what is sent; pace of its frames.
	width, height atomic.Int32
	pace          pace

	// sent is the rate of all lanes, which several threads send on: pictures, and packets that are sent again.
	sent struct {
		sync.Mutex
		rateMeter
	}

	// The director's own: direct is the source that could be forwarded, 0 for none, and chosen when it last was decided
	// whether the link carries it.
	direct  uint32
	chosen  time.Time
	watched *composition
	key     encodeKey
	tier    stream.TierState
	sources []uint32 // of slots, or the one that is forwarded
	panes   []string
}

// lane is one outgoing SSRC.
type lane struct {
	display *display
	ssrc    uint32
	rtx     uint32
	sender  *stream.Sender
	firs    firNumber // the network thread's
	// height of the tile that a slot fills, the director's.
	height int
	layer  *layer
}

// SendVideo sends a burst ([stream.Output]).
func (k *lane) SendVideo(packets [][]byte) {
	class := transport.Video
	if k.display.which == presentation {
		class = transport.Presentation
	}
	size, now := 0, time.Now()
	for _, p := range packets {
		size += len(p)
	}
	sent := &k.display.sent
	sent.Lock()
	sent.add(size, now)
	sent.Unlock()
	k.display.flow.endpoint.SendRTP(packets, class)
}

func newDisplay(l *leg, which int, v *control.Video) (*display, error) {
	d := &display{leg: l, which: which, flow: l.flows[v.Transport], made: *v, tier: stream.TierState{Tier: stream.TierHigh}}
	mid := v.MID
	for range max(v.Slots, 1) {
		k := &lane{display: d, ssrc: rtp.NewSSRC()}
		if v.Send.RTX != 0 {
			k.rtx = rtp.NewSSRC()
		}
		var err error
		k.sender, err = stream.NewSender(stream.SenderOptions{Codec: v.Send.Codec, SSRC: k.ssrc, PayloadType: v.Send.PayloadType,
			RTX: v.Send.RTX, RTXSSRC: k.rtx, MID: mid, MIDExtension: v.MIDExtension, TransportSequence: v.TransportSequence,
			Congestion: d.flow, Sequence: uint16(rtp.NewSSRC()), RTXSequence: uint16(rtp.NewSSRC()), Timestamp: rtp.NewSSRC(), Output: k})
		if err != nil {
			d.close()
			return nil, control.Errorf(control.CodeInvalid, "%v", err)
		}
		d.lanes = append(d.lanes, k)
		// Each further slot is a media section of its own, told by its SSRC: with this one's MID the far end would take it
		// for the first (RFC 8843, section 9.2).
		mid = ""
	}
	return d, nil
}

// suits tells whether the display can go on under a changed wanted state.
func (d *display) suits(v *control.Video) bool {
	m := &d.made
	return v.Transport == m.Transport && v.Send.Codec == m.Send.Codec && v.Send.PayloadType == m.Send.PayloadType &&
		v.Send.RTX == m.Send.RTX && v.Slots == m.Slots && v.MID == m.MID && v.MIDExtension == m.MIDExtension &&
		v.TransportSequence == m.TransportSequence
}

func (d *display) slots() bool { return d.made.Slots > 0 }

func (d *display) close() {
	for _, k := range d.lanes {
		k.sender.Close()
	}
}

// requestKey makes the next pictures key frames.
func (d *display) requestKey() {
	for _, k := range d.lanes {
		k.sender.RequestKey(time.Now())
	}
}

// wanted is the leg's wanted state of this picture, nil if there is none any more.
func (d *display) wanted() *control.Video { return pictureOf(d.leg.want.Load(), d.which) }

// stop sends nothing.
func (d *display) stop(now time.Time) {
	d.watched, d.sources = nil, d.sources[:0]
	for _, k := range d.lanes {
		_ = k.sender.Switch(nil, now) // nothing is of no codec
		k.layer = nil
	}
}

// watch sends a composition, in the tier that the link carries.
func (d *display) watch(c *composition, key encodeKey, alone bool, now time.Time) {
	if key.mtu = d.mtu(); alone {
		d.class.Store(uint32(personal))
	} else {
		d.class.Store(uint32(shared))
	}
	d.watched, d.key, d.sources = c, key, d.sources[:0]
	d.width.Store(int32(c.key.Width))
	d.height.Store(int32(c.key.Height))
	d.lanes[0].layer = nil
	d.tier = stream.NextTier(d.tier, stream.TierRates(key.top), d.flow.bitrate(), now)
	d.carry(d.lanes[0], c.stream(key, d.tier.Tier), now)
}

func (d *display) mtu() int {
	want := d.leg.want.Load()
	if t := want.Transports; d.made.Transport < len(t) && t[d.made.Transport].MTU > 0 {
		return t[d.made.Transport].MTU
	}
	return control.DefaultMTU
}

// carry switches a lane; a stream of another codec is a mistake of ours that nobody can help.
func (d *display) carry(k *lane, to *stream.Stream, now time.Time) {
	if current, pending := k.sender.Carries(); pending == to || pending == nil && current == to {
		return
	}
	if err := k.sender.Switch(to, now); err != nil {
		d.leg.engine.c.Log.Error("switch a picture", "leg", d.leg.id, "error", err)
	}
}

// forward sends a source as it comes. Scene is nil for a presentation.
func (d *display) forward(s *stage, c *contribution, scene *layout.Scene, now time.Time) {
	d.watched = nil
	d.sources = append(d.sources[:0], c.source)
	d.class.Store(uint32(forward))
	v := d.wanted()
	if v == nil {
		return
	}
	_, height, _ := limits(v)
	d.lanes[0].height = height
	d.pick(s, now)
}

// fits tells whether the link carries a source as it comes.
func (d *display) fits(c *contribution, now time.Time) bool {
	_, o := c.best(now)
	return suitsLink(o.bitrate, d.flow.bitrate(), d.watched == nil && len(d.sources) > 0)
}

// fill puts the sources of a scene into slots.
func (d *display) fill(s *stage, scene *layout.Scene, now time.Time) {
	d.watched = nil
	d.class.Store(uint32(slots))
	var wanted []uint32
	heights := map[uint32]int{}
	for i := range scene.Panes {
		p := &scene.Panes[i]
		c := s.contributions[p.Source]
		if c == nil || p.CameraOff {
			continue
		}
		if y, o := c.best(now); y == nil || o.codec != d.made.Send.Codec {
			continue // what the far end cannot decode is better left out than sent
		}
		wanted = append(wanted, p.Source)
		heights[p.Source] = p.Rect.H
	}
	sources := append(make([]uint32, 0, len(d.lanes)), d.sources...)
	for len(sources) < len(d.lanes) {
		sources = append(sources, 0)
	}
	stream.AssignSlots(sources, wanted)
	d.sources = sources
	for i, k := range d.lanes {
		k.height = heights[sources[i]]
	}
	d.pick(s, now)
	d.tell(s)
}

// pick chooses the layer of each lane by its tile and the link.
func (d *display) pick(s *stage, now time.Time) {
	var needs []stream.Need
	var of []*lane
	var lists [][]*layer
	for i, k := range d.lanes {
		var c *contribution
		if i < len(d.sources) {
			c = s.contributions[d.sources[i]]
		}
		if c == nil {
			_ = k.sender.Switch(nil, now) // nothing is of no codec
			k.layer = nil
			continue
		}
		layers, sizes := c.list(now)
		needs = append(needs, stream.Need{Layers: sizes, Current: slices.Index(layers, k.layer), Width: k.height * 16 / 9, Height: k.height})
		of, lists = append(of, k), append(lists, layers)
	}
	choices := stream.ShareBandwidth(nil, needs, d.flow.bitrate())
	for i, k := range of {
		choice := choices[i]
		if choice < 0 && len(d.lanes) == 1 && len(lists[i]) > 0 {
			// The one picture that there is: whether it suits the link was asked before.
			choice = 0
		}
		if choice < 0 {
			if !slices.Contains(lists[i], k.layer) {
				_ = k.sender.Switch(nil, now) // nothing rather than who was in this slot before
				k.layer = nil
			}
			continue
		}
		k.layer = lists[i][choice]
		if len(d.lanes) == 1 {
			d.width.Store(int32(needs[i].Layers[choice].Width))
			d.height.Store(int32(needs[i].Layers[choice].Height))
		}
		d.carry(k, k.layer.stream, now)
	}
}

// paceBurst is by how much pictures may be faster than the link is taken to be: a key frame has ten times the bits of
// another, and is to be there within a few frames.
const paceBurst = 4

// review follows the link; true asks for an arrangement.
func (d *display) review(s *stage, now time.Time) bool {
	link := d.flow.bitrate()
	for _, k := range d.lanes {
		k.sender.SetPace(paceBurst*link, now)
	}
	if d.direct != 0 {
		if c := s.contributions[d.direct]; c != nil {
			_, o := c.best(now)
			if now.Sub(d.chosen) >= chooseAfter && suitsLink(o.bitrate, link, d.watched == nil) != (d.watched == nil) {
				d.chosen = now
				return true
			}
		}
	}
	if c := d.watched; c != nil {
		was := d.tier.Tier
		d.tier = stream.NextTier(d.tier, stream.TierRates(d.key.top), link, now)
		if d.tier.Tier != was {
			d.carry(d.lanes[0], c.stream(d.key, d.tier.Tier), now)
		}
		return false
	}
	if len(d.sources) > 0 {
		d.pick(s, now)
	}
	return false
}

// see notes what the far end sees in a composed or forwarded picture, and tells the client when it changes.
func (d *display) see(s *stage, scene *layout.Scene) {
	name := scene.Layout
	if old := d.leg.layout.Load(); old == nil || *old != name {
		d.leg.layout.Store(&name)
	}
	panes := make([]string, 0, len(scene.Panes))
	for i := range scene.Panes {
		panes = append(panes, s.ids[scene.Panes[i].Source])
	}
	d.told(panes)
}

// tell says which leg is in which slot.
func (d *display) tell(s *stage) {
	panes := make([]string, 0, len(d.sources))
	for _, source := range d.sources {
		panes = append(panes, s.ids[source])
	}
	d.told(panes)
}

func (d *display) told(panes []string) {
	if slices.Equal(panes, d.panes) {
		return
	}
	d.panes = panes
	d.leg.emit(control.Event{Event: control.EventPanes, Panes: panes})
}
