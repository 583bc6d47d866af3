package cdr

import (
	"bytes"
	"strconv"
	"time"

	"rotunda/services/callbridge/meeting"
)

// Type is one type of record. The table below is the only place that says what is in it.
type Type struct {
	// Name is the record's type, Child the element in it; its attribute id is ID.
	Name, Child string
	Help        string
	Since       string
	Fields      []Field
	id          func(*entry) meeting.ID
}

// Field is an element of a record.
type Field struct {
	Name string
	// From says what it is and where it comes from.
	From string
	// Since is the version that brought it; empty for those that were always there.
	Since string
	// Inner are the elements in it; it is left out when none of them is there.
	Inner []Field
	// value is its text; a field without text is left out.
	value func(*entry) string
	// flag makes it an empty element.
	flag func(*entry) bool
	// write is for elements with attributes.
	write func(*bytes.Buffer, *entry)
}

// entry is what one record is made of.
type entry struct {
	at   time.Time
	call *meeting.CallInfo
	leg  *meeting.LegInfo
	use  *usage
	// figures of the leg's media, when it ended.
	figures Figures
	// joined is set when the leg became connected just now.
	joined bool
	sink   sink
}

// sink is a recording or a stream.
type sink struct {
	id, call, leg meeting.ID
	path, url     string
	server        string
}

// Types returns the types of records, in the order of a call's life.
func Types() []*Type {
	return []*Type{callStart, callEnd, legStart, legUpdate, legEnd, recordingStart, recordingEnd, streamingStart, streamingEnd}
}

// Fields that several types have.
var (
	callName = Field{Name: "name", From: "the name of the call", value: func(e *entry) string { return e.call.Name }}
	callKind = Field{Name: "callType", From: "`coSpace`, `forwarding` (a gateway call) or `adHoc`",
		value: func(e *entry) string { return string(e.call.Type) }}
	callSpace = Field{Name: "coSpace", From: "the space, where there is one", value: func(e *entry) string { return id(e.call.Space) }}
	correlate = Field{Name: "callCorrelator", From: "the same on every Call Bridge that the meeting is on",
		value: func(e *entry) string { return id(e.call.Correlator) }}

	legTag  = Field{Name: "cdrTag", From: "the user's cdrTag", value: func(e *entry) string { return e.leg.UserTag }}
	legName = Field{Name: "displayName", From: "what the far end calls itself", value: func(e *entry) string { return e.leg.Name }}
	legFar  = Field{Name: "remoteAddress", From: "the far end's address as its signalling has it, before anything was rewritten; not for the web app's legs",
		value: func(e *entry) string {
			if e.leg.Kind == "acano" {
				return ""
			}
			if e.leg.Original != "" {
				return e.leg.Original
			}
			return e.leg.Remote
		}}
	legCall = Field{Name: "call", From: "the call that it is in", value: func(e *entry) string { return id(e.leg.Call) }}
	legMenu = Field{Name: "ivr", From: "an empty element in place of call: it is in a menu",
		flag: func(e *entry) bool { return e.leg.Menu && e.leg.Call == meeting.ID{} }}
	legOwner = Field{Name: "ownerId", From: "the ID that the API's client gave it", value: func(e *entry) string { return e.leg.OwnerID }}
	legSIP   = Field{Name: "sipCallId", From: "the Call-ID of its dialog", value: func(e *entry) string { return e.leg.SIPID }}
	legGroup = Field{Name: "groupId", From: "the same for all legs of one participant", value: func(e *entry) string { return id(e.leg.Group) }}
	legMoves = Field{Name: "canMove", From: "whether it can be moved to another call", Since: "2.6",
		value: func(e *entry) string { return strconv.FormatBool(e.leg.CanMove) }}

	sinkCall = Field{Name: "call", From: "the call", value: func(e *entry) string { return id(e.sink.call) }}
	sinkLeg  = Field{Name: "callLeg", From: "the leg that goes to it", value: func(e *entry) string { return id(e.sink.leg) }}
)

func ofCall(e *entry) meeting.ID { return e.call.ID }
func ofLeg(e *entry) meeting.ID  { return e.leg.ID }
func ofSink(e *entry) meeting.ID { return e.sink.id }

var callStart = &Type{Name: "callStart", Child: "call", id: ofCall, Help: "A call began.", Fields: []Field{
	callName,
	{Name: "ownerName", From: "the owner's name or JID", value: func(e *entry) string { return e.call.OwnerName }},
	callKind,
	callSpace,
	{Name: "tenant", From: "the tenant, where there is one", value: func(e *entry) string { return id(e.call.Tenant) }},
	{Name: "cdrTag", From: "the space's cdrTag", value: func(e *entry) string { return e.call.Tag }},
	correlate,
}}

var callEnd = &Type{Name: "callEnd", Child: "call", id: ofCall, Help: "A call is over.", Fields: []Field{
	callName, callKind, callSpace, correlate,
	{Name: "callLegsCompleted", From: "legs that it had", value: func(e *entry) string { return strconv.Itoa(e.call.LegsCompleted) }},
	{Name: "callLegsMaxActive", From: "most legs at a time", value: func(e *entry) string { return strconv.Itoa(e.call.MaxLegs) }},
	{Name: "durationSeconds", From: "from its beginning to its end", value: func(e *entry) string { return seconds(e.at.Sub(e.call.Started)) }},
	{Name: "endpointRecorded", From: "whether an endpoint recorded it at any time", Since: "2.4",
		value: func(e *entry) string { return strconv.FormatBool(e.call.EndpointRecorded) }},
}}

var legStart = &Type{Name: "callLegStart", Child: "callLeg", id: ofLeg, Help: "A leg began: somebody calls, or is called.", Fields: []Field{
	legTag, legName,
	{Name: "guestConnection", From: "`true` for a guest of the web app", value: func(e *entry) string {
		return only(e.leg.Kind == "acano" && e.leg.Guest)
	}},
	{Name: "localAddress", From: "the address of ours that was called", value: func(e *entry) string { return e.leg.Local }},
	legFar,
	{Name: "remoteParty", From: "the far end's address, as the API shows it", value: func(e *entry) string { return e.leg.Remote }},
	{Name: "recording", From: "`true` for a leg to a recorder", value: func(e *entry) string { return only(e.leg.Recording) }},
	{Name: "streaming", From: "`true` for a leg to a streamer", Since: "2.1", value: func(e *entry) string { return only(e.leg.Streaming) }},
	{Name: "type", From: "`sip`, or `acano` for the web app", value: func(e *entry) string { return e.leg.Kind }},
	{Name: "subType", From: "`lync` or `avaya`, where it is one", value: func(e *entry) string { return e.leg.Sub }},
	{Name: "direction", From: "`incoming` or `outgoing`", value: func(e *entry) string { return string(e.leg.Direction) }},
	legCall, legMenu, legOwner, legSIP, legGroup,
	{Name: "replacesSipCallId", From: "the Call-ID of the dialog whose place it took", value: func(e *entry) string { return e.leg.Replaces }},
	legMoves,
	{Name: "movedCallLeg", From: "the leg that it was before it was moved", Since: "2.6", value: func(e *entry) string { return id(e.leg.Moved) }},
}}

var legUpdate = &Type{Name: "callLegUpdate", Child: "callLeg", id: ofLeg, Help: "Something that is told of a leg changed.", Fields: []Field{
	{Name: "state", From: "`connected`, once: in the record of that moment", value: func(e *entry) string {
		if e.joined {
			return string(meeting.Connected)
		}
		return ""
	}},
	legCall, legMenu,
	{Name: "deactivated", From: "whether it waits in the lobby", value: func(e *entry) string { return strconv.FormatBool(e.leg.Deactivated) }},
	legOwner, legTag, legSIP, legGroup, legName, legFar, legMoves,
}}

var legEnd = &Type{Name: "callLegEnd", Child: "callLeg", id: ofLeg, Help: "A leg is over.", Fields: []Field{
	legTag,
	{Name: "reason", From: "why, in one of the words below", value: func(e *entry) string {
		if e.leg.End == "" {
			return string(meeting.Failed)
		}
		return string(e.leg.End)
	}},
	{Name: "remoteTeardown", From: "whether the far end ended it", value: func(e *entry) string { return strconv.FormatBool(e.leg.EndedByOther) }},
	{Name: "encryptedMedia", From: "`true` when it ever had encrypted media", value: func(e *entry) string { return only(e.use.encrypted) }},
	{Name: "unencryptedMedia", From: "`true` when it ever had media in the clear", value: func(e *entry) string { return only(e.use.unencrypted) }},
	{Name: "durationSeconds", From: "how long it was connected", value: func(e *entry) string { return seconds(e.use.length) }},
	{Name: "activatedDuration", From: "how long it was not in the lobby", value: func(e *entry) string { return seconds(e.leg.Activated) }},
	{Name: "mediaUsagePercentages", From: "of durationSeconds; those that are 0 are left out", Inner: []Field{
		{Name: "mainVideoViewer", From: "it was sent the meeting's picture", value: func(e *entry) string { return e.use.percent(e.use.watches) }},
		{Name: "mainVideoContributor", From: "its picture was taken", value: func(e *entry) string { return e.use.percent(e.use.shows) }},
		{Name: "presentationViewer", From: "it was sent somebody's presentation", value: func(e *entry) string { return e.use.percent(e.use.reads) }},
		{Name: "presentationContributor", From: "it presented", value: func(e *entry) string { return e.use.percent(e.use.presents) }},
	}},
	{Name: "alarm", From: "an empty element for each alarm that it had: `type` is `packetLoss`, `excessiveJitter` or `highRoundTripTime`, " +
		"`durationPercentage` how much of durationSeconds it was on", write: alarms},
	legOwner, legSIP,
	stream("rxAudio", "sound from it", false, func(f *Figures) *Stream { return &f.RxAudio }),
	stream("txAudio", "sound to it", false, func(f *Figures) *Stream { return &f.TxAudio }),
	stream("rxVideo", "its main picture", true, func(f *Figures) *Stream { return &f.RxVideo }),
	stream("txVideo", "the main picture that it was sent", true, func(f *Figures) *Stream { return &f.TxVideo }),
}}

var recordingStart = &Type{Name: "recordingStart", Child: "recording", id: ofSink, Help: "A recording began.", Fields: []Field{
	{Name: "path", From: "where it is, without `.mp4`", value: func(e *entry) string { return e.sink.path }},
	{Name: "recorderUri", From: "the recorder", value: func(e *entry) string { return e.sink.server }},
	sinkCall, sinkLeg,
}}

var recordingEnd = &Type{Name: "recordingEnd", Child: "recording", id: ofSink, Help: "A recording is over."}

var streamingStart = &Type{Name: "streamingStart", Child: "streaming", id: ofSink, Help: "A stream began.", Since: "2.1", Fields: []Field{
	{Name: "streamUrl", From: "where it goes, without a password", value: func(e *entry) string { return e.sink.url }},
	{Name: "streamerUri", From: "the streamer", value: func(e *entry) string { return e.sink.server }},
	sinkCall, sinkLeg,
}}

var streamingEnd = &Type{Name: "streamingEnd", Child: "streaming", id: ofSink, Help: "A stream is over.", Since: "2.1"}

// stream is what a leg's end says of one stream in one direction.
func stream(name, of string, picture bool, s func(*Figures) *Stream) Field {
	at := func(e *entry) *Stream { return s(&e.figures) }
	loss := func(get func(Loss) string) func(*entry) string {
		return func(e *entry) string {
			if l := at(e).Loss; l != nil {
				return get(*l)
			}
			return ""
		}
	}
	f := Field{Name: name, From: of, Inner: []Field{
		{Name: "codec", From: "the codec, in the API's words", value: func(e *entry) string { return at(e).Codec }},
	}}
	if picture {
		f.Inner = append(f.Inner,
			Field{Name: "maxSizeWidth", From: "the largest picture's width", value: func(e *entry) string { return positive(at(e).Width) }},
			Field{Name: "maxSizeHeight", From: "its height", value: func(e *entry) string { return positive(at(e).Height) }})
	}
	f.Inner = append(f.Inner, Field{Name: "packetStatistics", From: "as in RFC 3611 section 4.7.2", Inner: []Field{
		{Name: "packetLossBursts", From: "times with much loss", Inner: []Field{
			{Name: "duration", From: "mean, in milliseconds", value: loss(func(l Loss) string { return milliseconds(l.BurstDuration) })},
			{Name: "density", From: "packets lost in them, in percent", value: loss(func(l Loss) string { return tenth(l.BurstDensity) })},
		}},
		{Name: "packetGap", From: "times between them", Inner: []Field{
			{Name: "duration", From: "mean, in milliseconds", value: loss(func(l Loss) string { return milliseconds(l.GapDuration) })},
			{Name: "density", From: "packets lost in them, in percent", value: loss(func(l Loss) string { return tenth(l.GapDensity) })},
		}},
	}})
	return f
}

// alarms are written in this order.
func alarms(b *bytes.Buffer, e *entry) {
	for _, kind := range []string{"packetLoss", "excessiveJitter", "highRoundTripTime"} {
		if d := e.use.alarms[kind]; d > 0 {
			// With a space before the end: scripts look for it so (reference section 3).
			b.WriteString(`<alarm type="` + kind + `" durationPercentage="` + tenth(e.use.share(d)) + `" />`)
		}
	}
}

func id(i meeting.ID) string {
	if i == (meeting.ID{}) {
		return ""
	}
	return i.String()
}

// only is for fields that are there when they are true.
func only(yes bool) string {
	if yes {
		return "true"
	}
	return ""
}

func positive(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(max(0, d)/time.Second), 10) }

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(0, d).Milliseconds(), 10) }

func tenth(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
