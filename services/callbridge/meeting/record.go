package meeting

import (
	"time"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/media/control"
)

// sinkKind is a recording or a stream.
type sinkKind int

const (
	recording sinkKind = iota
	streaming
)

var sinkKinds = [...]struct {
	mode, uri, field, purpose  string
	began, over                Kind
	begins, ends               prompt.Name
	unavailable, notByLicences failure.Code
}{
	recording: {"recordingMode", "sipRecorderUri", "recording", "recording", RecordingBegan, RecordingOver, prompt.MeetingRecorded, prompt.RecordingEnded,
		failure.CallRecordingCannotBeModified, failure.RecordingNotAllowedByLicensing},
	streaming: {"streamingMode", "sipStreamerUri", "streaming", "streaming", StreamingBegan, StreamingOver, prompt.MeetingStreamed, prompt.StreamingEnded,
		failure.CallStreamingCannotBeModified, failure.StreamingNotAllowedByLicensing},
}

// A recorder that does not answer, or goes away, is called again after a pause that doubles.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 2 * time.Minute
)

// sink is the recording or the stream of a call: a leg to the recorder or streamer, which is called again while it is wanted and fails.
type sink struct {
	call    *call
	kind    sinkKind
	wanted  bool
	leg     *Leg
	id      ID // of what runs; zero when nothing does
	path    string
	url     string
	server  string
	retry   time.Duration
	timer   func()
	counted bool // among those that run or begin, for the licences
}

func (s *sink) runs() bool { return s != nil && s.id != (ID{}) }

// status is how it is getting on.
func (s *sink) status() string {
	switch {
	case s == nil || !s.wanted && !s.runs():
		return ""
	case s.runs():
		return "active"
	case s.leg != nil:
		return "connecting"
	}
	return "retrying"
}

// startSink starts recording or streaming. An error says why it cannot be.
func (k *call) startSink(kind sinkKind) error {
	about := &sinkKinds[kind]
	if s := k.sinks[kind]; s != nil && s.wanted {
		return nil
	}
	server := k.profile.Text(about.uri)
	if k.profile.Text(about.mode) == "disabled" || server == "" {
		return about.unavailable
	}
	url := ""
	if kind == streaming {
		if k.space != nil {
			url = k.space.Text("streamUrl")
		}
		if url == "" {
			return about.unavailable // there is nowhere to stream to
		}
	}
	if may := k.c.o.Licence().MayStart; may != nil {
		ok := [2]bool{}
		ok[recording], ok[streaming] = may(k.c.recordings, k.c.streams)
		if !ok[kind] {
			return about.notByLicences
		}
	}
	s := &sink{call: k, kind: kind, wanted: true, url: url, server: server, retry: firstRetry}
	s.count(true)
	k.sinks[kind] = s
	s.dial()
	k.touch()
	return nil
}

// stopSink ends recording or streaming.
func (k *call) stopSink(kind sinkKind) {
	s := k.sinks[kind]
	if s == nil || !s.wanted {
		return
	}
	s.wanted = false
	k.touch()
	stop(&s.timer)
	if s.leg != nil {
		s.leg.end(LocalTeardown, false)
	}
	s.count(false)
}

// startAutomatically starts what the callProfile wants for every meeting, when the first participant is in it. Failure does not stop the meeting.
func (k *call) startAutomatically() {
	for kind := range sinkKinds {
		kind := sinkKind(kind)
		if k.sinks[kind] != nil || k.profile.Text(sinkKinds[kind].mode) != "automatic" || k.inside == 0 {
			continue
		}
		if err := k.startSink(kind); err != nil {
			k.c.log.Error("a meeting is not recorded or streamed as its profile asks", "call", k.id, "what", sinkKinds[kind].purpose, "error", err)
			k.sinks[kind] = &sink{call: k, kind: kind} // tried
		}
	}
}

// dial calls the recorder or streamer. The headers tell ours what it is for; others leave them alone.
func (s *sink) dial() {
	k := s.call
	s.path = k.recordingPath(k.c.clock.Now())
	d := dialling{confirmation: "false"}
	d.Streaming = true
	d.To, d.Tenant, d.FromName, d.From = s.server, k.tenant, k.name, k.address()
	d.Headers = [][2]string{{"X-Rotunda-Purpose", sinkKinds[s.kind].purpose}, {"X-Rotunda-Call", k.id.String()}, {"X-Rotunda-Path", s.path}}
	if s.url != "" {
		d.Headers = append(d.Headers, [2]string{"X-Rotunda-Stream", s.url})
	}
	l := k.c.newLeg(fresh(), Outgoing)
	l.kind, l.dial, l.sink, l.remote, l.original, l.local = "sip", &d, s, s.server, s.server, d.From
	l.call, l.tenant = k, k.tenant
	k.legs = append(k.legs, l)
	k.maxLegs = max(k.maxLegs, len(k.legs))
	l.resolve()
	l.adjust()
	s.leg = l
	l.touch()
	k.touch()
	l.makeCall()
}

// recordingPath is where a recording goes: the folders of recordings that administrators know.
func (k *call) recordingPath(now time.Time) string {
	path := "forwardedCalls/"
	if k.space != nil {
		path = "spaces/" + k.space.ID().String() + "/"
	}
	if k.tenant != (ID{}) {
		path = "tenants/" + k.tenant.String() + "/" + path
	}
	return path + now.UTC().Format("20060102150405+0000")
}

// answered: the recorder or streamer is there.
func (s *sink) answered() {
	s.id = fresh()
	s.retry = firstRetry
	s.leg.came = true
	s.leg.apply()
	s.change(sinkKinds[s.kind].began)
	k := s.call
	if k.presenter != nil {
		s.leg.showPresentation(true)
	}
	k.applyConference()
	s.announce(sinkKinds[s.kind].begins)
}

// ended: its leg is gone. While it is wanted it is called again.
func (s *sink) ended(why Reason) {
	k := s.call
	if s.runs() {
		s.change(sinkKinds[s.kind].over)
		s.id = ID{}
		k.applyConference()
		if !k.over {
			s.announce(sinkKinds[s.kind].ends)
		}
	}
	s.leg = nil
	if k.over || !s.wanted {
		return
	}
	k.c.log.Warn("a recorder or streamer is gone, and called again", "call", k.id, "what", sinkKinds[s.kind].purpose, "server", s.server, "reason", why, "after", s.retry)
	s.timer = k.c.after(s.retry, func() {
		s.timer = nil
		s.dial()
	})
	s.retry = min(2*s.retry, lastRetry)
}

// drop forgets it: the call is over.
func (s *sink) drop() {
	if s == nil {
		return
	}
	s.wanted = false
	stop(&s.timer)
	s.count(false)
}

func (s *sink) count(on bool) {
	if s.counted == on {
		return
	}
	s.counted = on
	by := -1
	if on {
		by = 1
	}
	if s.kind == recording {
		s.call.c.recordings += by
	} else {
		s.call.c.streams += by
	}
}

// change makes it known.
func (s *sink) change(kind Kind) {
	k := s.call
	c := Change{Kind: kind}
	c.Sink.ID, c.Sink.Call, c.Sink.Leg, c.Sink.Server = s.id, k.id, s.leg.id, s.server
	if s.kind == recording {
		c.Sink.Path = s.path
	} else {
		c.Sink.URL = s.url
	}
	k.c.pending.sinks = append(k.c.pending.sinks, c)
	k.touch()
}

// announce tells everybody in the meeting.
func (s *sink) announce(name prompt.Name) {
	k := s.call
	if k.c.o.Prompts == nil || k.gateway != nil {
		return
	}
	if files := k.c.o.Prompts.Files(k.prompts.kind, k.prompts.location, name); len(files) > 0 {
		k.conference.Play(control.Play{Files: files})
	}
}

// emptyOut: nobody is left in a call that stays. There is nothing to record.
func (k *call) emptyOut() {
	for kind, s := range k.sinks {
		if s == nil {
			continue
		}
		k.stopSink(sinkKind(kind))
		k.sinks[kind] = nil
	}
}
