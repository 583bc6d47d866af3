package events

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// wire is the signalling of a far end that does what it is told.
type wire struct{}

func (wire) Ring()                    {}
func (wire) Accept()                  {}
func (wire) Hangup(meeting.Reason)    {}
func (wire) GrantFloor()              {}
func (wire) RevokeFloor()             {}
func (wire) ShowPresentation(bool)    {}
func (wire) Hold(bool)                {}
func (wire) Camera(_, _, _, _ string) {}
func (wire) Refer(string)             {}

// dialer calls out.
type dialer struct {
	mixer *mixer.Mixer
	mu    sync.Mutex
	last  meeting.Caller
}

func (d *dialer) Dial(_ context.Context, q meeting.Dial, c meeting.Caller) (meeting.Line, *mixer.Leg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = c
	return wire{}, d.mixer.Leg(q.Leg.String(), nil)
}

// TestARealMeetingIsTold lets the state machine of meetings make the changes: a call that is made by the API, dials out, and is ended.
func TestARealMeetingIsTold(t *testing.T) {
	m := mixer.New(mixer.Options{Service: controltest.New(control.WorkerStatus{Name: "0.0"}).Owner("bridge")})
	out := &dialer{mixer: m}
	calls := meeting.New(meeting.Options{Mixer: m, Dialer: out})
	d := newDeskOf(t, calls)
	c := d.connect()
	c.subscribe(`{"index":1,"type":"calls","elements":["name","callType"]}`)
	c.want(`{"type":"message","message":{"messageId":1,"type":"subscriptionUpdate","subscriptions":[{"index":1,"state":"active"}]}}`)
	id, err := calls.CreateCall(t.Context(), map[string]string{"name": "ad hoc"})
	if err != nil {
		t.Fatal(err)
	}
	got := c.hear()
	if want := `"updates":[{"call":"` + id.String() + `","updateType":"add","name":"ad hoc","callType":"`; !strings.Contains(got, want) {
		t.Fatalf("want %s, got %s", want, got)
	}
	c.subscribe(`{"index":2,"type":"callRoster","call":"` + id.String() + `","elements":["name","uri","state","direction"]}`)
	c.want(`{"type":"message","message":{"messageId":3,"type":"subscriptionUpdate","subscriptions":[{"index":2,"state":"active"}]}}`)
	p, err := calls.AddParticipant(t.Context(), id, map[string]string{"remoteParty": "bob@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	// hears waits for a word on the participant; what comes before belongs to states that pass.
	hears := func(want string) {
		t.Helper()
		for {
			got := c.hear()
			if !strings.Contains(got, p.String()) {
				t.Fatalf("want news of %s, got %s", p, got)
			}
			if strings.Contains(got, want) {
				return
			}
		}
	}
	hears(`"updateType":"add"`)
	out.mu.Lock()
	far := out.last
	out.mu.Unlock()
	far.Ringing()
	hears(`"state":"ringing"`)
	far.Answered(meeting.Identity{Name: "Bob", Address: "bob@example.com", SIPID: "x", From: netip.MustParseAddrPort("192.0.2.9:5060")}, meeting.MediaInfo{Audio: true})
	hears(`"state":"connected"`)
	far.Ended(meeting.RemoteTeardown, true)
	hears(`"updateType":"remove"`)
	_ = calls.EndCall(t.Context(), id, meeting.APITeardown)
	for got := ""; !strings.Contains(got, `{"index":2,"state":"deactivated"}`); {
		got = c.hear()
	}
}
