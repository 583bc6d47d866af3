package roomsystem

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"rotunda/services/callbridge/leg/baresip"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
)

// rate of its sound in samples a second.
const rate = 8000

// flow is one RTP stream in both directions, with RTCP on the same port.
type flow struct {
	socket *net.UDPConn
	ssrc   uint32

	mu     sync.Mutex
	remote netip.AddrPort
	on     bool // we send
	header rtp.Header

	// What came: sound, or pictures.
	sound   []int16
	picture *image.RGBA
	frames  int
}

func newFlow(address netip.Addr) (*flow, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if err != nil {
		return nil, err
	}
	// A key frame is many packets at a time.
	_ = c.SetReadBuffer(1 << 20)
	f := &flow{socket: c, ssrc: rtp.NewSSRC()}
	f.header = rtp.Header{SSRC: f.ssrc, Sequence: uint16(rtp.NewSSRC()), Timestamp: rtp.NewSSRC()}
	return f, nil
}

func (f *flow) port() uint16 { return f.socket.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// aim says where to send, invalid for nowhere, and whether to.
func (f *flow) aim(remote netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remote = remote
}

func (f *flow) send(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
}

// unit sends the packets of one moment, and steps the time stamp in any case.
func (f *flow) unit(payloadType uint8, step uint32, video bool, payloads ...[]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.header.PayloadType = payloadType
	if f.on && f.remote.IsValid() {
		for i, p := range payloads {
			f.header.Marker = video && i == len(payloads)-1
			f.header.Sequence++
			_, _ = f.socket.WriteToUDPAddrPort(append(f.header.Append(nil), p...), f.remote) // what is lost is lost
		}
	}
	f.header.Timestamp += step
}

// talk sends a tone until the endpoint ends.
func (f *flow) talk(done <-chan struct{}, tone int) error {
	e, err := codec.NewAudioEncoder(control.PCMU, codec.AudioOptions{})
	if err != nil {
		return err
	}
	defer e.Close()
	pcm, packet := make([]int16, rate/50), make([]byte, codec.MaxAudioPacket)
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for at := 0; ; {
		select {
		case <-done:
			return nil
		case <-t.C:
		}
		for i := range pcm {
			// An eighth of the loudest, as baresip's tones are.
			if pcm[i] = 0; tone > 0 {
				pcm[i] = int16(4096 * math.Sin(2*math.Pi*float64(tone)*float64(at)/rate))
			}
			at++
		}
		n, err := e.Encode(packet, pcm)
		if err != nil {
			return err
		}
		f.unit(pcmuType, rate/50, false, packet[:n])
	}
}

// film sends pictures of a colour until the endpoint ends, a key frame each second.
func (f *flow) film(done <-chan struct{}, o *Options, colour string) error {
	clip, err := shoot(o, colour)
	if err != nil {
		return err
	}
	t := time.NewTicker(time.Second / time.Duration(o.Rate))
	defer t.Stop()
	for i := 0; ; i++ {
		select {
		case <-done:
			return nil
		case <-t.C:
		}
		f.unit(h264Type, uint32(90000/o.Rate), true, clip[i%len(clip)]...)
	}
}

// shoot encodes a second of a colour.
func shoot(o *Options, colour string) (clip [][][]byte, err error) {
	c, err := baresip.ParseColour(colour)
	if err != nil {
		return nil, err
	}
	pool := picture.NewPool()
	frame, err := pool.Get(o.Width, o.Height)
	if err != nil {
		return nil, err
	}
	defer frame.Release()
	y, u, v := fromRGB(c)
	for row := range o.Height {
		fill(frame.Y[row*frame.StrideY:][:o.Width], y)
	}
	for row := range o.Height / 2 {
		fill(frame.U[row*frame.StrideC:][:o.Width/2], u)
		fill(frame.V[row*frame.StrideC:][:o.Width/2], v)
	}
	e, err := codec.NewVideoEncoder(codec.VideoOptions{Codec: control.H264, Encoder: codec.X264, Width: o.Width, Height: o.Height, Rate: o.Rate, Bitrate: 256_000})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	p, err := stream.NewPacketizer(control.H264, stream.PayloadSize(control.DefaultMTU, 32), 1)
	if err != nil {
		return nil, err
	}
	for i := range o.Rate {
		unit, _, err := e.Encode(nil, frame, i == 0)
		if err != nil {
			return nil, err
		}
		payloads, err := p.Split(unit)
		if err != nil {
			return nil, err
		}
		var copies [][]byte
		for _, b := range payloads {
			copies = append(copies, bytes.Clone(b))
		}
		clip = append(clip, copies)
	}
	return clip, nil
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// fromRGB and toRGB are BT.601 with the range of television.
func fromRGB(c color.RGBA) (y, u, v byte) {
	r, g, b := float64(c.R), float64(c.G), float64(c.B)
	return byte(16.5 + 0.257*r + 0.504*g + 0.098*b), byte(128.5 - 0.148*r - 0.291*g + 0.439*b), byte(128.5 + 0.439*r - 0.368*g - 0.071*b)
}

func toRGB(y, u, v byte) color.RGBA {
	l, cb, cr := 1.164*(float64(y)-16), float64(u)-128, float64(v)-128
	limit := func(f float64) byte { return byte(max(0, min(255, f))) }
	return color.RGBA{limit(l + 1.596*cr), limit(l - 0.392*cb - 0.813*cr), limit(l + 2.017*cb), 255}
}

// listen takes sound until the socket is closed.
func (f *flow) listen() error {
	d, err := codec.NewAudioDecoder(control.PCMU)
	if err != nil {
		return err
	}
	defer d.Close()
	pcm := make([]int16, rate)
	return f.receive(func(packet []byte) error {
		var h rtp.Header
		payload, err := h.Parse(packet)
		if err != nil || h.PayloadType != pcmuType {
			return nil
		}
		n, err := d.Decode(pcm, payload)
		if err != nil {
			return nil
		}
		f.mu.Lock()
		f.sound = append(f.sound, pcm[:n]...)
		f.sound = f.sound[max(0, len(f.sound)-rate/4):]
		f.mu.Unlock()
		return nil
	})
}

// receive reads packets of RTP until the socket is closed.
func (f *flow) receive(take func(packet []byte) error) error {
	b := make([]byte, 2048)
	for {
		n, _, err := f.socket.ReadFromUDPAddrPort(b)
		if err != nil {
			return nil // it was closed
		}
		if n < rtp.HeaderSize || rtp.IsRTCP(b[:n]) {
			continue // a key frame comes each second, asked for or not
		}
		if err := take(b[:n]); err != nil {
			return err
		}
	}
}

// watch takes pictures until the socket is closed.
func (f *flow) watch() error {
	d, err := codec.NewVideoDecoder(control.H264)
	if err != nil {
		return err
	}
	defer d.Close()
	var r *stream.Receiver
	defer func() {
		if r != nil {
			r.Close()
		}
	}()
	pool := stream.NewPool(0)
	unit := func(u *stream.AccessUnit) {
		defer u.Release()
		if p, err := d.Decode(u.Data, u.Timestamp); err == nil && p != nil {
			f.show(p)
			p.Release()
		}
	}
	return f.receive(func(packet []byte) error {
		var h rtp.Header
		if _, err := h.Parse(packet); err != nil || h.PayloadType != h264Type {
			return nil
		}
		now := time.Now()
		if r == nil || r.SSRC() != h.SSRC {
			// A new source: a media worker that took over.
			if r != nil {
				r.Close()
			}
			var err error
			if r, err = stream.NewReceiver(stream.ReceiverOptions{SSRC: h.SSRC, Formats: []control.Format{{Codec: control.H264, PayloadType: h264Type, PacketizationMode: 1}},
				Feedback: f, Pool: pool, Unit: unit}); err != nil {
				return err
			}
			r.SetDecode(true, now)
		}
		_ = r.Push(packet, now) // what is malformed shows nothing
		r.Tick(now)
		return nil
	})
}

// show keeps a picture, a quarter as wide: colours are all that is asked for, and small letters stay.
func (f *flow) show(p *picture.Frame) {
	const step = 2
	m := image.NewRGBA(image.Rect(0, 0, p.Width/step, p.Height/step))
	for y := range p.Height / step {
		for x := range p.Width / step {
			m.SetRGBA(x, y, toRGB(p.Y[y*step*p.StrideY+x*step], p.U[y*p.StrideC+x], p.V[y*p.StrideC+x]))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.picture = m
	f.frames++
}

// AskAgain implements [stream.Feedback]: what is lost stays lost.
func (f *flow) AskAgain(uint32, []uint16) {}

// AskKey implements [stream.Feedback].
func (f *flow) AskKey(ssrc uint32, _ uint8) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.remote.IsValid() {
		_, _ = f.socket.WriteToUDPAddrPort(rtp.AppendPLI(rtp.AppendReceiverReport(nil, f.ssrc, nil), f.ssrc, ssrc), f.remote)
	}
}

// heard is the last quarter of a second.
func (f *flow) heard() []int16 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]int16(nil), f.sound...)
}

// seen is the newest picture as a PNG, nil before the first.
func (f *flow) seen() (file []byte, frames int, err error) {
	f.mu.Lock()
	m, frames := f.picture, f.frames
	f.mu.Unlock()
	if m == nil {
		return nil, 0, nil
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, m); err != nil {
		return nil, 0, fmt.Errorf("write the picture: %w", err)
	}
	return b.Bytes(), frames, nil
}
