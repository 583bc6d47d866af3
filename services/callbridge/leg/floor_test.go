package leg

import (
	"testing"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sdp"
)

// withFloor is a call whose near end is the floor control server and whose far end a client.
func withFloor(t *testing.T, tcp bool) (w *world, near, far *came) {
	w = newWorld(t)
	w.settings.Floor, w.farSettings.Floor = sdp.ServerOnly, sdp.ServerAndClient
	w.settings.FloorTCP, w.farSettings.FloorTCP = tcp, tcp
	near, far = w.up()
	return w, near, far
}

func TestTheFarEndPresents(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		_, near, far := withFloor(t, tcp)
		if m, _ := near.info(); !m.Presentation {
			t.Fatalf("want a presentation, got %+v", m)
		}
		far.line.ShowPresentation(true) // somebody at the far end does
		near.await("wants floor", 1)
		near.line.GrantFloor()
		far.line.ShowPresentation(false)
		near.await("leaves floor", 1)
		// What we take is not told back.
		far.line.ShowPresentation(true)
		near.await("wants floor", 2)
		near.line.RevokeFloor()
		near.line.Hangup(meeting.CallEnded)
		far.await("ended remoteTeardown true", 1)
		near.await("ended callEnded false", 1)
		if near.mention("leaves floor") != 1 {
			t.Errorf("want one end of a presentation, was told %q", near.said)
		}
	}
}

func TestTheFarEndIsToldThatSomebodyPresents(t *testing.T) {
	_, near, far := withFloor(t, false)
	near.line.ShowPresentation(true)
	far.await("wants floor", 1) // to those at the far end, we present
	near.line.ShowPresentation(false)
	far.await("leaves floor", 1)
	near.line.ShowPresentation(true)
	far.await("wants floor", 2)
}

func TestAPresenterLeavesTheFloorWithTheStream(t *testing.T) {
	w, near, far := withFloor(t, false)
	far.line.ShowPresentation(true)
	near.await("wants floor", 1)
	near.line.GrantFloor()
	w.set(&w.settings, func(s *Settings) { s.Presentation, s.Floor = false, sdp.NoFloor })
	w.legs.Adjust()
	near.await("leaves floor", 1)
	near.await("changed", 1)
	if m, _ := near.info(); m.Presentation || !m.Video {
		t.Errorf("want no presentation, got %+v", m)
	}
}

func TestPicturesShareTheBandwidthWhileThereAreTwo(t *testing.T) {
	w, near, _ := withFloor(t, false)
	alone := w.media(near).Video.SendBitrate
	near.line.ShowPresentation(true)
	near.until("the pictures share", func() bool { return w.media(near).Video.SendBitrate < alone })
	near.line.ShowPresentation(false)
	near.until("main video has it all", func() bool { return w.media(near).Video.SendBitrate == alone })
}
