package cdr

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rotunda/services/callbridge/meeting"
)

var update = flag.Bool("update", false, "write the reference page and the transcripts")

// ivrJoin is somebody who comes through the menu and leaves, as the last one (reference section 3, typical order).
func ivrJoin(s *scene) {
	l := meeting.LegInfo{ID: leg(1), Kind: "sip", Name: "Anna <Office>", Remote: "anna@example.com", Original: "anna@pbx.example.com",
		Local: "ivr@meet.example.com", Address: home, SIPID: "call-1@192.0.2.7", Group: leg(1), Direction: meeting.Incoming,
		State: meeting.Initial, Menu: true, Media: meeting.MediaInfo{Audio: true, Video: true}}
	s.leg(meeting.LegBegan, l)
	s.clock.pass(time.Second)
	l.State, l.Connected = meeting.Connected, s.clock.now()
	l.Media.Encrypted, l.Media.Cipher = true, "AES_CM_128_HMAC_SHA1_80"
	s.leg(meeting.LegChanged, l)
	s.clock.pass(10 * time.Second)
	c := meeting.CallInfo{ID: call(1), Type: meeting.SpaceCall, Name: "Sales & Marketing", Space: space(1), Correlator: number(0xc0, 1),
		OwnerName: "Olga", Tag: "cost centre 7", Started: s.clock.now()}
	s.call(meeting.CallBegan, c)
	l.Call, l.Menu, l.CanMove, l.UserTag = c.ID, false, true, "anna-tag"
	s.leg(meeting.LegChanged, l)
	// What no record tells of.
	l.Layout, l.Muted.RxAudio = "allEqual", true
	s.leg(meeting.LegChanged, l)
	s.clock.pass(20 * time.Second)
	l.Alarms = []string{"packetLoss"}
	s.leg(meeting.LegChanged, l)
	s.clock.pass(10 * time.Second)
	l.Alarms = nil
	l.Muted.RxVideo = true
	s.leg(meeting.LegChanged, l)
	c.Presenter = l.ID
	s.call(meeting.CallChanged, c)
	s.clock.pass(20 * time.Second)
	c.Presenter = meeting.ID{}
	s.call(meeting.CallChanged, c)
	s.clock.pass(40 * time.Second)
	l.State, l.End, l.EndedByOther, l.Ended, l.Activated = meeting.Gone, meeting.RemoteTeardown, true, s.clock.now(), 90*time.Second
	s.leg(meeting.LegOver, l)
	c.Legs, c.MaxLegs, c.LegsCompleted = 0, 1, 1
	s.call(meeting.CallOver, c)
}

// directJoin is two of the web app: a guest waits in the lobby until the host comes, and is disconnected with the call.
func directJoin(s *scene) {
	c := meeting.CallInfo{ID: call(1), Type: meeting.SpaceCall, Name: "Board", Space: space(2), Tenant: number(0x7e, 1), Correlator: number(0xc0, 1),
		Started: s.clock.now()}
	s.call(meeting.CallBegan, c)
	guest := meeting.LegInfo{ID: leg(1), Call: c.ID, Kind: "acano", Name: "Gert", Remote: "guest1@meet.example.com", Group: leg(1), Direction: meeting.Incoming,
		State: meeting.Connected, Connected: s.clock.now(), Guest: true, Deactivated: true, Media: meeting.MediaInfo{Audio: true, Encrypted: true}}
	s.leg(meeting.LegBegan, guest)
	s.clock.pass(30 * time.Second)
	host := meeting.LegInfo{ID: leg(2), Call: c.ID, Kind: "acano", Name: "Hanna", Remote: "hanna@example.com", Group: leg(2), Direction: meeting.Incoming,
		State: meeting.Initial, CanMove: true}
	s.leg(meeting.LegBegan, host)
	host.State, host.Connected = meeting.Connected, s.clock.now()
	s.leg(meeting.LegChanged, host)
	guest.Deactivated = false
	s.leg(meeting.LegChanged, guest)
	s.clock.pass(30 * time.Second)
	c.EndpointRecorded, c.MaxLegs, c.LegsCompleted = true, 2, 2
	for _, l := range []meeting.LegInfo{guest, host} {
		l.State, l.End, l.Ended, l.Activated = meeting.Gone, meeting.APITeardown, s.clock.now(), 30*time.Second
		s.leg(meeting.LegOver, l)
	}
	s.call(meeting.CallOver, c)
}

// gatewayCall goes from one endpoint to another one that is busy.
func gatewayCall(s *scene) {
	c := meeting.CallInfo{ID: call(1), Type: meeting.GatewayCall, Name: "bert@other.example", Correlator: number(0xc0, 1), Started: s.clock.now()}
	s.call(meeting.CallBegan, c)
	in := meeting.LegInfo{ID: leg(1), Call: c.ID, Kind: "sip", Remote: "anna@example.com", Local: "bert@other.example", Address: home, SIPID: "in-1",
		Group: leg(1), Direction: meeting.Incoming, State: meeting.Initial}
	s.leg(meeting.LegBegan, in)
	out := meeting.LegInfo{ID: leg(2), Call: c.ID, Kind: "sip", Sub: "lync", Remote: "bert@other.example", SIPID: "out-1", Group: leg(2),
		Direction: meeting.Outgoing, State: meeting.Initial}
	s.leg(meeting.LegBegan, out)
	out.State = meeting.Ringing
	s.leg(meeting.LegChanged, out)
	s.clock.pass(3500 * time.Millisecond)
	out.State, out.End, out.EndedByOther = meeting.Gone, meeting.RemoteBusy, true
	s.leg(meeting.LegOver, out)
	in.State, in.End = meeting.Gone, meeting.RemoteBusy
	s.leg(meeting.LegOver, in)
	c.MaxLegs, c.LegsCompleted = 2, 2
	s.call(meeting.CallOver, c)
}

// unknown is a scanner's call.
func unknown(s *scene) {
	l := meeting.LegInfo{ID: leg(1), Kind: "sip", Name: "sipvicious", Remote: "100@1.1.1.1", Local: "900442037690237@meet.example.com", Address: home,
		SIPID: "scan", Group: leg(1), Direction: meeting.Incoming, State: meeting.Initial}
	s.leg(meeting.LegBegan, l)
	l.State, l.End = meeting.Gone, meeting.UnknownDestination
	s.leg(meeting.LegOver, l)
}

// recorded is a meeting that is recorded and streamed.
func recorded(s *scene) {
	c := meeting.CallInfo{ID: call(1), Type: meeting.SpaceCall, Name: "Town hall", Space: space(3), Correlator: number(0xc0, 1), Started: s.clock.now()}
	s.call(meeting.CallBegan, c)
	l := meeting.LegInfo{ID: leg(9), Call: c.ID, Kind: "sip", Remote: "recorder@rec.example", Direction: meeting.Outgoing, Group: leg(9), State: meeting.Connected,
		Connected: s.clock.now(), Recording: true, SIPID: "rec"}
	s.leg(meeting.LegBegan, l)
	began := meeting.Change{Kind: meeting.RecordingBegan}
	began.Sink.ID, began.Sink.Call, began.Sink.Leg, began.Sink.Path, began.Sink.Server = number(0x4e, 1), c.ID, l.ID, "spaces/town/2026-03-01", "recorder@rec.example"
	s.tell(began)
	stream := meeting.Change{Kind: meeting.StreamingBegan}
	stream.Sink.ID, stream.Sink.Call, stream.Sink.Leg, stream.Sink.URL = number(0x57, 1), c.ID, leg(8), "rtmp://name:secret@live.example/app/key"
	s.tell(stream)
	s.clock.pass(time.Minute)
	over := meeting.Change{Kind: meeting.StreamingOver}
	over.Sink.ID = stream.Sink.ID
	s.tell(over)
	over = meeting.Change{Kind: meeting.RecordingOver}
	over.Sink.ID = began.Sink.ID
	s.tell(over)
	l.State, l.End, l.Ended = meeting.Gone, meeting.CallEnded, s.clock.now()
	s.leg(meeting.LegOver, l)
	c.MaxLegs, c.LegsCompleted = 1, 1
	s.call(meeting.CallOver, c)
}

var orders = []struct {
	name string
	play func(*scene)
}{{"ivr", ivrJoin}, {"direct", directJoin}, {"gateway", gatewayCall}, {"unknown", unknown}, {"recorded", recorded}}

// figures are the media of legs in transcripts.
func figures(l meeting.ID) Figures {
	if l != leg(1) {
		return Figures{}
	}
	return Figures{
		RxAudio: Stream{Codec: "opus", Loss: &Loss{1500 * time.Millisecond, 10 * time.Second, 12.5, 0.25}},
		TxAudio: Stream{Codec: "opus"},
		RxVideo: Stream{Codec: "h264", Width: 1280, Height: 720},
		TxVideo: Stream{Codec: "h264", Width: 1920, Height: 1080},
	}
}

func TestRecordsOfTypicalOrdersAreThoseOfTheTranscripts(t *testing.T) {
	for _, order := range orders {
		t.Run(order.name, func(t *testing.T) {
			t.Parallel()
			c := newCollector(t, nil)
			s := newScene(t, func(o *Options) { o.Stats = figures })
			// All in one document, so that it can be compared.
			s.r.pace.gather = time.Hour
			s.start(c.URL)
			order.play(s)
			s.end()
			file := filepath.Join("testdata", order.name+".xml")
			got := c.text()
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, []byte(got)) {
				t.Errorf("want\n%s\ngot\n%s", want, got)
			}
		})
	}
}
