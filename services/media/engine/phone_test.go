package engine

import (
	"context"
	"fmt"
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

// bench is an engine that runs, with its events.
type bench struct {
	*testing.T
	engine *Engine
	client control.Service
	events chan control.Event
}

func start(t *testing.T) *bench {
	t.Helper()
	return startWorker(t, 0)
}

// startWorker starts one of several on this machine.
func startWorker(t *testing.T, index int) *bench {
	t.Helper()
	b := &bench{T: t, events: make(chan control.Event, 1000)}
	e, err := New(Config{Name: fmt.Sprintf("0.%d", index), FirstPort: 20000 + 1000*index, LastPort: 20999 + 1000*index, Fonts: "/usr/share/fonts", Capacity: 10000,
		Emit: func(_ string, e control.Event) {
			select {
			case b.events <- e:
			default:
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the engine ended with %v", err)
		}
	})
	b.engine, b.client = e, e.Owner("test")
	return b
}

// wait returns the first event that fits.
func (b *bench) wait(what string, fits func(control.Event) bool) control.Event {
	b.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case e := <-b.events:
			if fits(e) {
				return e
			}
		case <-limit:
			b.Fatalf("no event: %s", what)
		}
	}
}

// phone is a far end with plain RTP: it sends a tone in G.711 and a picture of one colour in H.264, and keeps what it gets.
type phone struct {
	bench  *bench
	id     string
	leg    control.Leg
	state  control.LegState
	sounds *net.UDPConn
	movies *net.UDPConn
	stop   context.CancelFunc
	wait   sync.WaitGroup
	tone   atomic.Uint64 // bits of a float64

	mu      sync.Mutex
	pcm     []int16
	frame   *picture.Frame
	decoded int
	packets int
	keys    []byte
}

func localSocket(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addr(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// dial puts a leg into a conference and begins to send. Tone 0 is silence; colour is luma, blue and red difference, nil for
// no picture.
func (b *bench) dial(id, conference string, tone float64, colour *[3]byte, change func(*control.Leg)) *phone {
	b.Helper()
	p := &phone{bench: b, id: id, sounds: localSocket(b.T)}
	p.leg = control.Leg{ID: id, Name: id, Conference: conference,
		Transports: []control.Transport{{Local: []netip.Addr{loopback}, RTCPMux: true, Remote: addr(p.sounds)}},
		Audio: &control.Audio{Send: control.Format{Codec: control.PCMA, PayloadType: 8},
			Receive: []control.Format{{Codec: control.PCMA, PayloadType: 8}}, DTMF: 101}}
	if colour != nil {
		p.movies = localSocket(b.T)
		h264 := control.Format{Codec: control.H264, PayloadType: 96, PacketizationMode: 1}
		p.leg.Transports = append(p.leg.Transports, control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true, Remote: addr(p.movies)})
		p.leg.Video = &control.Video{Transport: 1, Send: h264, Receive: []control.Format{h264}, MaxWidth: 640, MaxHeight: 360, NACK: true, PLI: true}
		p.leg.View = control.View{Layout: "allEqual", SelfPane: "skip"}
	}
	if change != nil {
		change(&p.leg)
	}
	var err error
	if p.state, err = b.client.PutLeg(context.Background(), p.leg); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.say(tone)
	p.wait.Go(func() { p.talk(ctx) })
	p.wait.Go(p.hear)
	if colour != nil {
		p.wait.Go(func() { p.film(ctx, *colour) })
		p.wait.Go(p.watch)
	}
	b.Cleanup(p.hangUp)
	return p
}

func (p *phone) hangUp() {
	p.stop()
	p.sounds.Close()
	if p.movies != nil {
		p.movies.Close()
	}
	p.wait.Wait()
}

// say changes the tone that is sent.
func (p *phone) say(tone float64) { p.tone.Store(math.Float64bits(tone)) }

// talk sends 20 ms of a tone every 20 ms.
func (p *phone) talk(ctx context.Context) {
	e, err := codec.NewAudioEncoder(control.PCMA, codec.AudioOptions{})
	if err != nil {
		p.bench.Error(err)
		return
	}
	defer e.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	pcm := make([]int16, 160)
	payload := make([]byte, 160)
	h := rtp.Header{SSRC: rtp.NewSSRC(), PayloadType: 8, Marker: true}
	for n := 0; ; {
		tone := math.Float64frombits(p.tone.Load())
		for i := range pcm {
			pcm[i] = 0
			if tone > 0 {
				pcm[i] = int16(8000 * math.Sin(2*math.Pi*tone*float64(n)/8000))
			}
			n++
		}
		size, err := e.Encode(payload, pcm)
		if err != nil {
			p.bench.Error(err)
			return
		}
		packet := append(h.Append(nil), payload[:size]...)
		if _, err := p.sounds.WriteToUDPAddrPort(packet, p.state.Transports[0].RTP[0]); err != nil {
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

// hear keeps the last two seconds of sound.
func (p *phone) hear() {
	d, err := codec.NewAudioDecoder(control.PCMA)
	if err != nil {
		p.bench.Error(err)
		return
	}
	defer d.Close()
	b := make([]byte, 1500)
	pcm := make([]int16, 2000)
	var pressed rtp.Keys
	for {
		n, err := p.sounds.Read(b)
		if err != nil {
			return
		}
		var h rtp.Header
		payload, err := h.Parse(b[:n])
		if err == nil && h.PayloadType == 101 && !rtp.IsRTCP(b[:n]) {
			if key, ok := pressed.Packet(payload, h.Timestamp, h.Marker, time.Now()); ok {
				p.mu.Lock()
				p.keys = append(p.keys, key)
				p.mu.Unlock()
			}
		}
		if err != nil || rtp.IsRTCP(b[:n]) || h.PayloadType != 8 {
			continue
		}
		k, err := d.Decode(pcm, payload)
		if err != nil {
			continue
		}
		p.mu.Lock()
		p.packets++
		p.pcm = append(p.pcm, pcm[:k]...)
		if over := len(p.pcm) - 16000; over > 0 {
			p.pcm = p.pcm[:copy(p.pcm, p.pcm[over:])]
		}
		p.mu.Unlock()
	}
}

// typed are the keys that came.
func (p *phone) typed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.keys)
}

// press sends one key.
func (p *phone) press(key byte) {
	press, err := rtp.NewKeyPress(key, 1000, 8000, 100*time.Millisecond, 20*time.Millisecond)
	if err != nil {
		p.bench.Fatal(err)
	}
	h := rtp.Header{SSRC: 99, PayloadType: 101}
	for {
		payload, at, marker, ok := press.Next(nil)
		if !ok {
			return
		}
		h.Timestamp, h.Marker = at, marker
		if _, err := p.sounds.WriteToUDPAddrPort(append(h.Append(nil), payload...), p.state.Transports[0].RTP[0]); err != nil {
			p.bench.Fatal(err)
		}
		h.Sequence++
	}
}

// heard is the level of a frequency in the last half second, relative to the loudest that talk sends.
func (p *phone) heard(frequency float64) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pcm) < 4000 {
		return 0
	}
	last := p.pcm[len(p.pcm)-4000:]
	w := 2 * math.Pi * frequency / 8000
	var s1, s2 float64
	for _, v := range last {
		s1, s2 = float64(v)+2*math.Cos(w)*s1-s2, s1
	}
	power := s1*s1 + s2*s2 - 2*math.Cos(w)*s1*s2
	return math.Sqrt(power) * 2 / float64(len(last)) / 8000
}

// film sends a picture of one colour, 15 times a second.
func (p *phone) film(ctx context.Context, colour [3]byte) {
	f, err := p.bench.engine.frames.Get(640, 360)
	if err != nil {
		p.bench.Error(err)
		return
	}
	defer f.Release()
	fill := func(b []byte, v byte) {
		for i := range b {
			b[i] = v
		}
	}
	fill(f.Y, colour[0])
	fill(f.U, colour[1])
	fill(f.V, colour[2])
	e, err := codec.NewVideoEncoder(codec.VideoOptions{Codec: control.H264, Width: 640, Height: 360, Rate: 15, Bitrate: 300_000})
	if err != nil {
		p.bench.Error(err)
		return
	}
	defer e.Close()
	packets, err := stream.NewPacketizer(control.H264, 1100, 1)
	if err != nil {
		p.bench.Error(err)
		return
	}
	tick := time.NewTicker(time.Second / 15)
	defer tick.Stop()
	h := rtp.Header{SSRC: rtp.NewSSRC(), PayloadType: 96}
	for n := 0; ; n++ {
		unit, _, err := e.Encode(nil, f, n%15 == 0)
		if err != nil {
			p.bench.Error(err)
			return
		}
		payloads, err := packets.Split(unit)
		if err != nil {
			p.bench.Error(err)
			return
		}
		for i, payload := range payloads {
			h.Marker = i == len(payloads)-1
			if _, err := p.movies.WriteToUDPAddrPort(append(h.Append(nil), payload...), p.state.Transports[1].RTP[0]); err != nil {
				return
			}
			h.Sequence++
		}
		h.Timestamp += 6000
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watch decodes what comes and keeps the last frame.
func (p *phone) watch() {
	d, err := codec.NewVideoDecoder(control.H264)
	if err != nil {
		p.bench.Error(err)
		return
	}
	defer d.Close()
	var r *stream.Receiver
	b := make([]byte, 1500)
	for {
		n, err := p.movies.Read(b)
		if err != nil {
			p.mu.Lock()
			if p.frame != nil {
				p.frame.Release()
				p.frame = nil
			}
			p.mu.Unlock()
			return
		}
		var h rtp.Header
		if _, err := h.Parse(b[:n]); err != nil || rtp.IsRTCP(b[:n]) {
			continue
		}
		if r == nil {
			r, err = stream.NewReceiver(stream.ReceiverOptions{SSRC: h.SSRC, Formats: p.leg.Video.Receive, Feedback: p, Pool: p.bench.engine.units, Unit: func(u *stream.AccessUnit) {
				defer u.Release()
				f, err := d.Decode(u.Data, u.Timestamp)
				if err != nil || f == nil {
					return
				}
				p.mu.Lock()
				if p.frame != nil {
					p.frame.Release()
				}
				p.frame = f
				p.decoded++
				p.mu.Unlock()
			}})
			if err != nil {
				p.bench.Error(err)
				return
			}
			r.SetDecode(true, time.Now())
		}
		_ = r.Push(b[:n], time.Now())
	}
}

func (p *phone) AskAgain(uint32, []uint16) {}

// AskKey asks the engine for a key frame.
func (p *phone) AskKey(ssrc uint32, _ uint8) {
	packet := rtp.AppendReceiverReport(nil, 1, nil)
	packet = rtp.AppendPLI(packet, 1, ssrc)
	_, _ = p.movies.WriteToUDPAddrPort(packet, p.state.Transports[1].RTP[0])
}

// sees is the colour at a point of the picture, in parts of its sides.
func (p *phone) sees(x, y float64) (colour [3]byte, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.frame
	if f == nil {
		return colour, false
	}
	px, py := int(x*float64(f.Width)), int(y*float64(f.Height))
	return [3]byte{f.Y[py*f.StrideY+px], f.U[py/2*f.StrideC+px/2], f.V[py/2*f.StrideC+px/2]}, true
}

// until asks again every 20 ms until something is true.
func (b *bench) until(what string, is func() bool) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			b.Fatalf("after 20 s still not: %s", what)
		}
	}
}
