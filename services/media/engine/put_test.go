package engine

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"rotunda/services/media/control"
	"rotunda/services/media/record"
)

func TestAPutThatFailsChangesNothing(t *testing.T) {
	b := start(t)
	ann := b.dial("ann", "one", 400, &red, nil)
	bob := b.dial("bob", "one", 0, &green, nil)
	b.until("bob hears ann", func() bool { return bob.heard(400) > 0.2 })
	l := b.engine.owner("test").legs["ann"]
	before := struct {
		conference *conference
		display    *display
		sound      *sound
	}{l.conference.Load(), l.display[mainPicture].Load(), l.sound.Load()}

	wrong := ann.leg
	wrong.Conference = "two"
	video := *wrong.Video
	video.Send.PayloadType, video.MID = 97, "a name of many bytes" // more than a header extension holds
	wrong.Video = &video
	if _, err := b.client.PutLeg(context.Background(), wrong); control.CodeOf(err) != control.CodeInvalid {
		t.Fatalf("got %v, want %s", err, control.CodeInvalid)
	}
	if l.conference.Load() != before.conference || l.display[mainPicture].Load() != before.display || l.sound.Load() != before.sound {
		t.Error("the leg was changed")
	}
	b.until("bob still sees ann", bob.seesAt(0.5, 0.5, red))
}

func TestTheSamePutAgainChangesNothing(t *testing.T) {
	b := start(t)
	ann := b.dial("ann", "one", 400, &red, nil)
	again, err := b.client.PutLeg(context.Background(), ann.leg)
	if err != nil {
		t.Fatal(err)
	}
	if again.AudioSSRC != ann.state.AudioSSRC || !slices.Equal(again.VideoSSRC, ann.state.VideoSSRC) || again.Transports[0].RTP[0] != ann.state.Transports[0].RTP[0] {
		t.Errorf("got %+v, want %+v", again, ann.state)
	}
}

func TestASinkThatCannotBeOpenedFailsAlone(t *testing.T) {
	b := start(t)
	ann := b.dial("ann", "one", 400, nil, nil)
	bob := b.dial("bob", "one", 0, nil, nil)
	ann.leg.Sinks = []control.Sink{{ID: "r", File: filepath.Join(t.TempDir(), "no", "folder", "x.mp4")}}
	if _, err := b.client.PutLeg(context.Background(), ann.leg); control.CodeOf(err) != control.CodeInvalid {
		t.Fatalf("got %v, want %s", err, control.CodeInvalid)
	}
	b.until("bob hears ann", func() bool { return bob.heard(400) > 0.2 })
}

func TestNobodyIsLeftInAConferenceThatIsDeletedWhileTheyJoin(t *testing.T) {
	b := start(t)
	ctx := context.Background()
	for range 50 {
		var all sync.WaitGroup
		all.Go(func() { _ = b.client.DeleteConference(ctx, "room") })
		for _, id := range []string{"ann", "bob"} {
			all.Go(func() {
				leg := control.Leg{ID: id, Conference: "room"}
				if _, err := b.client.PutLeg(ctx, leg); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, id := range []string{"ann", "bob"} {
			if c := b.engine.owner("test").legs[id].conference.Load(); !c.open() {
				t.Fatalf("%s is in a closed conference", id)
			}
		}
	}
}

func TestKeysArriveInOrder(t *testing.T) {
	b := start(t)
	bob := b.dial("bob", "", 0, nil, nil)
	if err := b.client.SendKeys(context.Background(), "bob", "1,2#"); err != nil {
		t.Fatal(err)
	}
	b.until("bob gets the keys", func() bool { return bob.typed() == "12#" })
	if err := b.client.SendKeys(context.Background(), "bob", "1x"); control.CodeOf(err) != control.CodeInvalid {
		t.Errorf("keys that are none: got %v, want %s", err, control.CodeInvalid)
	}
	// And the other way: what bob sends is reported.
	bob.press('7')
	e := b.wait("a key", func(e control.Event) bool { return e.Event == control.EventKey })
	if e.Key != "7" || e.Leg != "bob" {
		t.Errorf("got key %q of leg %q, want 7 of bob", e.Key, e.Leg)
	}
}

func TestARecordingThatIsStoppedHasNotFailed(t *testing.T) {
	b := start(t)
	b.dial("ann", "room", 400, &red, nil)
	ctx := context.Background()
	for range 3 {
		rec := control.Leg{ID: "rec", Conference: "room", View: control.View{Layout: "allEqual"},
			Sinks: []control.Sink{{ID: "r", File: filepath.Join(t.TempDir(), "x.mp4"), Width: 640, Height: 360}}}
		if _, err := b.client.PutLeg(ctx, rec); err != nil {
			t.Fatal(err)
		}
		b.until("the recording has a picture", func() bool {
			for _, k := range b.engine.owner("test").legs["rec"].sinks {
				if f, ok := k.out.(*record.File); ok && f.Stats().VideoFrames > 3 {
					return true
				}
			}
			return false
		})
		if err := b.client.DeleteLeg(ctx, "rec"); err != nil {
			t.Fatal(err)
		}
		e := b.wait("the end of the recording", func(e control.Event) bool { return e.Event == control.EventSink && e.State != "open" })
		if e.State != "closed" {
			t.Errorf("the recording is %s (%s), want closed", e.State, e.Text)
		}
	}
}
