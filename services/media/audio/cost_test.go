package audio

import (
	"fmt"
	"math"
	"testing"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
)

// real are the codecs of a worker.
var real = Config{
	Decoder: func(name string) (Decoder, error) { return codec.NewAudioDecoder(name) },
	Encoder: func(name string, o EncoderOptions) (Encoder, error) {
		return codec.NewAudioEncoder(name, codec.AudioOptions(o))
	},
}

// load is a room with a fixed set of payloads, so that it costs nothing to speak.
type load struct {
	*Bus
	now      time.Time
	n        int
	sources  []*Source
	payloads [][][]byte // of each source, by packet
	codec    string
	level    func(i, n int) int8
	bytes    int
}

const loadPackets = 50

func newLoad(tb testing.TB, c Config, name string, people, talking int) *load {
	l := &load{Bus: NewBus(c), now: epoch.Add(time.Hour), codec: name}
	for i := range people {
		s := l.AddSource(uint32(i+1), SourceOptions{})
		_, err := l.AddListener(uint32(i+1), ListenerOptions{Codec: name}, func(p []byte, _ uint32, _ bool) { l.bytes += len(p) })
		if err != nil {
			tb.Fatal(err)
		}
		enc, err := c.Encoder(name, EncoderOptions{PacketMs: 20})
		if err != nil {
			tb.Fatal(err)
		}
		var list [][]byte
		for n := range loadPackets {
			pcm := make([]int16, enc.Rate()/50)
			if i < talking {
				for k := range pcm {
					// A voice: harmonics of a pitch that belongs to the source, so that encoders have work.
					for h := 1; h <= 8; h++ {
						x := float64(n*len(pcm)+k) * 2 * math.Pi * float64(h*(100+7*i)) / float64(enc.Rate())
						pcm[k] += int16(2500 / float64(h) * math.Sin(x))
					}
				}
			}
			b := make([]byte, 1500)
			k, err := enc.Encode(b, pcm)
			if err != nil {
				tb.Fatal(err)
			}
			list = append(list, b[:max(1, k)])
		}
		enc.Close()
		l.sources, l.payloads = append(l.sources, s), append(l.payloads, list)
	}
	l.level = func(i, n int) int8 {
		if i < talking {
			return int8(-20 - (n/25*(i+3))%9)
		}
		return -127
	}
	return l
}

func (l *load) push() {
	l.n++
	l.now = l.now.Add(20 * time.Millisecond)
	for i, s := range l.sources {
		s.Push(Packet{Codec: l.codec, SSRC: uint32(i), Sequence: uint16(l.n), Timestamp: uint32(l.n * clockOf(l.codec) / 50),
			Level: l.level(i, l.n), Arrival: l.now, Payload: l.payloads[i][l.n%loadPackets]})
	}
}

func TestTicksAndPushesDoNotAllocate(t *testing.T) {
	long(t)
	for _, c := range []struct {
		name            string
		config          Config
		people, talking int
	}{
		{control.PCMU, Config{Decoder: openDecoder, Encoder: openEncoder}, 20, 6},
		{control.PCMU, real, 20, 6},
		{control.G722, real, 20, 6},
		{control.Opus, real, 20, 6},
	} {
		l := newLoad(t, c.config, c.name, c.people, c.talking)
		tick := func() {
			l.push()
			l.Tick(l.now)
		}
		for range 1000 {
			tick()
		}
		if n := testing.AllocsPerRun(500, tick); n != 0 {
			t.Errorf("%s: a tick with its packets allocates %v times", c.name, n)
		}
		l.Close()
	}
}

func BenchmarkTick(b *testing.B) {
	fake := Config{Decoder: openDecoder, Encoder: openEncoder}
	for _, c := range []struct {
		name            string
		config          Config
		codec           string
		people, talking int
	}{
		{"fake", fake, control.PCMU, 100, 3},
		{"fake", fake, control.PCMU, 60, 60},
		{"real", real, control.PCMU, 100, 3},
		{"real", real, control.PCMU, 60, 60},
		{"real", real, control.Opus, 100, 3},
		{"real", real, control.Opus, 60, 60},
		{"real", real, control.Opus, 1000, 0},
		{"real", real, control.PCMU, 1000, 0},
	} {
		b.Run(fmt.Sprintf("%s %s %d people %d talking", c.name, c.codec, c.people, c.talking), func(b *testing.B) {
			l := newLoad(b, c.config, c.codec, c.people, c.talking)
			for range 200 {
				l.push()
				l.Tick(l.now)
			}
			var pushing time.Duration
			b.ReportAllocs()
			for b.Loop() {
				at := time.Now()
				l.push()
				pushing += time.Since(at)
				l.Tick(l.now)
			}
			b.ReportMetric(float64(pushing.Nanoseconds())/float64(b.N)/float64(c.people), "ns/push")
			b.ReportMetric(float64(b.Elapsed()-pushing)/float64(b.N)/1000, "µs/tick")
		})
	}
}

func BenchmarkPrivateBusPlayingAPrompt(b *testing.B) {
	prompts := NewPrompts(0)
	c := real
	c.Prompts = prompts
	const legs = 100
	now := epoch.Add(time.Hour)
	var list []*Bus
	for range legs {
		bus := NewBus(c)
		bus.AddSource(1, SourceOptions{})
		l, err := bus.AddListener(1, ListenerOptions{Codec: control.PCMU}, func([]byte, uint32, bool) {})
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Play(Play{ID: "x", Tone: "ringback", Loop: true}); err != nil {
			b.Fatal(err)
		}
		list = append(list, bus)
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(20 * time.Millisecond)
		for _, bus := range list {
			bus.Tick(now)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/legs, "ns/leg")
}

func BenchmarkResampler(b *testing.B) {
	for _, f := range []*filter{filter8, filter16} {
		down, up := newDown(f, tickLength), newUp(f, tickLength/f.factor)
		out := make([]float32, tickLength)
		b.Run(fmt.Sprintf("48000 to %d", rate/f.factor), func(b *testing.B) {
			for b.Loop() {
				down.down(out, tickLength)
			}
		})
		b.Run(fmt.Sprintf("%d to 48000", rate/f.factor), func(b *testing.B) {
			for b.Loop() {
				up.up(out, tickLength/f.factor)
			}
		})
	}
}
