package cdr

import (
	"context"
	"errors"
	"testing"
	"time"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/media/control"
)

func TestTheMeterTellsBurstsFromGapsAndKeepsTheLargestPicture(t *testing.T) {
	legs := []meeting.LegInfo{{ID: leg(1), MediaID: "media"}, {ID: leg(2)}}
	var now control.LegStats
	var asked []string
	c := newClock()
	m := NewMeter(func() []meeting.LegInfo { return legs }, func(_ context.Context, ids ...string) (map[string]control.LegStats, error) {
		asked = ids
		return map[string]control.LegStats{"media": now, "another": now}, nil
	}, nil)
	m.now = c.now
	look := func(received, lost, sent, reported uint64, width, height int) {
		t.Helper()
		now = control.LegStats{
			Audio: &control.AudioStats{Receive: control.StreamStats{Codec: control.PCMA, Packets: received, Lost: lost},
				Send: control.StreamStats{Codec: control.Opus, Packets: sent, Lost: reported}},
			Video: []control.VideoStats{
				{Stream: "presentation", Receive: control.StreamStats{Codec: control.VP8}, ReceiveWidth: 3840, ReceiveHeight: 2160},
				{Stream: "main", Receive: control.StreamStats{Codec: control.H264}, ReceiveWidth: width, ReceiveHeight: height}},
		}
		if err := m.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.pass(2 * time.Second)
	}
	look(100, 0, 100, 0, 640, 360)
	look(199, 1, 200, 0, 1280, 720) // a gap: 1 of 100
	look(279, 21, 300, 0, 320, 180) // a burst: 20 of 100
	look(369, 31, 400, 50, 320, 180)
	look(469, 30, 500, 50, 320, 180) // one came late
	look(469, 30, 500, 50, 320, 180) // nothing came
	look(20, 0, 600, 50, 320, 180)   // another worker
	look(100, 20, 700, 50, 320, 180) // a burst
	f := m.Figures(leg(1))
	if len(asked) != 1 || asked[0] != "media" {
		t.Errorf("want one leg asked for, got %v", asked)
	}
	want := Loss{BurstDuration: 3 * time.Second, BurstDensity: 100 * 50.0 / 300, GapDuration: 2 * time.Second, GapDensity: 100 * 1.0 / 200}
	if f.RxAudio.Codec != "g711a" || f.RxAudio.Loss == nil || *f.RxAudio.Loss != want {
		t.Errorf("rxAudio: want g711a and %+v, got %s and %+v", want, f.RxAudio.Codec, f.RxAudio.Loss)
	}
	if l := f.TxAudio.Loss; f.TxAudio.Codec != "opus" || l == nil || l.BurstDuration != 2*time.Second || l.BurstDensity != 50 || l.GapDensity != 0 {
		t.Errorf("txAudio: want one burst of 2s with 50 %%, got %+v", l)
	}
	if v := f.RxVideo; v.Codec != "h264" || v.Width != 1280 || v.Height != 720 || v.Loss != nil {
		t.Errorf("rxVideo: want h264 of 1280x720 and no loss, got %+v", v)
	}
	if got := m.Figures(leg(2)); got != (Figures{}) {
		t.Errorf("a leg without media: want nothing, got %+v", got)
	}
	// Its end may be told a moment after it is gone.
	legs = nil
	look(0, 0, 0, 0, 0, 0)
	if m.Figures(leg(1)).RxAudio.Codec == "" {
		t.Error("the figures went with the leg")
	}
	look(0, 0, 0, 0, 0, 0)
	if len(m.gauges) != 0 {
		t.Errorf("want nothing kept, got %d legs", len(m.gauges))
	}
}

func TestTheMeterGoesOnWithoutTheMediaEngine(t *testing.T) {
	m := NewMeter(func() []meeting.LegInfo { return []meeting.LegInfo{{ID: leg(1), MediaID: "m"}} },
		func(context.Context, ...string) (map[string]control.LegStats, error) {
			return nil, errors.New("no engine")
		}, nil)
	if err := m.look(t.Context()); err == nil {
		t.Error("want the error told")
	}
	if got := m.Figures(leg(1)); got != (Figures{}) {
		t.Errorf("want nothing, got %+v", got)
	}
}
