package peers

import (
	"context"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// phone is a far end of our own with plain RTP: it talks in a tone and films a colour, and keeps what it hears and sees. Its
// parts are the engine's own, so it proves nothing about formats; programs of others do. It is there to be the other end of a call
// with them, and to do what they cannot: change its colour, lose packets.
type phone struct {
	*controller
	eye
	ear
	leg   control.Leg
	state control.LegState
	// at is the state, for those who send.
	place atomic.Pointer[control.LegState]
	// gaps counts packets of sound that were missing.
	gaps atomic.Int64

	sounds, movies, slides *net.UDPConn
	// tone in Hz, 0 for silence; colour of the camera, and of the presentation.
	tone           atomic.Int64
	colour, slide  atomic.Pointer[colour]
	second         eye // what comes as presentation
	receiver, seen atomic.Pointer[stream.Receiver]
	wantKey        [2]atomic.Bool
	keys           atomic.Pointer[string]
	// received is called with each packet of the main picture.
	received atomic.Pointer[func(packet []byte)]
	// sent is called with each packet of the main picture that goes.
	sent atomic.Pointer[func(packet []byte)]

	stop context.CancelFunc
	wait sync.WaitGroup
}

func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addressOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func plain(remote netip.AddrPort) control.Transport {
	return control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true, Remote: remote}
}

// Formats of phones.
var (
	pcma = control.Format{Codec: control.PCMA, PayloadType: 8}
	h264 = control.Format{Codec: control.H264, PayloadType: 96, PacketizationMode: 1}
)

// The size that phones film in.
const phoneWidth, phoneHeight, phoneRate = 640, 360, 15

// call puts a leg into a conference. A phone with tone 0 is silent; one without colour has no picture in either direction.
// Change, where there is one, changes the leg first.
func (c *controller) call(id, conference string, tone int, film *colour, change func(*control.Leg)) *phone {
	c.Helper()
	p := &phone{controller: c, sounds: udp(c.T), ear: ear{rate: 8000}}
	p.tone.Store(int64(tone))
	p.leg = control.Leg{ID: id, Name: id, Conference: conference, Transports: []control.Transport{plain(addressOf(p.sounds))},
		Audio: &control.Audio{Send: pcma, Receive: []control.Format{pcma}, DTMF: 101}}
	if film != nil {
		p.colour.Store(film)
		p.movies = udp(c.T)
		p.leg.Transports = append(p.leg.Transports, plain(addressOf(p.movies)))
		p.leg.Video = &control.Video{Transport: 1, Send: h264, Receive: []control.Format{h264}, MaxWidth: phoneWidth, MaxHeight: phoneHeight, NACK: true, PLI: true}
		p.leg.View = control.View{Layout: "allEqual", SelfPane: "skip"}
	}
	if change != nil {
		change(&p.leg)
	}
	if p.leg.Presentation != nil {
		p.slides = udp(c.T)
		p.leg.Transports = append(p.leg.Transports, plain(addressOf(p.slides)))
		p.leg.Presentation.Transport = len(p.leg.Transports) - 1
	}
	p.settle(c.put(p.leg))
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.wait.Go(func() { p.talk(ctx) })
	p.wait.Go(p.listenTo)
	if p.leg.Video != nil {
		p.wait.Go(func() { p.film(ctx, 1, p.movies, &p.colour) })
		p.wait.Go(func() { p.watchOn(1, p.movies, &p.eye, &p.receiver) })
	}
	if p.slides != nil {
		n := p.leg.Presentation.Transport
		p.wait.Go(func() { p.film(ctx, n, p.slides, &p.slide) })
		p.wait.Go(func() { p.watchOn(n, p.slides, &p.second, &p.seen) })
	}
	c.Cleanup(p.hangUp)
	return p
}

// change puts the leg again.
func (p *phone) change(how func(*control.Leg)) {
	p.Helper()
	how(&p.leg)
	p.settle(p.put(p.leg))
}

// settle takes the engine's half.
func (p *phone) settle(s control.LegState) {
	p.state = s
	p.place.Store(&s)
}

// hangUp stops the far end; its leg stays.
func (p *phone) hangUp() {
	p.stop()
	for _, c := range []*net.UDPConn{p.sounds, p.movies, p.slides} {
		if c != nil {
			c.Close()
		}
	}
	p.wait.Wait()
}

// to is where packets of a transport go.
func (p *phone) to(transport int) netip.AddrPort { return p.place.Load().Transports[transport].RTP[0] }

// talk sends 20 ms of the tone every 20 ms.
func (p *phone) talk(ctx context.Context) {
	e, err := codec.NewAudioEncoder(control.PCMA, codec.AudioOptions{})
	if err != nil {
		p.Error(err)
		return
	}
	defer e.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	pcm := make([]int16, 160)
	payload := make([]byte, 160)
	h := rtp.Header{SSRC: rtp.NewSSRC(), PayloadType: pcma.PayloadType, Marker: true}
	for n := 0; ; {
		tone := float64(p.tone.Load())
		for i := range pcm {
			pcm[i] = int16(8000 * math.Sin(2*math.Pi*tone*float64(n)/8000))
			n++
		}
		size, err := e.Encode(payload, pcm)
		if err != nil {
			p.Error(err)
			return
		}
		if _, err := p.sounds.WriteToUDPAddrPort(append(h.Append(nil), payload[:size]...), p.to(0)); err != nil {
			return
		}
		h.Sequence, h.Timestamp, h.Marker = h.Sequence+1, h.Timestamp+160, false
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// listenTo takes sound, and keys that were pressed.
func (p *phone) listenTo() {
	d, err := codec.NewAudioDecoder(control.PCMA)
	if err != nil {
		p.Error(err)
		return
	}
	defer d.Close()
	var keys rtp.Keys
	pressed := ""
	var last rtp.Header
	b := make([]byte, 1500)
	pcm := make([]int16, 2000)
	for {
		n, err := p.sounds.Read(b)
		if err != nil {
			return
		}
		var h rtp.Header
		payload, err := h.Parse(b[:n])
		if err != nil || rtp.IsRTCP(b[:n]) {
			continue
		}
		if h.SSRC == last.SSRC && h.Sequence != last.Sequence+1 {
			p.gaps.Add(1)
		}
		last = h
		switch h.PayloadType {
		case p.leg.Audio.DTMF:
			if key, ok := keys.Packet(payload, h.Timestamp, h.Marker, time.Now()); ok {
				pressed += string(key)
				all := pressed
				p.keys.Store(&all)
			}
		case pcma.PayloadType:
			if k, err := d.Decode(pcm, payload); err == nil {
				p.hear(pcm[:k])
			}
		}
	}
}

// paint makes a picture of a colour with a texture that moves, so that it takes several packets.
func paint(f *picture.Frame, c colour, n int) {
	for y := range f.Height {
		row := f.Y[y*f.StrideY:][:f.Width]
		for x := range row {
			row[x] = byte(int(c[0]) + (x*7+y*13+n*5)%9 - 4)
		}
	}
	for i, plane := range [2][]byte{f.U, f.V} {
		for k := range plane {
			plane[k] = c[1+i]
		}
	}
}

// film sends pictures of a colour; while there is none, nothing. There is a key frame with each new colour and where one is
// asked for.
func (p *phone) film(ctx context.Context, transport int, from *net.UDPConn, c *atomic.Pointer[colour]) {
	f, err := picture.NewPool().Get(phoneWidth, phoneHeight)
	if err != nil {
		p.Error(err)
		return
	}
	defer f.Release()
	e, err := codec.NewVideoEncoder(codec.VideoOptions{Codec: control.H264, Width: f.Width, Height: f.Height, Rate: phoneRate, Bitrate: 400_000})
	if err != nil {
		p.Error(err)
		return
	}
	defer e.Close()
	packets, err := stream.NewPacketizer(control.H264, 1100, 1)
	if err != nil {
		p.Error(err)
		return
	}
	tick := time.NewTicker(time.Second / phoneRate)
	defer tick.Stop()
	h := rtp.Header{SSRC: rtp.NewSSRC(), PayloadType: h264.PayloadType}
	again := &p.wantKey[0]
	if from == p.slides {
		again = &p.wantKey[1]
	}
	var was *colour
	for n := 0; ; n++ {
		if now := c.Load(); now != nil {
			paint(f, *now, n)
			unit, _, err := e.Encode(nil, f, again.Swap(false) || was != now)
			if err != nil {
				p.Error(err)
				return
			}
			was = now
			payloads, err := packets.Split(unit)
			if err != nil {
				p.Error(err)
				return
			}
			for i, payload := range payloads {
				h.Marker = i == len(payloads)-1
				packet := append(h.Append(nil), payload...)
				if sent := p.sent.Load(); sent != nil && from == p.movies {
					(*sent)(packet)
				}
				if _, err := from.WriteToUDPAddrPort(packet, p.to(transport)); err != nil {
					return
				}
				h.Sequence++
			}
		}
		h.Timestamp += 90000 / phoneRate
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watchOn decodes pictures.
func (p *phone) watchOn(transport int, from *net.UDPConn, to *eye, receiver *atomic.Pointer[stream.Receiver]) {
	d, err := codec.NewVideoDecoder(control.H264)
	if err != nil {
		p.Error(err)
		return
	}
	defer d.Close()
	pool := stream.NewPool(0)
	b := make([]byte, 1500)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		now := time.Now()
		if rtp.IsRTCP(b[:n]) {
			p.asked(b[:n], from)
			continue
		}
		var h rtp.Header
		if _, err := h.Parse(b[:n]); err != nil {
			continue
		}
		r := receiver.Load()
		if r == nil || r.SSRC() != h.SSRC {
			r, err = stream.NewReceiver(stream.ReceiverOptions{SSRC: h.SSRC, Formats: []control.Format{h264}, NACK: true, Pool: pool,
				Feedback: asker{p, from, transport}, Unit: func(u *stream.AccessUnit) {
					defer u.Release()
					f, err := d.Decode(u.Data, u.Timestamp)
					if err != nil || f == nil {
						return
					}
					defer f.Release()
					to.look(f.Width, f.Height, func(frame []byte) { flatten(frame, f) })
				}})
			if err != nil {
				p.Error(err)
				return
			}
			r.SetDecode(true, now)
			receiver.Store(r)
		}
		if seen := p.received.Load(); seen != nil && from == p.movies {
			(*seen)(b[:n])
		}
		_ = r.Push(b[:n], now)
		r.Tick(now)
	}
}

// flatten copies a picture without its strides.
func flatten(dst []byte, f *picture.Frame) {
	copyPlane := func(src []byte, stride, width, height int) {
		for y := range height {
			dst = dst[copy(dst[:width], src[y*stride:]):]
		}
	}
	copyPlane(f.Y, f.StrideY, f.Width, f.Height)
	copyPlane(f.U, f.StrideC, f.Width/2, f.Height/2)
	copyPlane(f.V, f.StrideC, f.Width/2, f.Height/2)
}

// asked notes that the engine wants a key frame.
func (p *phone) asked(packet []byte, on *net.UDPConn) {
	c := rtp.Walk(packet)
	for c.Next() {
		if c.Kind == rtp.PLI || c.Kind == rtp.FIR {
			if on == p.slides {
				p.wantKey[1].Store(true)
			} else {
				p.wantKey[0].Store(true)
			}
		}
	}
}

// asker sends what a receiver asks for.
type asker struct {
	phone     *phone
	from      *net.UDPConn
	transport int
}

func (a asker) AskAgain(ssrc uint32, lost []uint16) {
	packet := rtp.AppendReceiverReport(nil, 1, nil)
	_, _ = a.from.WriteToUDPAddrPort(rtp.AppendNACK(packet, 1, ssrc, lost), a.phone.to(a.transport))
}

func (a asker) AskKey(ssrc uint32, _ uint8) {
	packet := rtp.AppendReceiverReport(nil, 1, nil)
	_, _ = a.from.WriteToUDPAddrPort(rtp.AppendPLI(packet, 1, ssrc), a.phone.to(a.transport))
}
