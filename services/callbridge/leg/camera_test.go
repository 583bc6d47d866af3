package leg

import (
	"crypto/rand"
	"net/netip"
	"testing"

	"rotunda/services/callbridge/camera"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
	"rotunda/services/media/control"
)

// room is a far end with a camera, made of descriptions and packets alone.
type room struct {
	sip.Handler
	t        *testing.T
	session  *sdp.Session
	endpoint *camera.Endpoint
	asked    chan camera.Request
	capable  chan camera.Capabilities
	up       chan struct{}
}

func (r *room) Asked(q camera.Request)        { r.asked <- q }
func (r *room) Capable(c camera.Capabilities) { r.capable <- c }
func (r *room) Ringing(int)                   {}
func (r *room) Ended(sip.End)                 {}
func (r *room) Confirmed()                    { close(r.up) }
func (r *room) Answered(body []byte) {
	if err := r.session.ReadAnswer(body); err != nil {
		r.t.Error(err)
		return
	}
	c := r.session.Agreed().Camera
	if c == nil {
		r.t.Error("no camera control was agreed on")
		return
	}
	if err := r.endpoint.Agree(camera.Agreement{Remote: c.Remote, SendPayloadType: c.SendPayloadType, ReceivePayloadType: c.ReceivePayloadType, Keys: c.Keys}); err != nil {
		r.t.Error(err)
	}
}

// enter lets one call in.
func (w *world) enter(t *testing.T, encryption sdp.Encryption) (*room, *came) {
	t.Helper()
	r := &room{t: t, asked: make(chan camera.Request, 100), capable: make(chan camera.Capabilities, 10), up: make(chan struct{})}
	local := netip.MustParseAddr("127.0.0.1")
	var err error
	if r.endpoint, err = camera.Open(camera.Config{Local: local}, r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.endpoint.Close)
	r.session = sdp.New(sdp.Policy{Video: true, Camera: true, Encryption: encryption}, rand.Reader)
	r.session.Prepare()
	var leg control.Leg
	r.session.Apply(&leg, []netip.Addr{local})
	offer, err := r.session.WriteOffer(stateOf(leg), sdp.Ports{Camera: r.endpoint.Local()})
	if err != nil {
		t.Fatal(err)
	}
	wire := newWire("sip:room@example.com", "sip:space@127.0.0.1", offer)
	wire.caller.h = r
	c := w.take(w.legs, wire)
	c.line.Accept()
	wait(t, "the answer", r.up)
	return r, c
}

func TestCamerasAreMovedByTheAPIAndByFarEnds(t *testing.T) {
	for _, encryption := range []sdp.Encryption{sdp.Required, sdp.Prohibited} {
		w := newWorld(t)
		w.settings.Camera = true
		a, nearA := w.enter(t, encryption)
		b, nearB := w.enter(t, encryption)
		nearA.awaitCamera() // it says that its camera can be moved
		nearA.line.Camera("left", "", "in", "")
		if q := wait(t, "a movement", a.asked); q.Kind != camera.Start || q.Move != (camera.Directions{Pan: -1, Zoom: 1}) {
			t.Errorf("want left and in, got %+v", q)
		}
		for q := range a.asked {
			if q.Kind == camera.Stop {
				break // each step ends by itself
			}
		}
		// Nobody's, until the meeting says whose.
		nearB.awaitCamera()
		b.endpoint.Move("right", "", "", "")
		nearB.line.CameraOf(nearA.line)
		b.endpoint.Move("", "up", "", "")
		for q := range a.asked {
			if q.Kind == camera.Start && q.Move.Tilt == 1 {
				break
			}
		}
		nearA.line.Hangup(meeting.CallEnded)
		nearA.await("ended callEnded false", 1)
		b.endpoint.Move("", "down", "", "")
		nearB.line.Hangup(meeting.CallEnded)
		nearB.await("ended callEnded false", 1)
	}
}

func (c *came) awaitCamera() {
	c.t.Helper()
	c.until("a camera", func() bool { m, _ := c.info(); return m.Camera })
}
