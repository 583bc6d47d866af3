package codec

import (
	"errors"
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"rotunda/services/media/control"
)

var audioCodecs = []string{control.PCMU, control.PCMA, control.G722, control.Opus}

// tone writes a sine that goes on from sample number start.
func tone(pcm []int16, start int, frequency float64, rate int) {
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*frequency*float64(start+i)/float64(rate)))
	}
}

// voice writes a sound like a vowel: harmonics of 150 Hz that fall off, and swell five times a second.
func voice(pcm []int16, start int) {
	for i := range pcm {
		at := float64(start+i) / opusRate
		var v float64
		for h := 1.0; h <= 20; h++ {
			v += math.Sin(2*math.Pi*150*h*at) / h
		}
		pcm[i] = int16(5000 * v * (0.7 + 0.3*math.Sin(2*math.Pi*5*at)))
	}
}

// share returns which part of the energy of pcm lies within 3 % of a frequency: a correlation with sine and cosine
// through a Hann window.
func share(pcm []int16, frequency float64, rate int) float64 {
	var sum complex128
	var energy, windows float64
	for i, s := range pcm {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		v := float64(s) * w
		sum += complex(v, 0) * cmplx.Exp(complex(0, -2*math.Pi*frequency*float64(i)/float64(rate)))
		energy += v * v
		windows += w * w
	}
	if energy == 0 {
		return 0
	}
	// For a pure tone of amplitude a: |sum| = a/2 · Σw, energy = a²/2 · Σw².
	a := 2 * cmplx.Abs(sum) / (float64(len(pcm)) / 2)
	return a * a / 2 * windows / energy
}

func loudness(pcm []int16) float64 {
	var sum float64
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}

func openAudio(t testing.TB, codec string, o AudioOptions) (AudioEncoder, AudioDecoder) {
	t.Helper()
	e, err := NewAudioEncoder(codec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	d, err := NewAudioDecoder(codec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return e, d
}

func TestAToneComesThroughEveryCodecAndPacketTime(t *testing.T) {
	for _, codec := range audioCodecs {
		for _, ms := range []int{10, 20, 40} {
			e, d := openAudio(t, codec, AudioOptions{PacketMs: ms, Complexity: 5})
			rate := e.Rate()
			if d.Rate() != rate {
				t.Errorf("%s: decoder at %d Hz, encoder at %d", codec, d.Rate(), rate)
			}
			frame := rate * ms / 1000
			in, packet := make([]int16, frame), make([]byte, MaxAudioPacket)
			var heard []int16
			for n := range 1000 / ms {
				tone(in, n*frame, 1000, rate)
				size, err := e.Encode(packet, in)
				if err != nil || size == 0 {
					t.Fatalf("%s, %d ms: Encode = %d, %v", codec, ms, size, err)
				}
				out := make([]int16, frame)
				got, err := d.Decode(out, packet[:size])
				if err != nil || got != frame {
					t.Fatalf("%s, %d ms: Decode = %d, %v, want %d samples", codec, ms, got, err, frame)
				}
				heard = append(heard, out...)
			}
			heard = heard[len(heard)/2:]
			// 25 dB below the tone for all else.
			if s := share(heard, 1000, rate); s < 0.997 {
				t.Errorf("%s, %d ms: %.4f of the energy is at 1,000 Hz, want 0.997", codec, ms, s)
			}
			if l := loudness(heard) / (8000 / math.Sqrt2); l < 0.95 || l > 1.05 {
				t.Errorf("%s, %d ms: loudness %.2f of what it was", codec, ms, l)
			}
		}
	}
}

func TestG711IsTheStandardsTables(t *testing.T) {
	// Tables 1a to 2b of G.711: decision values and codes at the ends and around zero, in 16 bits.
	for _, c := range []struct {
		sample int16
		mu, a  byte
	}{
		{0, 0xff, 0xd5}, {32767, 0x80, 0xaa}, {-32768, 0x00, 0x2a}, {-1, 0x7f, 0x55},
	} {
		if got := toMuLaw[uint16(c.sample)]; got != c.mu {
			t.Errorf("µ-law of %d = %#x, want %#x", c.sample, got, c.mu)
		}
		if got := toALaw[uint16(c.sample)]; got != c.a {
			t.Errorf("A-law of %d = %#x, want %#x", c.sample, got, c.a)
		}
	}
	for b := range 256 {
		if got := toALaw[uint16(fromALaw[b])]; got != byte(b) {
			t.Errorf("A-law %#x decodes to %d, which encodes to %#x", b, fromALaw[b], got)
		}
		// 0x7f is the second zero of µ-law.
		if got := toMuLaw[uint16(fromMuLaw[b])]; got != byte(b) && b != 0x7f {
			t.Errorf("µ-law %#x decodes to %d, which encodes to %#x", b, fromMuLaw[b], got)
		}
	}
	for v := -32768; v < 32767; v++ {
		s := uint16(int16(v))
		if fromALaw[toALaw[s]] > fromALaw[toALaw[uint16(int16(v+1))]] || fromMuLaw[toMuLaw[s]] > fromMuLaw[toMuLaw[uint16(int16(v+1))]] {
			t.Fatalf("decoded values fall where samples rise, at %d", v)
		}
	}
	if fromMuLaw[0] != -32124 || fromMuLaw[0x80] != 32124 || fromALaw[0x2a] != -32256 || fromALaw[0xaa] != 32256 {
		t.Errorf("extremes are %d, %d, %d, %d, want ±32124 and ±32256", fromMuLaw[0], fromMuLaw[0x80], fromALaw[0x2a], fromALaw[0xaa])
	}
}

func TestALostPacketIsConcealedWithoutAHole(t *testing.T) {
	for _, codec := range audioCodecs {
		e, d := openAudio(t, codec, AudioOptions{Complexity: 5})
		rate := e.Rate()
		frame := rate / 50
		in, out, packet := make([]int16, frame), make([]int16, frame), make([]byte, MaxAudioPacket)
		for n := range 25 {
			// 200 Hz, in the range of voices.
			tone(in, n*frame, 200, rate)
			size, err := e.Encode(packet, in)
			if err != nil {
				t.Fatal(err)
			}
			if n == 20 {
				got, err := d.Conceal(out)
				if err != nil || got != frame {
					t.Fatalf("%s: Conceal = %d, %v, want %d samples", codec, got, err, frame)
				}
				if l := loudness(out) / (8000 / math.Sqrt2); l < 0.5 || l > 1.1 {
					t.Errorf("%s: the guess has a loudness of %.2f of the sound before", codec, l)
				}
				continue
			}
			if _, err := d.Decode(out, packet[:size]); err != nil {
				t.Fatal(err)
			}
		}
		if s := share(out, 200, rate); s < 0.97 {
			t.Errorf("%s: after the loss %.3f of the energy is at 200 Hz, want 0.97", codec, s)
		}
		for range 10 {
			if _, err := d.Conceal(out); err != nil {
				t.Fatal(err)
			}
		}
		if l := loudness(out); l > 800 {
			t.Errorf("%s: after 200 ms of guesses the loudness is still %.0f, want silence", codec, l)
		}
	}
}

func TestOpusRedundancyBringsALostPacketBack(t *testing.T) {
	// A quiet voice becomes loud in the very packet that is lost: the past alone cannot tell.
	decode := func(redundant bool) float64 {
		e, d := openAudio(t, control.Opus, AudioOptions{Complexity: 5, FEC: true, Bitrate: 32000})
		if redundant {
			if err := e.SetLoss(20); err != nil {
				t.Fatal(err)
			}
		}
		frame := opusRate / 50
		in, out, packet := make([]int16, frame), make([]int16, frame), make([]byte, MaxAudioPacket)
		for n := range 42 {
			voice(in, n*frame)
			if n < 40 {
				for i := range in {
					in[i] /= 8
				}
			}
			size, err := e.Encode(packet, in)
			if err != nil {
				t.Fatal(err)
			}
			switch n {
			case 40: // lost
			case 41:
				if got, err := d.DecodeFEC(out, packet[:size]); err != nil || got != frame {
					t.Fatalf("DecodeFEC = %d, %v, want %d samples", got, err, frame)
				}
			default:
				if _, err := d.Decode(out, packet[:size]); err != nil {
					t.Fatal(err)
				}
			}
		}
		return loudness(out)
	}
	with, without := decode(true), decode(false)
	if with < 1500 || without > 500 {
		t.Errorf("loudness of the lost packet is %.0f with redundancy and %.0f without, want over 1,500 and under 500", with, without)
	}
}

func TestOpusSendsNothingInSilence(t *testing.T) {
	e, d := openAudio(t, control.Opus, AudioOptions{DTX: true})
	frame := opusRate / 50
	in, out, packet := make([]int16, frame), make([]int16, frame), make([]byte, MaxAudioPacket)
	sent := 0
	for n := range 220 {
		clear(in)
		if n < 10 || n >= 210 {
			tone(in, n*frame, 1000, opusRate)
		}
		size, err := e.Encode(packet, in)
		if err != nil {
			t.Fatal(err)
		}
		if (n < 10 || n >= 210) && size == 0 {
			t.Errorf("packet %d is not sent although it is loud", n)
		}
		if size > 0 {
			sent++
			if _, err := d.Decode(out, packet[:size]); err != nil {
				t.Fatal(err)
			}
		}
	}
	// 20 loud ones, 10 before the silence counts, and one of 20 after.
	if sent < 38 || sent > 41 {
		t.Errorf("%d of 220 packets are sent, want about 40", sent)
	}
	if s := share(out, 1000, opusRate); s < 0.97 {
		t.Errorf("after the silence %.3f of the energy is at 1,000 Hz, want 0.97", s)
	}
}

func TestOpusBitrateIsKept(t *testing.T) {
	e, _ := openAudio(t, control.Opus, AudioOptions{})
	frame := opusRate / 50
	in, packet := make([]int16, frame), make([]byte, MaxAudioPacket)
	second := func(bps int) int {
		if err := e.SetBitrate(bps); err != nil {
			t.Fatal(err)
		}
		bits, seed := 0, uint32(1)
		for range 50 {
			for i := range in {
				seed = seed*1664525 + 1013904223
				in[i] = int16(seed>>16) / 4
			}
			size, err := e.Encode(packet, in)
			if err != nil {
				t.Fatal(err)
			}
			bits += 8 * size
		}
		return bits
	}
	for _, bps := range []int{24_000, 64_000, 16_000} {
		if got := second(bps); got < bps*7/10 || got > bps*13/10 {
			t.Errorf("%d bits a second, want about %d", got, bps)
		}
	}
	if err := e.SetBitrate(1_000_000); err == nil {
		t.Error("1,000,000 bit/s are accepted")
	}
}

func TestAACKeepsAToneAndTheRate(t *testing.T) {
	for _, channels := range []int{1, 2} {
		e, err := NewAACEncoder(48000, channels, 64_000*channels)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		// ISO/IEC 14496-3, 1.6.2.1: object type 2 (LC), frequency index 3 (48,000), channels.
		if got, want := e.Config(), []byte{0x11, 0x80 | byte(channels)<<3}; len(got) < 2 || !slices.Equal(got[:2], want) {
			t.Errorf("AudioSpecificConfig % x, want % x first", got, want)
		}
		in, packet := make([]int16, AACFrame*channels), make([]byte, e.MaxPacket())
		mono := make([]int16, AACFrame)
		bits, frames := 0, 0
		for n := range 94 {
			tone(mono, n*AACFrame, 1000, 48000)
			for i, s := range mono {
				for c := range channels {
					in[i*channels+c] = s
				}
			}
			size, err := e.Encode(packet, in)
			if err != nil {
				t.Fatal(err)
			}
			if (size == 0) != (n == 0) {
				t.Errorf("call %d gives %d bytes, want a frame from each call but the first", n, size)
			}
			if size > 0 {
				bits += 8 * size
				frames++
			}
		}
		if rate := bits * 48000 / (frames * AACFrame); rate > 64_000*channels*12/10 {
			t.Errorf("%d channels take %d bit/s, want at most %d", channels, rate, 64_000*channels)
		}
	}
	if _, err := NewAACEncoder(48000, 6, 64000); err == nil {
		t.Error("six channels are accepted")
	}
	if _, err := NewAACEncoder(12345, 1, 64000); err == nil {
		t.Error("a rate that AAC has not is accepted")
	}
}

func TestAudioRefusesWhatItCannotDo(t *testing.T) {
	if _, err := NewAudioDecoder("G729"); err == nil {
		t.Error("a decoder for G729 is opened")
	}
	for _, o := range []AudioOptions{{PacketMs: 15}, {Complexity: 11}, {Bitrate: 100}} {
		if _, err := NewAudioEncoder(control.Opus, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	for _, codec := range audioCodecs {
		e, d := openAudio(t, codec, AudioOptions{})
		frame := e.Rate() / 50
		if _, err := d.Decode(make([]int16, frame), nil); !errors.Is(err, errEmpty) {
			t.Errorf("%s: an empty packet gives %v, want errEmpty", codec, err)
		}
		if _, err := d.Decode(make([]int16, 3), make([]byte, 160)); err == nil {
			t.Errorf("%s: 160 bytes are decoded into three samples", codec)
		}
		if _, err := e.Encode(nil, make([]int16, frame)); !errors.Is(err, errShort) {
			t.Errorf("%s: a packet without room gives %v, want errShort", codec, err)
		}
	}
}

func TestAudioCausesNoGarbage(t *testing.T) {
	for _, codec := range audioCodecs {
		e, d := openAudio(t, codec, AudioOptions{})
		frame := e.Rate() / 50
		in, out, packet := make([]int16, frame), make([]int16, frame), make([]byte, MaxAudioPacket)
		tone(in, 0, 440, e.Rate())
		if allocs := testing.AllocsPerRun(50, func() {
			size, err := e.Encode(packet, in)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Decode(out, packet[:size]); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Conceal(out); err != nil {
				t.Fatal(err)
			}
		}); allocs != 0 {
			t.Errorf("%s: %.1f allocations a packet, want none", codec, allocs)
		}
	}
}
