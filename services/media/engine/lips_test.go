package engine

import (
	"cmp"
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
)

func TestAPictureWaitsForItsSound(t *testing.T) {
	at := time.Now()
	for _, c := range []struct {
		ahead, want time.Duration
		credible    bool
	}{
		{0, 0, true},
		{60 * time.Millisecond, 60 * time.Millisecond, true},
		{-80 * time.Millisecond, 0, true},
		{300 * time.Millisecond, longestWait, true},
		{2 * time.Second, 0, false},
		{-time.Hour, 0, false},
	} {
		got, credible := waitFor(at.Add(c.ahead), at)
		if got != c.want || credible != c.credible {
			t.Errorf("a picture %v ahead of the sound: got %v, %v, want %v, %v", c.ahead, got, credible, c.want, c.credible)
		}
	}
}

// flashing is a leg that beeps and flashes at one moment, with what is heard and seen of it. Everything happens at times of the
// test's own, a millisecond after the other.
type flashing struct {
	*pipe
	start         time.Time
	beep, flash   time.Duration // when they were heard and seen, 0 for never
	recorded      *file
	recordedFlash time.Duration
}

// flashAt is when the far end flashes and beeps.
const flashAt = 6 * time.Second

// play lets seven seconds pass. Sound comes 5 to 85 ms after it was sent, pictures 15 ms after they were taken; with reports the
// far end says which belongs to which, by a clock that is an hour ahead.
func (b *bench) play(reports bool) *flashing {
	b.Helper()
	s := &flashing{pipe: b.pipe("ann", nil)}
	s.start = s.now
	dark, bright := still(b, 16), still(b, 235)

	type arrival struct {
		at   time.Duration
		rtcp bool
		data []byte
	}
	var list []arrival
	random := rand.New(rand.NewSource(1))
	e, err := codec.NewAudioEncoder(control.PCMA, codec.AudioOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	pcm, payload := make([]int16, 160), make([]byte, 160)
	sequence := uint16(0)
	for k := time.Duration(0); k < 350; k++ {
		at, height := k*20*time.Millisecond, 1000.0
		if at >= flashAt {
			height = 20000
		}
		for i := range pcm {
			pcm[i] = int16(height * math.Sin(2*math.Pi*500*float64(i)/8000))
		}
		if _, err := e.Encode(payload, pcm); err != nil {
			b.Fatal(err)
		}
		h := rtp.Header{SSRC: 1, PayloadType: 8, Sequence: uint16(k), Timestamp: 1000 + 160*uint32(k)}
		late := time.Duration(random.Intn(81)) * time.Millisecond
		list = append(list, arrival{at: at + 25*time.Millisecond + late, data: append(h.Append(nil), payload...)})
	}
	for m := time.Duration(0); m < 210; m++ {
		at, payloads := m*time.Second/30, dark
		if at >= flashAt {
			payloads = bright
		}
		for i, payload := range payloads {
			h := rtp.Header{SSRC: 2, PayloadType: 96, Sequence: sequence, Timestamp: 5000 + 3000*uint32(m), Marker: i == len(payloads)-1}
			sequence++
			list = append(list, arrival{at: at + 15*time.Millisecond, data: append(h.Append(nil), payload...)})
		}
	}
	for at := time.Second; reports && at < flashAt; at += time.Second {
		ntp := rtp.NTP(s.start.Add(at + time.Hour))
		for _, info := range []rtp.SenderInfo{{NTP: ntp, RTP: 1000 + uint32(at.Milliseconds())*8}, {NTP: ntp, RTP: 5000 + uint32(at.Milliseconds())*90}} {
			ssrc := uint32(1)
			if info.RTP-5000 == uint32(at.Milliseconds())*90 {
				ssrc = 2
			}
			list = append(list, arrival{at + 5*time.Millisecond, true, rtp.AppendSenderReport(nil, ssrc, info, nil)})
		}
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })

	c := s.flow.leg.contribution[mainPicture].Load()
	tap := s.flow.leg.conference.Load().bus.Tap(8000, func(pcm []int16, at time.Time) {
		if s.beep == 0 && slices.Max(pcm) > 8000 {
			s.beep = at.Sub(s.start)
		}
	})
	defer tap.Remove()
	s.recorded = s.record()
	open := map[*layer]codec.VideoDecoder{}
	defer func() {
		for _, d := range open {
			d.Close()
		}
	}()
	for at := time.Duration(0); at < 7*time.Second; at += time.Millisecond {
		s.now = s.start.Add(at)
		for len(list) > 0 && list[0].at <= at {
			if list[0].rtcp {
				s.flow.RTCP(list[0].data, s.now)
			} else {
				s.flow.RTP(list[0].data, s.now)
			}
			list = list[1:]
		}
		if at == 100*time.Millisecond {
			c.decode(90, s.now)
		}
		for {
			j, ok := b.engine.decoding.take()
			if !ok {
				break
			}
			b.engine.decoding.decode(open, j)
		}
		if at%(20*time.Millisecond) == 0 {
			b.engine.tick(s.now)
		}
		if at%(beat/time.Millisecond*time.Millisecond) != 0 {
			continue
		}
		if f := c.frame(s.now); f != nil {
			if s.flash == 0 && f.Y[0] > 128 {
				s.flash = at
			}
			f.Release()
		}
	}
	for i, at := range s.recorded.times {
		if s.recordedFlash == 0 && s.recorded.sizes[i] == size(bright) {
			s.recordedFlash = at
		}
	}
	if s.beep == 0 || s.flash == 0 || s.recordedFlash == 0 {
		b.Fatalf("the beep was heard at %v, the flash seen at %v and recorded at %v", s.beep, s.flash, s.recordedFlash)
	}
	return s
}

// still is a key frame of one grey as the payloads of its packets.
func still(b *bench, luma byte) [][]byte {
	b.Helper()
	f, err := b.engine.frames.Get(160, 90)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Release()
	for _, plane := range [][]byte{f.Y, f.U, f.V} {
		for i := range plane {
			plane[i] = 128
		}
	}
	for i := range f.Y {
		f.Y[i] = luma
	}
	e := newTestEncoder(b.T, 160, 90)
	defer e.Close()
	unit, _, err := e.Encode(nil, f, true)
	if err != nil {
		b.Fatal(err)
	}
	p, err := stream.NewPacketizer(control.H264, 1100, 1)
	if err != nil {
		b.Fatal(err)
	}
	payloads, err := p.Split(unit)
	if err != nil {
		b.Fatal(err)
	}
	return payloads
}

// size is that of an access unit of H.264 whose packets hold whole NAL units.
func size(payloads [][]byte) (n int) {
	for _, p := range payloads {
		if p[0]&0x1F != 24 {
			n += 4 + len(p)
			continue
		}
		for p = p[1:]; len(p) > 2; { // a STAP-A
			k := int(p[0])<<8 | int(p[1])
			n += 4 + k
			p = p[2+k:]
		}
	}
	return n
}

// What is tolerated is that of EBU R37: sound at most 40 ms before its picture, and 60 ms after it.
func TestLipsMoveWithTheirSound(t *testing.T) {
	before, after := idle(t).play(false), idle(t).play(true)
	t.Logf("the flash is seen %v after the beep without sender reports, %v with them, and recorded %v after it",
		before.flash-before.beep, after.flash-after.beep, after.recordedFlash-after.beep)
	for name, d := range map[string]time.Duration{"seen": after.flash - after.beep, "recorded": after.recordedFlash - after.beep} {
		if d > 40*time.Millisecond || d < -60*time.Millisecond {
			t.Errorf("the flash is %s %v after the beep, want between -60 ms and 40 ms", name, d)
		}
	}
	if d := before.recordedFlash - before.beep; d > 40*time.Millisecond || d < -60*time.Millisecond {
		t.Errorf("without sender reports the flash is recorded %v after the beep, want between -60 ms and 40 ms", d)
	}
	if first := before.flash - flashAt; first > 50*time.Millisecond {
		t.Errorf("without sender reports a picture waits: it is seen %v after it was taken", first)
	}
}

func TestPicturesWaitForNoSoundThatIsOff(t *testing.T) {
	p := idle(t).pipe("ann", func(l *control.Leg) { l.Audio.Muted = true })
	for _, ssrc := range []uint32{1, 2} {
		payloadType := map[uint32]uint8{1: 8, 2: 96}[ssrc]
		p.send(ssrc, payloadType, 0, 0, part...)
		p.flow.RTCP(rtp.AppendSenderReport(nil, ssrc, rtp.SenderInfo{NTP: rtp.NTP(p.now)}, nil), p.now)
	}
	if wait, known := p.layers()[0].feed.wait(0, p.now); wait != 0 || known {
		t.Errorf("got a wait of %v, %v for a sound that is muted, want none", wait, known)
	}
	audible := *p.leg.Audio
	audible.Muted = false
	p.leg.Audio = &audible
	p.put()
	if _, known := p.layers()[0].feed.wait(0, p.now); !known {
		t.Error("the wait for a sound that is heard is not known")
	}
}
