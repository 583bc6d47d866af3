package cdr

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
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

// house is a Call Bridge's meetings, with far ends on wires.
type house struct {
	*scene
	calls  *meeting.Calls
	mixer  *mixer.Mixer
	out    *collector
	mu     sync.Mutex
	dialed []meeting.Caller
}

// Dial implements [meeting.Dialer].
func (h *house) Dial(_ context.Context, d meeting.Dial, c meeting.Caller) (meeting.Line, *mixer.Leg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialed = append(h.dialed, c)
	return wire{}, h.mixer.Leg(d.Leg.String(), nil)
}

func (h *house) arrives(who string, t meeting.Target) meeting.Caller {
	return h.calls.Arrive(meeting.Arrival{Line: wire{}, Media: h.mixer.Leg(uuid.NewString(), nil), Kind: "sip", Called: "weekly@meet.example.com",
		Identity: meeting.Identity{Name: who, Address: who + "@example.com", SIPID: "sip-" + who, From: netip.MustParseAddrPort("192.0.2.1:5060")}}, t)
}

// makes waits for the records that come next, and compares their types. An update has a mark: connected, or the element in it.
func (h *house) makes(from int, want ...string) []parsed {
	h.Helper()
	h.await(strings.Join(want, ", "), func() bool { return len(h.out.took()) >= from+len(want) })
	var got []string
	all := h.out.took()[from:]
	for _, r := range all {
		name := r.Type
		switch {
		case strings.Contains(r.Inner, "<state>connected</state>"):
			name += " connected"
		case r.Type == "callLegUpdate" && strings.Contains(r.Inner, "<call>"):
			name += " call"
		}
		if strings.Contains(r.Inner, "<ivr/>") {
			name += " ivr"
		}
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		h.Fatalf("want\n%s\ngot\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	return all
}

// TestRecordsOfRealMeetingsComeInTheTypicalOrders lets the state machine of meetings make the changes (reference section 3).
func TestRecordsOfRealMeetingsComeInTheTypicalOrders(t *testing.T) {
	objects, err := store.Open(t.Context(), store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(objects.Close)
	put := func(o *schema.Object, fields ...string) *store.Record {
		t.Helper()
		var id store.ID
		if err := objects.Write(t.Context(), func(tx *store.Tx) error {
			d := tx.New(o, store.ID{})
			id = d.ID()
			for i := 0; i < len(fields); i += 2 {
				d.Set(fields[i], fields[i+1])
			}
			return tx.Put(d)
		}); err != nil {
			t.Fatal(err)
		}
		return objects.Get(o, id)
	}
	weekly := put(schema.CoSpace, "name", "Weekly", "uri", "weekly", "callId", "4711", "cdrTag", "cost centre")
	menu := put(schema.IVR, "uri", "ivr")

	h := &house{out: newCollector(t, nil)}
	h.mixer = mixer.New(mixer.Options{Service: controltest.New(control.WorkerStatus{Name: "0.0"}).Owner("bridge")})
	h.calls = meeting.New(meeting.Options{Mixer: h.mixer, Dialer: h, View: func() store.View { return objects }})
	h.scene = newScene(t, func(o *Options) { o.Control, o.Now = h.calls, time.Now })
	h.start(h.out.URL)
	video := meeting.MediaInfo{Audio: true, Video: true, Presentation: true, Unencrypted: true}

	anna := h.arrives("anna", meeting.Target{Menu: menu})
	h.makes(0, "callLegStart ivr")
	anna.Answered(meeting.Identity{}, video)
	h.makes(1, "callLegUpdate connected ivr")
	for _, key := range "4711#" {
		anna.Key(key)
	}
	got := h.makes(2, "callStart", "callLegUpdate call")
	for _, want := range []string{"<name>Weekly</name>", "<callType>coSpace</callType>", "<coSpace>" + weekly.ID().String(), "<cdrTag>cost centre</cdrTag>", "<callCorrelator>"} {
		if !strings.Contains(got[0].Inner, want) {
			t.Errorf("callStart: want %s, got %s", want, got[0].Inner)
		}
	}
	bert := h.arrives("bert", meeting.Target{Entries: []meeting.Entry{{Space: weekly}}})
	bert.Answered(meeting.Identity{}, video)
	// Whether it has its call from the first record on, or with its answer, is the meeting's to say.
	h.await("bert is in", func() bool {
		all := h.out.took()
		return strings.Contains(all[len(all)-1].Inner, "<state>connected</state>")
	})
	bert.WantsFloor()
	bert.Ended(meeting.RemoteTeardown, true)
	anna.Ended(meeting.RemoteTeardown, true)
	h.await("the end", func() bool { return h.out.took()[len(h.out.took())-1].Type == "callEnd" })
	all := h.out.took()
	var ends []string
	for _, r := range all {
		if strings.HasSuffix(r.Type, "End") {
			ends = append(ends, r.Type)
		}
	}
	if !slices.Equal(ends, []string{"callLegEnd", "callLegEnd", "callEnd"}) {
		t.Errorf("want two legs' ends and the call's, got %v", ends)
	}
	last := all[len(all)-1]
	for _, want := range []string{"<callLegsCompleted>2</callLegsCompleted>", "<callLegsMaxActive>2</callLegsMaxActive>"} {
		if !strings.Contains(last.Inner, want) {
			t.Errorf("callEnd: want %s, got %s", want, last.Inner)
		}
	}
	if leg := all[len(all)-2].Inner; !strings.Contains(leg, "<reason>remoteTeardown</reason><remoteTeardown>true</remoteTeardown><unencryptedMedia>true</unencryptedMedia>") {
		t.Errorf("callLegEnd: want a far end's teardown of unencrypted media, got %s", leg)
	}

	at := len(all)
	in := h.arrives("carl", meeting.Target{Forward: &meeting.Dial{To: "bob@pbx.example.com", Forwarded: true}})
	got = h.makes(at, "callStart", "callLegStart", "callLegStart")
	if !strings.Contains(got[0].Inner, "<callType>forwarding</callType>") || !strings.Contains(got[2].Inner, "<direction>outgoing</direction>") {
		t.Errorf("want a gateway call with a leg out, got %s and %s", got[0].Inner, got[2].Inner)
	}
	h.mu.Lock()
	out := h.dialed[len(h.dialed)-1]
	h.mu.Unlock()
	out.Ended(meeting.RemoteBusy, true)
	in.Ended(meeting.RemoteBusy, false)
	h.await("the end", func() bool { return h.out.took()[len(h.out.took())-1].Type == "callEnd" })

	at = len(h.out.took())
	h.arrives("scanner", meeting.Target{Reject: meeting.UnknownDestination})
	got = h.makes(at, "callLegStart", "callLegEnd")
	if strings.Contains(got[0].Inner, "<call>") || !strings.Contains(got[1].Inner, "<reason>unknownDestination</reason>") {
		t.Errorf("want a leg without a call and an unknown destination, got %s and %s", got[0].Inner, got[1].Inner)
	}
}
