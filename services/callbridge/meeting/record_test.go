package meeting

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

func recorded(t testing.TB, call fields) *store.Record {
	f := fields{"sipRecorderUri": "rec@recorder.example.com", "sipStreamerUri": "str@streamer.example.com"}
	for k, v := range call {
		f[k] = v
	}
	return space(t, fields{"callProfile": callProfileOf(t, f), "streamUrl": "rtmp://live.example.com/key",
		"tenant":         keysOf(t, fields{"startRecording": "*1", "stopRecording": "*2", "startStreaming": "*3", "stopStreaming": "*4"}),
		"callLegProfile": profile(t, fields{"recordingControlAllowed": "true", "streamingControlAllowed": "true"})})
}

func (w *world) sinksOf(kind Kind) []Change {
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	var l []Change
	for _, c := range w.changes {
		if c.Kind == kind {
			l = append(l, c)
		}
	}
	return l
}

func TestRecordingByTheAPIAndByKeys(t *testing.T) {
	w := newWorld(t)
	s := recorded(t, nil)
	alice := w.joins("alice", s)
	id := w.only().ID
	if err := w.calls.UpdateCall(t.Context(), id, fields{"recording": "true"}); err != nil {
		t.Fatal(err)
	}
	rec := w.dialled()
	if d := rec.dial; d.To != "rec@recorder.example.com" || !slices.ContainsFunc(d.Headers, func(h [2]string) bool { return h[0] == "X-Rotunda-Purpose" && h[1] == "recording" }) {
		t.Errorf("the dialer was asked for %+v", d)
	}
	if k := w.only(); k.Recording || k.RecordingStatus != "connecting" || k.Legs != 2 || k.Participants != 1 {
		t.Errorf("the call is %+v", k)
	}
	rec.answers()
	k := w.only()
	if !k.Recording || k.RecordingStatus != "active" || !w.conference().Recording {
		t.Errorf("the call is %+v", k)
	}
	if i := rec.info(); !i.Recording || i.Streaming || i.Participant != (ID{}) || i.Call != id {
		t.Errorf("the leg is %+v", i)
	}
	if m := rec.put(); m.Conference != id.String() || !m.Audio.Muted || !m.Video.Muted || m.Audio.Deaf || m.Video.Direction != control.SendOnly || m.Audio.Direction != control.SendOnly {
		t.Errorf("what the recorder says or shows is not left out: %+v", m)
	}
	began := w.sinksOf(RecordingBegan)
	if len(began) != 1 || began[0].Sink.Leg != rec.info().ID || !strings.Contains(began[0].Sink.Path, "/spaces/"+s.ID().String()+"/20261122120000+0000") {
		t.Fatalf("the changes are %+v", began)
	}
	if got := w.conferenceHears(id); !slices.Equal(got, []string{"meeting_recorded"}) {
		t.Errorf("the meeting hears %q", got)
	}
	bob := w.joins("bob", s)
	bob.hears("cospace_join meeting_recorded")
	alice.presses("*2")
	rec.does("hangup localTeardown")
	if k := w.only(); k.Recording || k.RecordingStatus != "" || w.conference().Recording {
		t.Errorf("the call is %+v", k)
	}
	over := w.sinksOf(RecordingOver)
	if len(over) != 1 || over[0].Sink.ID != began[0].Sink.ID {
		t.Errorf("the changes are %+v", over)
	}
	w.pass(time.Hour)
	if len(w.calls.Legs(id)) != 2 {
		t.Error("what was stopped began again")
	}
	alice.presses("*1")
	again := w.dialled()
	again.answers()
	if !w.only().Recording {
		t.Error("keys do not start it")
	}
	alice.hangsUp()
	bob.hangsUp()
	again.does("hangup callEnded")
	if len(w.sinksOf(RecordingOver)) != 2 || len(w.calls.Calls()) != 0 {
		t.Error("the recording outlives the meeting")
	}
	if w.calls.recordings != 0 {
		t.Errorf("%d recordings are counted", w.calls.recordings)
	}
}

func (w *world) conferenceHears(id ID) []string {
	w.conference()
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	var l []string
	for _, s := range w.engine.said {
		if who, what, _ := strings.Cut(s, ": "); who == id.String() {
			l = append(l, what)
		}
	}
	return l
}

func TestARecorderThatFailsIsCalledAgain(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", recorded(t, fields{"recordingMode": "automatic"}))
	first := w.dialled()
	first.leg.Ended(RemoteBusy, true)
	w.settle()
	if k := w.only(); k.Recording || k.RecordingStatus != "retrying" {
		t.Errorf("the call is %+v", k)
	}
	dials := func() int { w.mu.Lock(); defer w.mu.Unlock(); return len(w.dials) }
	w.pass(firstRetry)
	if dials() != 2 {
		t.Fatalf("it was called %d times", dials())
	}
	w.dialled().leg.Ended(RemoteBusy, true)
	w.pass(2*firstRetry - 1)
	if dials() != 2 {
		t.Error("the pause does not grow")
	}
	w.pass(1)
	third := w.dialled()
	third.answers()
	if !w.only().Recording {
		t.Error("it is not recorded")
	}
	third.hangsUp()
	if w.only().Recording {
		t.Error("it is recorded by nobody")
	}
	w.pass(firstRetry)
	w.dialled().answers()
	if n := dials(); !w.only().Recording || n != 4 {
		t.Errorf("after %d calls the meeting is not recorded", n)
	}
	alice.hangsUp()
	w.pass(time.Hour)
	if dials() != 4 || len(w.calls.Legs(ID{})) != 0 {
		t.Error("a recorder is called for a meeting that is over")
	}
}

func TestWhoMayRecordAndStream(t *testing.T) {
	for _, c := range []struct {
		name  string
		call  fields
		may   func(int, int) (bool, bool)
		field string
		want  failure.Code
	}{
		{"no recorder", fields{"sipRecorderUri": ""}, nil, "recording", failure.CallRecordingCannotBeModified},
		{"disabled", fields{"recordingMode": "disabled"}, nil, "recording", failure.CallRecordingCannotBeModified},
		{"no licence", nil, func(int, int) (bool, bool) { return false, true }, "recording", failure.RecordingNotAllowedByLicensing},
		{"streaming disabled", fields{"streamingMode": "disabled"}, nil, "streaming", failure.CallStreamingCannotBeModified},
		{"no licence to stream", nil, func(int, int) (bool, bool) { return true, false }, "streaming", failure.StreamingNotAllowedByLicensing},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.licence.MayStart = c.may
			alice := w.joins("alice", recorded(t, c.call))
			err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{c.field: "true"})
			if !errors.Is(err, c.want) {
				t.Errorf("want %s, got %v", c.want, err)
			}
			if k := w.only(); k.RecordingStatus+k.StreamingStatus != "" || k.Legs != 1 {
				t.Errorf("the call is %+v", k)
			}
			alice.played()
			alice.presses(map[string]string{"recording": "*1", "streaming": "*3"}[c.field])
			alice.hears("not_allowed")
		})
	}
}

func TestStreaming(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", recorded(t, nil))
	alice.presses("*3")
	str := w.dialled()
	str.answers()
	if d := str.dial; d.To != "str@streamer.example.com" || !slices.Contains(d.Headers, [2]string{"X-Rotunda-Stream", "rtmp://live.example.com/key"}) {
		t.Errorf("the dialer was asked for %+v", d)
	}
	if k := w.only(); !k.Streaming || k.Recording || !w.conference().Streaming || !str.info().Streaming {
		t.Errorf("the call is %+v", k)
	}
	if got := w.sinksOf(StreamingBegan); len(got) != 1 || got[0].Sink.URL != "rtmp://live.example.com/key" || got[0].Sink.Path != "" {
		t.Errorf("the changes are %+v", got)
	}
	alice.presses("*4")
	if w.only().Streaming || len(w.sinksOf(StreamingOver)) != 1 {
		t.Error("it goes on")
	}
}

func TestEndpointsThatRecord(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.joins("alice", s)
	w.joins("bob", s)
	alice.leg.EndpointRecords(true)
	if k := w.only(); !k.EndpointRecording || !k.EndpointRecorded || k.Recording || !w.conference().Recording || !alice.participant().Recording {
		t.Errorf("the call is %+v", k)
	}
	alice.leg.EndpointRecords(false)
	if k := w.only(); k.EndpointRecording || !k.EndpointRecorded || w.conference().Recording {
		t.Errorf("the call is %+v", k)
	}
	alice.leg.EndpointRecords(true)
	alice.hangsUp()
	if k := w.only(); k.EndpointRecording {
		t.Errorf("the call is %+v", k)
	}
}

func TestACallThatStaysWhenItIsEmptyRecordsNobody(t *testing.T) {
	w := newWorld(t)
	s := recorded(t, fields{"recordingMode": "automatic"})
	if _, err := w.calls.CreateCall(t.Context(), fields{"coSpace": s.ID().String()}); err != nil {
		t.Fatal(err)
	}
	if len(w.calls.Legs(ID{})) != 0 {
		t.Error("an empty meeting is recorded")
	}
	alice := w.joins("alice", s)
	rec := w.dialled()
	rec.answers()
	alice.hangsUp()
	rec.does("hangup localTeardown")
	if k := w.only(); k.Legs != 0 || k.Recording {
		t.Errorf("the call is %+v", k)
	}
	w.joins("bob", s)
	w.dialled().answers()
	if !w.only().Recording {
		t.Error("the next meeting is not recorded")
	}
}

func TestRecordingsOfTenantsAndGatewayCalls(t *testing.T) {
	w := newWorld(t)
	p := callProfileOf(t, fields{"sipRecorderUri": "rec@recorder.example.com", "recordingMode": "automatic"})
	tenant := put(t, schema.Tenants, ID{}, fields{"name": "t", "callProfile": p})
	in := w.arrives("alice", Target{Forward: &Dial{To: "bob@pbx.example.com"}, Tenant: tenant.ID()})
	out := w.dialled()
	out.answers()
	in.answers()
	rec := w.dialled()
	rec.answers()
	if got := w.sinksOf(RecordingBegan); len(got) != 1 || got[0].Sink.Path != "tenants/"+tenant.ID().String()+"/forwardedCalls/20261122120000+0000" {
		t.Errorf("the changes are %+v", got)
	}
	rec.hangsUp()
	if len(w.calls.Calls()) != 1 {
		t.Error("the call ends with its recording")
	}
	in.hangsUp()
	out.does("hangup callEnded")
	if len(w.calls.Legs(ID{})) != 0 {
		t.Error("a leg is left")
	}
}
