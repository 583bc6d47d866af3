package engine

import (
	"testing"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/layout"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
)

// easel is a composition of one source, at beats of the test.
type easel struct {
	*bench
	stage *stage
	*composition
	n   uint64
	now time.Time
}

var easelKey = encodeKey{codec: control.H264, mode: 1, rate: beatsASecond, top: 512_000, mtu: control.DefaultMTU}

func (b *bench) easel() *easel {
	b.Helper()
	s := newStage(b.engine.director, b.engine.owner("test").conference("room"))
	look := compositionKey{}
	look.Width, look.Height = 320, 180
	e := &easel{bench: b, stage: s, composition: newComposition(s, look), now: time.Now()}
	e.scene = &layout.Scene{Look: layout.Look{Width: 320, Height: 180},
		Panes: []layout.Pane{{Rect: layout.Rect{W: 320, H: 180}, Source: 1, Whole: true}}}
	s.compositions[look] = e.composition
	b.Cleanup(s.close)
	return e
}

// paint gives the source another picture.
func (e *easel) paint(luma byte) {
	e.Helper()
	f, err := e.engine.frames.Get(320, 180)
	if err != nil {
		e.Fatal(err)
	}
	for i := range f.Y {
		f.Y[i] = luma
	}
	for _, plane := range [][]byte{f.U, f.V} {
		for i := range plane {
			plane[i] = 128
		}
	}
	f.Captured = e.now
	e.held(f)
}

// held is what the source shows.
func (e *easel) held(f *picture.Frame) {
	if old := e.stage.held[1]; old != nil {
		old.Release()
	}
	e.stage.held[1] = f
}

func (e *easel) beat() {
	e.render(e.n, e.now)
	e.n++
	e.now = e.now.Add(beat)
}

func TestAPictureIsEncodedOnce(t *testing.T) {
	e := idle(t).easel()
	defer e.held(nil)
	f := &file{}
	e.record(&sink{out: f, began: e.now}, easelKey)
	for i := range 30 {
		if i%2 == 0 {
			e.paint(byte(50 + 5*i))
		}
		e.beat()
	}
	if len(f.sizes) != 15 {
		t.Errorf("15 pictures in 30 beats were encoded %d times", len(f.sizes))
	}
	e.stage.director.latency.mu.Lock()
	n := e.stage.director.latency.n
	e.stage.director.latency.mu.Unlock()
	if n != 15 {
		t.Errorf("the latency of %d pictures was measured, want 15", n)
	}
	// One that stands still is sent once a second.
	f.sizes = nil
	for range 2*beatsASecond + 4 {
		e.beat()
	}
	if len(f.sizes) != 2 {
		t.Errorf("a picture that stood still for two seconds was encoded %d times, want twice", len(f.sizes))
	}
	if again := e.stage.director.latency.n; again != n {
		t.Errorf("a picture that stood still has latencies: %d", again-n)
	}
}

// nobody takes packets and throws them away.
type nobody struct{}

func (nobody) SendVideo([][]byte) {}

// viewer watches one stream.
func (e *easel) viewer() *stream.Sender {
	e.Helper()
	s, err := stream.NewSender(stream.SenderOptions{Codec: control.H264, SSRC: rtp.NewSSRC(), PayloadType: 96, Output: nobody{}})
	if err != nil {
		e.Fatal(err)
	}
	return s
}

func (e *easel) show(s *stream.Sender, to *stream.Stream) {
	e.Helper()
	if err := s.Switch(to, e.now); err != nil {
		e.Fatal(err)
	}
}

func TestAnEncoderThatNobodyWatchesIsClosed(t *testing.T) {
	e := idle(t).easel()
	defer e.held(nil)
	e.paint(100)
	stays, goes := e.viewer(), e.viewer()
	e.show(stays, e.stream(easelKey, stream.TierHigh))
	slow := easelKey
	slow.rate, slow.top = 15, 256_000
	e.show(goes, e.stream(slow, stream.TierHigh))
	e.beat()
	e.retire(e.now)
	if n := len(e.encodes); n != 2 || e.encodes[slow].tiers[stream.TierHigh].encoder == nil {
		t.Fatalf("%d encodes for two who watch, want two", n)
	}
	e.show(goes, nil)
	e.retire(e.now)
	e.now = e.now.Add(restBefore - time.Millisecond)
	e.retire(e.now)
	if n := len(e.encodes); n != 2 {
		t.Errorf("an encoder was closed before its rest was over")
	}
	e.now = e.now.Add(time.Millisecond)
	e.retire(e.now)
	if n := len(e.encodes); n != 1 || e.encodes[slow] != nil {
		t.Errorf("%d encodes are left %v after one of two viewers has gone, want one", n, restBefore)
	}
	// Whoever comes back finds one.
	e.show(goes, e.stream(slow, stream.TierHigh))
	e.beat()
	e.beat()
	if e.encodes[slow].tiers[stream.TierHigh].encoder == nil {
		t.Error("there is no encoder for who came back")
	}
}

func TestNothingIsDrawnForNobody(t *testing.T) {
	e := idle(t).easel()
	defer e.held(nil)
	e.paint(100)
	s := e.viewer()
	e.show(s, e.stream(easelKey, stream.TierHigh))
	e.show(s, nil)
	e.beat()
	if !e.drawn.IsZero() {
		t.Error("a picture that nobody watches was drawn")
	}
	e.show(s, e.stream(easelKey, stream.TierHigh))
	at := e.now
	e.beat()
	if !e.drawn.Equal(at) {
		t.Error("a picture that somebody watches was not drawn")
	}
}
