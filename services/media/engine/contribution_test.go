package engine

import (
	"testing"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
)

// clip are parameter sets and a key frame of H.264 of a size, as the payloads of their packets.
func clip(t *testing.T, b *bench, width, height int) [][]byte {
	t.Helper()
	f, err := b.engine.frames.Get(width, height)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	clear(f.Y)
	e := newTestEncoder(t, width, height)
	defer e.Close()
	unit, _, err := e.Encode(nil, f, true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := stream.NewPacketizer(control.H264, 1100, 1)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := p.Split(unit)
	if err != nil {
		t.Fatal(err)
	}
	return payloads
}

// simulcast is a leg that sends two layers: SSRC 1 of 160 × 90, SSRC 2 of 320 × 180.
type simulcast struct {
	*pipe
	clips    [2][][]byte
	sequence [2]uint16
	stamp    uint32
}

const ridExtension = 4

func (b *bench) simulcast(change func(*control.Leg)) *simulcast {
	b.Helper()
	s := &simulcast{clips: [2][][]byte{clip(b.T, b, 160, 90), clip(b.T, b, 320, 180)}}
	s.pipe = b.pipe("ann", func(l *control.Leg) {
		l.Video.RIDs, l.Video.RIDExtension = []string{"l", "h"}, ridExtension
		if change != nil {
			change(l)
		}
	})
	return s
}

// film sends pictures of some layers, ten a second, each a key frame unless it is said.
func (s *simulcast) film(d time.Duration, key bool, layers ...int) {
	s.Helper()
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(100 * time.Millisecond) {
		s.stamp += 9000
		for _, i := range layers {
			payloads := s.clips[i]
			if !key {
				payloads = [][]byte{part}
			}
			for n, payload := range payloads {
				h := rtp.Header{SSRC: uint32(i + 1), PayloadType: 96, Sequence: s.sequence[i], Timestamp: s.stamp, Marker: n == len(payloads)-1}
				s.sequence[i]++
				if err := h.SetIdentification(ridExtension, []string{"l", "h"}[i]); err != nil {
					s.Fatal(err)
				}
				s.flow.RTP(append(h.Append(nil), payload...), s.now)
			}
		}
	}
}

func (s *simulcast) contribution() *contribution {
	return s.flow.leg.contribution[mainPicture].Load()
}

// decoded is the SSRC that is decoded, 0 for none.
func (s *simulcast) decoded() uint32 {
	c := s.contribution()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decoded == nil {
		return 0
	}
	return c.decoded.ssrc
}

func TestALayerThatStopsGivesWayToOneThatLives(t *testing.T) {
	s := idle(t).simulcast(nil)
	c := s.contribution()
	s.film(time.Second, true, 0, 1)
	c.altered(s.now)
	c.decode(360, s.now)
	if got := s.decoded(); got != 2 {
		t.Fatalf("while both layers live SSRC %d is decoded, want 2", got)
	}
	s.film(3*time.Second, true, 0)
	if !c.altered(s.now) {
		t.Error("the end of a layer is no reason to look again")
	}
	if y, _ := c.best(s.now); y == nil || y.ssrc != 1 {
		t.Errorf("the best layer is %v, want SSRC 1", y)
	}
	if layers, _ := c.list(s.now); len(layers) != 1 {
		t.Errorf("%d layers are there, want one", len(layers))
	}
	c.decode(360, s.now)
	if got := s.decoded(); got != 1 {
		t.Errorf("after the large layer has ended SSRC %d is decoded, want 1", got)
	}
	s.film(time.Second, true, 0, 1)
	if !c.altered(s.now) {
		t.Error("a layer that comes back is no reason to look again")
	}
	c.decode(360, s.now)
	if got := s.decoded(); got != 2 {
		t.Errorf("after the large layer has come back SSRC %d is decoded, want 2", got)
	}
}

func TestACameraThatStopsWithoutAWordIsOff(t *testing.T) {
	s := idle(t).simulcast(nil)
	c := s.contribution()
	s.film(time.Second, true, 1)
	c.altered(s.now)
	if c.off(s.now) {
		t.Fatal("a camera that films is off")
	}
	s.now = s.now.Add(goneAfter)
	if !c.off(s.now) || !c.altered(s.now) {
		t.Errorf("%v after the last packet: got off %v, want it, and a reason to look again", goneAfter, c.off(s.now))
	}
	s.film(100*time.Millisecond, true, 1)
	if c.off(s.now) || !c.altered(s.now) {
		t.Error("a camera that films again is off")
	}
}

func TestACameraThatSaysGoodbyeIsOffAtOnce(t *testing.T) {
	s := idle(t).simulcast(nil)
	c := s.contribution()
	s.film(time.Second, true, 0, 1)
	s.flow.RTCP(rtp.AppendGoodbye(rtp.AppendReceiverReport(nil, 2, nil), 2), s.now)
	if y, _ := c.best(s.now); y == nil || y.ssrc != 1 {
		t.Errorf("after the goodbye of the large layer the best is %v, want SSRC 1", y)
	}
	s.flow.RTCP(rtp.AppendGoodbye(rtp.AppendReceiverReport(nil, 1, nil), 1), s.now)
	if !c.off(s.now) {
		t.Error("after the goodbye of both layers the camera is on")
	}
}

// file is an output that keeps the sizes of units.
type file struct {
	sizes []int
	keys  []bool
	times []time.Duration
}

func (f *file) Video(unit []byte, at time.Duration, key bool) error {
	f.sizes, f.keys, f.times = append(f.sizes, len(unit)), append(f.keys, key), append(f.times, at)
	return nil
}
func (f *file) Audio([]byte, time.Duration) error { return nil }
func (f *file) Close() error                      { return nil }

// record has what comes from the leg taken.
func (p *pipe) record() *file {
	f := &file{}
	l := p.flow.leg
	l.takers.Store(&[]*sink{{leg: l, out: f, began: p.now}})
	l.contribution[mainPicture].Load().keep(true)
	return f
}

func TestARecordingOfWhatComesHasOneLayer(t *testing.T) {
	s := idle(t).simulcast(nil)
	s.film(500*time.Millisecond, true, 0, 1)
	f := s.record()
	s.film(time.Second, true, 0, 1)
	if len(f.sizes) < 8 || len(f.sizes) > 10 {
		t.Errorf("of ten pictures in two layers %d units were taken, want one of each", len(f.sizes))
	}
	for _, n := range f.sizes {
		if n != f.sizes[0] {
			t.Errorf("units of %d and %d bytes were taken: two layers", f.sizes[0], n)
			break
		}
	}
	f.sizes, f.keys = nil, nil
	s.film(3*time.Second, false, 0)
	if len(f.sizes) != 0 {
		t.Errorf("%d units of another layer were taken before its key frame", len(f.sizes))
	}
	s.film(time.Second, true, 0)
	if len(f.sizes) < 8 || !f.keys[0] {
		t.Errorf("after the large layer has ended %d of ten units were taken", len(f.sizes))
	}
}

func TestARecordingOfWhatComesHasNoPresentation(t *testing.T) {
	b := idle(t)
	payloads := clip(t, b, 160, 90)
	p := b.pipe("ann", func(l *control.Leg) {
		slides := *l.Video
		slides.Receive = []control.Format{{Codec: control.H264, PayloadType: 120, PacketizationMode: 1}}
		slides.Send = slides.Receive[0]
		l.Presentation = &slides
	})
	f := p.record()
	for n := range uint16(20) {
		for i, payload := range payloads {
			h := rtp.Header{SSRC: 9, PayloadType: 120, Sequence: n*uint16(len(payloads)) + uint16(i), Timestamp: 9000 * uint32(n), Marker: i == len(payloads)-1}
			p.flow.RTP(append(h.Append(nil), payload...), p.now)
		}
		p.flow.leg.contribution[presentation].Load().decode(90, p.now)
		p.now = p.now.Add(100 * time.Millisecond)
	}
	if n := len(p.engine.decoding.queue); n == 0 {
		t.Fatal("the presentation was not put together")
	}
	if len(f.sizes) != 0 {
		t.Errorf("%d units of the presentation were recorded", len(f.sizes))
	}
}
