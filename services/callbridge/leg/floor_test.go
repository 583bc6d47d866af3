package leg

import (
	"net/netip"
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

// An offer without a presentation is refused: the floor of before is still there, at the same port.
func TestTheFloorOutlivesAnOfferThatIsRefused(t *testing.T) {
	w, near, far := withFloor(t, false)
	port := near.line.floorAt()
	near.wire.caller.mu.Lock()
	near.wire.caller.refuses = 1
	near.wire.caller.mu.Unlock()
	w.set(&w.settings, func(s *Settings) { s.Presentation, s.Floor = false, sdp.NoFloor })
	w.legs.Adjust()
	near.until("the refusal", func() bool {
		near.wire.caller.mu.Lock()
		defer near.wire.caller.mu.Unlock()
		return near.wire.caller.refuses == 0
	})
	far.line.ShowPresentation(true)
	near.await("wants floor", 1)
	if now := near.line.floorAt(); now != port || !port.IsValid() {
		t.Errorf("want the floor at %v still, got %v", port, now)
	}
	// The next one is taken, and the floor comes back with the one after.
	w.legs.Adjust()
	near.line.Hold(true)
	near.await("leaves floor", 1)
	w.set(&w.settings, func(s *Settings) { s.Presentation, s.Floor = true, sdp.ServerOnly })
	w.legs.Adjust()
	near.until("another floor", func() bool { return near.line.floorAt().IsValid() })
	far.line.ShowPresentation(false)
	far.line.ShowPresentation(true)
	near.await("wants floor", 2)
}

// floorAt is where the floor listens; invalid for nowhere.
func (l *Line) floorAt() (at netip.AddrPort) {
	done := make(chan struct{})
	l.q.add(func() {
		if l.floor != nil {
			at = l.floor.c.Local()
		}
		close(done)
	})
	<-done
	return at
}

// The far end is reached by IPv6 and the first of our addresses is one of IPv4.
func TestSocketsAreWhereTheFarEndIs(t *testing.T) {
	w := newWorld(t)
	w.settings.Floor, w.farSettings.Floor = sdp.ServerOnly, sdp.ServerAndClient
	w.settings.Camera, w.farSettings.Camera = true, true
	six := netip.MustParseAddr("::1")
	both := []netip.Addr{netip.MustParseAddr("127.0.0.1"), six}
	w.legs.o.Addresses = func(netip.Addr, netip.Addr) []netip.Addr { return both }
	w.peers.o.Addresses = func(netip.Addr, netip.Addr) []netip.Addr { return both[1:] }
	near, far := w.up()
	if at := near.line.floorAt(); at.Addr() != six {
		t.Errorf("want the floor at %v, got %v", six, at)
	}
	done := make(chan netip.AddrPort, 1)
	near.line.q.add(func() {
		if c := near.line.camera; c != nil {
			done <- c.e.Local()
		}
		close(done)
	})
	if at := wait(t, "the camera", done); at.Addr() != six {
		t.Errorf("want the camera's port at %v, got %v", six, at)
	}
	far.line.ShowPresentation(true)
	near.await("wants floor", 1)
}
