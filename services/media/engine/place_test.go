package engine

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// idle is an engine whose threads do not run: a test gives them their turns, at times of its own.
func idle(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, events: make(chan control.Event, 1000)}
	e, err := New(Config{Name: "0.0", FirstPort: 29000, LastPort: 29999, Capacity: 10000,
		Emit: func(_ string, e control.Event) {
			select {
			case b.events <- e:
			default:
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, o := range e.everyone() {
			o.clear(nil, nil)
		}
		if err := e.loop.Close(); err != nil {
			t.Errorf("the loop ended with %v", err)
		}
	})
	b.engine, b.client = e, e.Owner("test")
	return b
}

// pipe is the network thread of a leg whose only transport it feeds.
type pipe struct {
	*bench
	leg  control.Leg
	flow *flow
	far  *net.UDPConn // what the engine sends comes here
	now  time.Time
}

// pipe puts a leg with sound and a picture.
func (b *bench) pipe(id string, change func(*control.Leg)) *pipe {
	b.Helper()
	h264 := control.Format{Codec: control.H264, PayloadType: 96, PacketizationMode: 1}
	p := &pipe{bench: b, now: time.Now(), far: localSocket(b.T)}
	p.leg = control.Leg{ID: id, Name: id, Conference: "room",
		Transports: []control.Transport{{Local: []netip.Addr{loopback}, RTCPMux: true, Remote: addr(p.far)}},
		Audio: &control.Audio{Send: control.Format{Codec: control.PCMA, PayloadType: 8},
			Receive: []control.Format{{Codec: control.PCMA, PayloadType: 8}, {Codec: control.Opus, PayloadType: 111}}},
		Video: &control.Video{Send: h264, Receive: []control.Format{h264, {Codec: control.VP8, PayloadType: 97}}, PLI: true},
		View:  control.View{Layout: "allEqual", SelfPane: "skip"}}
	if change != nil {
		change(&p.leg)
	}
	p.put()
	p.flow = b.engine.owner("test").legs[id].flows[0]
	return p
}

func (p *pipe) put() {
	p.Helper()
	if _, err := p.client.PutLeg(context.Background(), p.leg); err != nil {
		p.Fatal(err)
	}
}

// send gives the leg a packet.
func (p *pipe) send(ssrc uint32, payloadType uint8, sequence uint16, timestamp uint32, payload ...byte) {
	h := rtp.Header{SSRC: ssrc, PayloadType: payloadType, Sequence: sequence, Timestamp: timestamp, Marker: true}
	p.flow.RTP(append(h.Append(nil), payload...), p.now)
}

// asked returns the next feedback that the far end gets.
func (p *pipe) asked() rtp.Kind {
	p.Helper()
	b := make([]byte, 1500)
	if err := p.far.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		p.Fatal(err)
	}
	n, err := p.far.Read(b)
	if err != nil {
		p.Fatalf("no feedback: %v", err)
	}
	c := rtp.Walk(b[:n])
	c.Next()
	return c.Kind
}

// part is a payload of H.264 that is no key frame.
var part = []byte{0x41, 0x9A, 1, 2, 3}

// layers are those of the main picture.
func (p *pipe) layers() []*layer {
	c := p.flow.leg.contribution[mainPicture].Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*layer(nil), c.layers...)
}

// changes counts how often another layer is in the first place.
type changes struct {
	last *layer
	n    int
}

func (c *changes) see(p *pipe) {
	if list := p.layers(); len(list) > 0 && list[0] != c.last {
		c.last = list[0]
		c.n++
	}
}

func TestTwoSSRCsDoNotTakeAPictureFromEachOther(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	var c changes
	for n := range uint16(120) {
		for _, ssrc := range []uint32{1, 2} {
			for i := range uint16(2) {
				p.send(ssrc, 96, 2*n+i, 3000*uint32(n), part...)
				c.see(p)
			}
		}
		c.last.receiver.RequestKey(p.now)
		p.now = p.now.Add(time.Second / 30)
	}
	if c.n != 1 || c.last.ssrc != 1 {
		t.Errorf("in four seconds the picture had %d layers, the last one of SSRC %d: want one, of SSRC 1", c.n, c.last.ssrc)
	}
	if keys := c.last.receiver.Counts().KeysAsked; keys > 5 {
		t.Errorf("%d key frames were asked for in four seconds: want one a second", keys)
	}
}

func TestANewSSRCHasThePictureWhenTheOldOneIsSilent(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	p.send(1, 96, 0, 0, part...)
	p.now = p.now.Add(time.Second / 30)
	for n := range uint16(30) {
		p.send(2, 96, n, 3000*uint32(n), part...)
		if got, want := p.layers()[0].ssrc, uint32(1); n < 10 && got != want {
			t.Fatalf("after %d pictures of another SSRC: got SSRC %d, want %d", n, got, want)
		}
		p.now = p.now.Add(time.Second / 30)
	}
	if got := p.layers()[0].ssrc; got != 2 {
		t.Errorf("a second after the first SSRC has ended: got SSRC %d, want 2", got)
	}
}

func TestAStrayPacketTakesNoPicture(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	p.send(1, 96, 0, 0, part...)
	p.now = p.now.Add(5 * time.Second) // a slide that stands still
	p.send(2, 96, 700, 0, part...)
	if got := p.layers()[0].ssrc; got != 1 {
		t.Errorf("after one packet of another SSRC: got SSRC %d, want 1", got)
	}
}

func TestAlternatingCodecsCostNoLayerEach(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	var c changes
	for n := range uint16(120) {
		p.send(1, 96, 4*n, 3000*uint32(n), part...)
		p.send(1, 97, 4*n+1, 3000*uint32(n), 0x10, 1, 2, 3)
		p.send(1, 97, 4*n+2, 3000*uint32(n), 0x10, 1, 2, 3)
		p.send(1, 96, 4*n+3, 3000*uint32(n), part...)
		c.see(p)
		p.now = p.now.Add(time.Second / 30)
	}
	if c.n > 6 {
		t.Errorf("in four seconds the picture had %d layers: want one a second", c.n)
	}
}

func TestAnotherCodecIsTakenOnceItComesInSequence(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	p.send(1, 96, 0, 0, part...)
	p.send(1, 97, 1, 3000, 0x10, 1, 2, 3)
	if got := p.layers()[0].codec; got != control.H264 {
		t.Fatalf("after one packet of VP8: got %s, want H264", got)
	}
	for range 2 {
		p.now = p.now.Add(time.Second)
		p.layers()[0].receiver.RequestKey(p.now)
	}
	before := p.layers()[0].receiver.Counts().KeysAsked
	p.send(1, 97, 2, 3000, 0x10, 1, 2, 3)
	y := p.layers()[0]
	if y.codec != control.VP8 {
		t.Errorf("after two packets of VP8: got %s", y.codec)
	}
	y.receiver.RequestKey(p.now.Add(500 * time.Millisecond))
	if got := y.receiver.Counts().KeysAsked; got != before {
		t.Errorf("half a second after %d requests for a key frame the next layer has asked %d times, want no more", before, got)
	}
}

func TestASenderOfRetransmissionsCannotMixIntoThePicture(t *testing.T) {
	p := idle(t).pipe("ann", func(l *control.Leg) { l.Video.Receive[0].RTX, l.Video.NACK = 98, true })
	for n := range uint16(10) {
		p.send(1, 96, n, 3000*uint32(n), part...)
		p.send(2, 98, n, 3000*uint32(n), append([]byte{0, byte(n)}, part...)...)
		p.send(2, 96, 100+n, 3000*uint32(n), part...)
		p.now = p.now.Add(time.Second / 30)
	}
	if got := p.layers()[0].receiver.Counts().Packets; got != 10 {
		t.Errorf("the layer counts %d packets of its own, want 10", got)
	}
}

func TestALaterPutIsKnownToTheLayer(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	p.send(1, 96, 0, 0, part...)
	again := *p.leg.Video
	again.Receive = []control.Format{{Codec: control.H264, PayloadType: 100, PacketizationMode: 1}}
	again.NACK, again.PLI, again.FIR = true, false, true
	p.leg.Video = &again
	p.put()
	y := p.layers()[0]
	for n := range uint16(4) {
		p.send(1, 100, 1+2*n, 3000*uint32(n+1), part...) // every other one is lost
	}
	if p.layers()[0] != y {
		t.Error("another payload type of the same codec made another layer")
	}
	if got := y.receiver.Counts().Packets; got != 5 {
		t.Errorf("the layer took %d packets, want 5", got)
	}
	y.receiver.Tick(p.now.Add(50 * time.Millisecond))
	if got := p.asked(); got != rtp.NACK {
		t.Errorf("when packets are lost after a put with NACK: got feedback %v, want %v", got, rtp.NACK)
	}
	y.receiver.RequestKey(p.now.Add(time.Minute))
	if got := p.asked(); got != rtp.FIR {
		t.Errorf("when a key frame is wanted after a put with FIR: got feedback %v, want %v", got, rtp.FIR)
	}
}

func TestManySSRCsOfSoundDoNotEndThePicture(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	var c changes
	for n := range uint16(30) {
		p.send(1, 96, n, 3000*uint32(n), part...)
		c.see(p)
		for i := range uint32(40) {
			p.send(1000+40*uint32(n)+i, 8, 0, 0, 0xD5)
		}
		p.now = p.now.Add(time.Second / 30)
	}
	if c.n != 1 {
		t.Errorf("the picture had %d layers, want 1", c.n)
	}
	if got := c.last.receiver.Counts().Packets; got != 30 {
		t.Errorf("the layer took %d packets, want 30", got)
	}
	found := 0
	for _, in := range p.flow.incoming {
		if in.ssrc == 1 {
			found++
		}
	}
	if found != 1 || len(p.flow.incoming) > maxIncoming {
		t.Errorf("among %d SSRCs the picture's is %d times, want once among at most %d", len(p.flow.incoming), found, maxIncoming)
	}
}

func TestTheClockOfSoundFollowsItsCodec(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	for n := range uint16(50) {
		p.send(7, 8, n, 160*uint32(n), 0xD5)
		p.now = p.now.Add(20 * time.Millisecond)
	}
	for n := range uint16(50) {
		p.send(7, 111, 50+n, 960*uint32(n), 0xF8, 0xFF, 0xFE)
		p.now = p.now.Add(20 * time.Millisecond)
	}
	r := &p.flow.incoming[0].reception
	if r.Clock != 48000 {
		t.Errorf("got %d Hz, want 48000", r.Clock)
	}
	if got := r.Jitter(); got > time.Millisecond {
		t.Errorf("steady packets have %v of jitter", got)
	}
}

// newTestEncoder opens an encoder of H.264.
func newTestEncoder(t *testing.T, width, height int) codec.VideoEncoder {
	t.Helper()
	e, err := codec.NewVideoEncoder(codec.VideoOptions{Codec: control.H264, Width: width, Height: height, Rate: 10, Bitrate: 200_000})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
