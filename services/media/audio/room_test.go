package audio

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// Codecs of the tests: G.711 as it is, and in the place of Opus (clock 48,000) plain 16-bit samples at 16 kHz.

type testDecoder struct {
	codec            string
	decoded, guessed int
}

func (d *testDecoder) Rate() int { return testRate(d.codec) }
func (d *testDecoder) Close()    {}

func testRate(codec string) int {
	if codec == control.Opus {
		return 16000
	}
	return 8000
}

func (d *testDecoder) Decode(pcm []int16, packet []byte) (int, error) {
	d.decoded++
	if d.codec == control.Opus {
		if len(packet)%2 != 0 || len(packet)/2 > len(pcm) {
			return 0, errors.New("odd")
		}
		for i := range len(packet) / 2 {
			pcm[i] = int16(binary.BigEndian.Uint16(packet[2*i:]))
		}
		return len(packet) / 2, nil
	}
	law := muLaw
	if d.codec == control.PCMA {
		law = aLaw
	}
	for i, c := range packet {
		pcm[i] = expand[law][c]
	}
	return len(packet), nil
}

func (d *testDecoder) DecodeFEC(pcm []int16, next []byte) (int, error) {
	return 0, errors.New("no FEC")
}

func (d *testDecoder) Conceal(pcm []int16) (int, error) {
	d.guessed++
	clear(pcm)
	return len(pcm), nil
}

type testEncoder struct {
	codec   string
	packet  int
	encodes *int
}

func (e *testEncoder) Rate() int { return testRate(e.codec) }
func (e *testEncoder) Close()    {}

func (e *testEncoder) Encode(packet []byte, pcm []int16) (int, error) {
	if e.packet != 0 && len(pcm) != e.packet {
		return 0, errors.New("wrong length")
	}
	if e.encodes != nil {
		*e.encodes++
	}
	if e.codec == control.Opus {
		for i, v := range pcm {
			binary.BigEndian.PutUint16(packet[2*i:], uint16(v))
		}
		return 2 * len(pcm), nil
	}
	for i, v := range pcm {
		packet[i] = compressMu(v)
	}
	return len(pcm), nil
}

func compressMu(v int16) byte {
	x, sign := int(v), byte(0)
	if x < 0 {
		x, sign = -x, 0x80
	}
	x = min(x, 32635) + 132
	e := 7
	for m := 0x4000; x&m == 0 && e > 0; m >>= 1 {
		e--
	}
	return ^(sign | byte(e<<4) | byte(x>>(e+3)&15))
}

func openDecoder(codec string) (Decoder, error) { return &testDecoder{codec: codec}, nil }

func openEncoder(codec string, o EncoderOptions) (Encoder, error) {
	return &testEncoder{codec: codec, packet: testRate(codec) * o.PacketMs / 1000}, nil
}

// room is a bus with simulated time and people on it.
type room struct {
	*Bus
	t      testing.TB
	now    time.Time
	start  time.Time
	people []*person
	config Config
	random *rand.Rand
}

func newRoom(t testing.TB) *room {
	now := epoch.Add(time.Hour)
	r := &room{t: t, now: now, start: now, random: rand.New(rand.NewPCG(1, 2))}
	r.config = Config{Decoder: openDecoder, Encoder: openEncoder}
	r.Bus = NewBus(r.config)
	return r
}

// person sends a sine and keeps what it hears.
type person struct {
	room      *room
	id        uint32
	codec     string
	packetMs  int
	hz        float64
	dBov      float64 // 0 is nothing
	silent    func(at time.Duration) bool
	levels    bool
	ppm       float64
	network   func(n int) []time.Duration // delays of packet n's copies; none is a loss
	encoder   Encoder
	decoder   Decoder
	sent      int
	phase     float64
	base      uint32
	sequence  uint16
	ssrc      uint32
	source    *Source
	listener  *Listener
	heard     []int16
	payloads  [][]byte
	stamps    []uint32
	marks     []bool
	inFlight  []flight
	keepBytes bool
}

type flight struct {
	at time.Time
	p  Packet
}

func (r *room) join(id uint32, codec string, hz, dBov float64, o ListenerOptions) *person {
	r.t.Helper()
	p := &person{room: r, id: id, codec: codec, packetMs: 20, hz: hz, dBov: dBov, levels: true, base: r.random.Uint32(),
		sequence: uint16(r.random.Uint32()), ssrc: id, keepBytes: true}
	p.encoder, _ = r.config.Encoder(codec, EncoderOptions{PacketMs: 20})
	if e, ok := p.encoder.(*testEncoder); ok {
		e.packet, e.encodes = 0, nil
	}
	p.source = r.AddSource(id, SourceOptions{})
	o.Codec = codec
	p.decoder, _ = r.config.Decoder(codec)
	var err error
	p.listener, err = r.AddListener(id, o, p.hear)
	if err != nil {
		r.t.Fatal(err)
	}
	r.people = append(r.people, p)
	return p
}

func (p *person) hear(payload []byte, timestamp uint32, marker bool) {
	if !p.keepBytes {
		return
	}
	pcm := make([]int16, 5760)
	n, err := p.decoder.Decode(pcm, payload)
	if err != nil {
		p.room.t.Errorf("decode what was sent: %v", err)
	}
	p.heard = append(p.heard, pcm[:n]...)
	p.payloads = append(p.payloads, slices.Clone(payload))
	p.stamps = append(p.stamps, timestamp)
	p.marks = append(p.marks, marker)
}

// produce makes the packets that are due by the sender's clock.
func (p *person) produce(until time.Duration) {
	if p.packetMs == 0 {
		return
	}
	period := time.Duration(float64(p.packetMs) * float64(time.Millisecond) * (1 - p.ppm*1e-6))
	for time.Duration(p.sent+1)*period <= until {
		at := time.Duration(p.sent+1) * period
		n := p.sent
		p.sent++
		clock := clockOf(p.codec)
		stamp := p.base + uint32(n*clock*p.packetMs/1000)
		pcm := make([]int16, p.encoder.Rate()*p.packetMs/1000)
		level := int8(-127)
		muted := p.silent != nil && p.silent(at)
		amplitude := math.Pow(10, p.dBov/20) * 32768 * math.Sqrt2
		for i := range pcm {
			p.phase += 2 * math.Pi * p.hz / float64(p.encoder.Rate())
			if !muted && p.dBov != 0 {
				pcm[i] = int16(amplitude * math.Sin(p.phase))
				level = int8(p.dBov)
			}
		}
		if !p.levels {
			level = LevelUnknown
		}
		buf := make([]byte, 4000)
		k, err := p.encoder.Encode(buf, pcm)
		if err != nil {
			p.room.t.Fatal(err)
		}
		delays := []time.Duration{5 * time.Millisecond}
		if p.network != nil {
			delays = p.network(n)
		}
		for _, d := range delays {
			t := p.room.start.Add(at + d)
			p.inFlight = append(p.inFlight, flight{t, Packet{Codec: p.codec, SSRC: p.ssrc, Sequence: p.sequence, Timestamp: stamp,
				Level: level, Arrival: t, Payload: buf[:k]}})
		}
		p.sequence++
	}
	slices.SortStableFunc(p.inFlight, func(a, b flight) int { return a.at.Compare(b.at) })
}

// run lets so much time pass; each, if any, is called after each tick.
func (r *room) run(d time.Duration, each func(at time.Duration)) {
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(20 * time.Millisecond)
		for _, p := range r.people {
			p.produce(r.now.Sub(r.start))
			for len(p.inFlight) > 0 && !p.inFlight[0].at.After(r.now) {
				p.source.Push(p.inFlight[0].p)
				p.inFlight = p.inFlight[1:]
			}
		}
		r.Tick(r.now)
		if each != nil {
			each(r.now.Sub(r.start))
		}
	}
}

// tail is the last part of what was heard.
func (p *person) tail(d time.Duration) []int16 {
	n := int(d.Seconds() * float64(p.decoder.Rate()))
	return p.heard[max(0, len(p.heard)-n):]
}

// tone is the level of a frequency in dBov (Goertzel's algorithm with a Hann window).
func tone(pcm []int16, sampleRate int, hz float64) float64 {
	w := 2 * math.Pi * hz / float64(sampleRate)
	var s1, s2, sum float64
	for i, v := range pcm {
		h := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm)-1))
		sum += h
		s1, s2 = float64(v)*h+2*math.Cos(w)*s1-s2, s1
	}
	power := (s1*s1 + s2*s2 - 2*math.Cos(w)*s1*s2) / (sum * sum) * 4
	return 10 * math.Log10(power/2/(32768*32768)+1e-12)
}

func (p *person) hears(hz float64, d time.Duration) float64 {
	return tone(p.tail(d), p.decoder.Rate(), hz)
}
