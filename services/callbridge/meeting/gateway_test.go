package meeting

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
)

func forwarded(w *world) (in, out *far) {
	w.t.Helper()
	in = w.arrives("alice", Target{Forward: &Dial{To: "bob@pbx.example.com", Forwarded: true, From: "alice@example.com"}})
	out = w.dialled()
	if d := out.dial; d.To != "bob@pbx.example.com" || !d.Forwarded || d.From != "alice@example.com" || d.FromName != "alice" {
		w.t.Errorf("the dialer was asked for %+v", d)
	}
	return in, out
}

func TestAGatewayCall(t *testing.T) {
	w := newWorld(t)
	in, out := forwarded(w)
	if got, want := w.kinds(), []Kind{CallBegan, ParticipantBegan, ParticipantBegan, LegBegan, LegBegan}; !slices.Equal(got, want) {
		t.Errorf("want the changes %v, got %v", want, got)
	}
	k := w.only()
	if k.Type != GatewayCall || k.Legs != 2 || k.Participants != 2 || k.Space != (ID{}) {
		t.Errorf("the call is %+v", k)
	}
	in.does()
	out.leg.Ringing()
	in.does("ring")
	if in.info().State != Ringing {
		t.Errorf("the incoming leg is %s", in.info().State)
	}
	out.answers()
	in.does("accept")
	in.answers()
	in.barrier()
	if in.moves() != Line(out.fakeLine) || out.moves() != Line(in.fakeLine) {
		t.Errorf("want each side to move the other one's camera, got %v and %v", in.moves(), out.moves())
	}
	for _, f := range []*far{in, out} {
		if m := f.put(); m.Conference != k.ID.String() || m.Audio.Muted {
			t.Errorf("%s: the engine has %+v", f.leg.name, m)
		}
		if got := f.heard(); len(got) != 0 {
			t.Errorf("%s hears %q in a call between two", f.leg.name, got)
		}
	}
	if _, err := w.calls.AddParticipant(t.Context(), k.ID, fields{"remoteParty": "third@example.com"}); err != failure.InvalidOperation {
		t.Errorf("a third side: %v", err)
	}
	// Presentations, hold and key tones pass.
	in.leg.WantsFloor()
	in.does("grant")
	out.does("show true")
	in.leg.LeavesFloor()
	out.does("show false")
	in.leg.Held(true)
	out.does("hold true")
	if in.info().State != OnHold || out.info().State != Connected {
		t.Errorf("the legs are %s and %s", in.info().State, out.info().State)
	}
	in.leg.Held(false)
	out.does("hold false")
	in.presses("7#")
	out.barrier()
	w.engine.mu.Lock()
	if got := w.engine.keys[out.media.ID()]; got != "7#" {
		t.Errorf("the keys that passed are %q", got)
	}
	w.engine.mu.Unlock()
	out.hangsUp()
	in.does("hangup callEnded")
	if i := out.info(); i.End != RemoteTeardown || !i.EndedByOther || in.info().End != CallEnded {
		t.Errorf("the legs ended by %q and %q", i.End, in.info().End)
	}
	if len(w.calls.Calls())+len(w.calls.Legs(ID{})) != 0 {
		t.Error("something is left")
	}
}

// signalling is a line whose far end takes key tones by signalling.
type signalling struct {
	*fakeLine
	keys chan string
}

func (s signalling) SendKeys(keys string) { s.keys <- keys }

func TestKeyTonesGoTheWayThatTheFarEndTakes(t *testing.T) {
	w := newWorld(t)
	in, out := forwarded(w)
	out.answers()
	in.answers()
	s := signalling{out.fakeLine, make(chan string, 2)}
	w.calls.lock()
	out.leg.line = s
	w.calls.unlock()
	in.presses("7")
	if got := <-s.keys; got != "7" {
		t.Errorf("want 7 by signalling, got %q", got)
	}
	out.barrier()
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	if got := w.engine.keys[out.media.ID()]; got != "" {
		t.Errorf("want no keys by RTP, got %q", got)
	}
}

func TestAGatewayCallThatFailsSaysWhy(t *testing.T) {
	for _, why := range []Reason{RemoteBusy, RemoteRejected, RingingTimeout, DNSFailure, UnknownDestination} {
		w := newWorld(t)
		in, out := forwarded(w)
		out.leg.Ended(why, true)
		in.does("hangup " + string(why))
		if len(w.calls.Calls()) != 0 {
			t.Errorf("%s: the call is still there", why)
		}
	}
}

func TestAGatewayCallHasNoLobbyAndNoLock(t *testing.T) {
	w := newWorld(t)
	tenant := put(t, schema.Tenants, ID{}, fields{"name": "t", "callLegProfile": profile(t, fields{"needsActivation": "true"}),
		"callProfile": callProfileOf(t, fields{"locked": "true", "lockMode": "all"}), "participantLimit": "2"})
	in := w.arrives("alice", Target{Forward: &Dial{To: "bob@pbx.example.com"}, Tenant: tenant.ID()})
	out := w.dialled()
	out.answers()
	in.answers()
	if err := w.calls.UpdateParticipant(t.Context(), in.info().Participant, fields{"deactivated": "true"}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*far{in, out} {
		f.waits(false)
	}
	// A tenant that is full has no room for two more.
	w.arrives("carol", Target{Forward: &Dial{To: "dave@pbx.example.com"}, Tenant: tenant.ID()}).does("hangup tenantParticipantLimitReached")
	if len(w.calls.Calls()) != 1 {
		t.Errorf("there are %d calls", len(w.calls.Calls()))
	}
}

func TestAGatewayCallThatIsGivenUp(t *testing.T) {
	w := newWorld(t)
	in, out := forwarded(w)
	in.hangsUp()
	out.does("hangup callEnded")
	if len(w.calls.Legs(ID{})) != 0 {
		t.Error("a leg is left")
	}
}

func TestAudioCallsThroughAGatewayStayAudio(t *testing.T) {
	tenant := put(t, schema.Tenants, ID{}, fields{"name": "t", "callProfile": callProfileOf(t, fields{"gatewayAudioCallOptimization": "true"})}).ID()
	for _, c := range []struct {
		name   string
		tenant ID
		offer  MediaInfo
		want   bool
	}{
		{"audio", tenant, MediaInfo{Audio: true}, true},
		{"audio and video", tenant, full, false},
		{"audio and slides", tenant, MediaInfo{Audio: true, Presentation: true}, false},
		{"audio without the setting", ID{}, MediaInfo{Audio: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			line := &fakeLine{media: w.mixer.Leg(uuid.NewString(), nil)}
			w.calls.Arrive(Arrival{Vouched: true, Line: line, Media: line.media, Kind: "sip", Offer: c.offer},
				Target{Forward: &Dial{To: "bob@pbx.example.com", Forwarded: true, Tenant: c.tenant}})
			if d := w.dialled().dial; d.NoVideo != c.want || d.NoPresent != c.want {
				t.Errorf("want without pictures %t, got %+v", c.want, d)
			}
		})
	}
}
