package schema

import "slices"

// What call control keeps while it lasts (reference section 2.3). A change of one is an order to call control; nothing here is
// stored.

const (
	configuration = "configuration"
	status        = "status"
)

var states = []string{"initial", "ringing", "connected", "onHold"}

// Call is a meeting that is going on, on this Call Bridge.
var Call = declare(Object{
	Name: "call", Plural: "calls", Methods: CRUD, Live: true, Missing: "callDoesNotExist", Cap: 10,
	Help:    "A meeting that is going on.",
	Order:   "name",
	Filters: []Filter{{"coSpaceFilter", "coSpace"}, {"tenantFilter", "tenant"}, {"callBridgeGroupFilter", "callBridgeGroup"}},
	Fields: slices.Concat([]Field{
		{Name: "name", Kind: Text, Max: 200, List: true, Help: "The name that people see; that of the space, where there is one."},
		{Name: "coSpace", Kind: Reference, To: "coSpaces", Access: OnCreate, List: true, Help: "The space; a call without one needs a name."},
		{Name: "callCorrelator", Kind: GUID, Access: OnCreate, List: true, Help: "The same for all parts of a meeting, on whatever Call Bridge they are."},
		{Name: "tenant", Kind: Reference, To: "tenants", Access: Shown, List: true, Help: "The tenant that it belongs to."},
		{Name: "callBridgeGroup", Kind: Reference, To: "callBridgeGroups", Access: Internal, Help: "The group of the Call Bridge that it is on."},
		{Name: "callType", Kind: Choice, Values: []string{"coSpace", "forwarding", "adHoc", "lyncConferencing"}, Access: Shown, Help: "How it came about."},
		{Name: "ownerName", Kind: Text, Access: Shown, Help: "The meetingScheduler of the space, or else its owner."},
		{Name: "durationSeconds", Kind: Number, Access: Shown, Help: "How long it has lasted."},
		{Name: "numCallLegs", Kind: Number, Access: Shown, Help: "How many call legs there are."},
		{Name: "maxCallLegs", Kind: Number, Access: Shown, Help: "How many there were at most."},
		{Name: "numParticipantsLocal", Kind: Number, Access: Shown, Help: "How many participants are on this Call Bridge."},
		{Name: "numParticipantsRemote", Kind: Number, Access: Shown, Help: "How many participants are on others."},
		{Name: "numDistributedInstances", Kind: Number, Access: Shown, Help: "How many Call Bridges it is on."},
		{Name: "presenterCallLeg", Kind: Reference, To: "callLegs", Access: Shown, Help: "Who presents, while somebody does."},
		{Name: "locked", Kind: Bool, Help: "Whether it is locked."},
		{Name: "recording", Kind: Bool, Help: "Whether it is recorded; true starts, false stops."},
		{Name: "recordingStatus", Kind: Text, Access: Shown, Help: "How recording is getting on."},
		{Name: "streaming", Kind: Bool, Since: "2.1", Help: "Whether it is streamed; true starts, false stops."},
		{Name: "streamingStatus", Kind: Text, Access: Shown, Since: "2.1", Help: "How streaming is getting on."},
		{Name: "endpointRecording", Kind: Bool, Access: Shown, Since: "2.4", Help: "Whether an endpoint records."},
		{Name: "lyncAudienceMute", Kind: Bool, Access: Shown, Help: "Whether Lync has muted the audience."},
		{Name: "allowAllMuteSelf", Kind: Bool, Help: "Whether everybody may mute and unmute themselves."},
		{Name: "allowAllPresentationContribution", Kind: Bool, Default: "false", Help: "Whether everybody may present."},
		{Name: "joinAudioMuteOverride", Kind: Bool, Help: "Whether those who join are muted; their profiles say it, when not set."},
		{Name: "messageText", Kind: Text, Max: 1000, Since: "2.1", Help: "A message on the screens."},
		{Name: "messagePosition", Kind: Choice, Values: []string{"top", "middle", "bottom"}, Default: "middle", Since: "2.1", Help: "Where the message stands."},
		{Name: "messageDuration", Kind: Text, Max: 20, Check: Seconds, Default: "0", Since: "2.1", Help: "How many seconds it stands there, or permanent."},
		{Name: "messageTimeRemaining", Kind: Number, Access: Shown, Since: "2.1", Help: "How many seconds it goes on to stand there."},
		{Name: "activeWhenEmpty", Kind: Bool, Default: "true", Since: "2.2", Help: "Whether it goes on when nobody is there."},
	}, pick(CoSpace.Fields, "", "panePlacementHighestImportance", "panePlacementSelfPaneMode", "panePlacementActiveSpeakerMode"),
		pick(CallProfile.Fields, "", "messageBannerText", "chatAllowed", "raiseHandEnabled", "notesAllowed", "captionsAllowed", "fileReceiveAllowed", "surveyAllowed")),
})

// Participant is somebody in a call, on whatever Call Bridge.
var Participant = declare(Object{
	Name: "participant", Plural: "participants", Methods: Read | Update | Delete, Live: true, Missing: "participantDoesNotExist",
	Below: []*Object{Call}, CreateBelow: Call,
	Help:  "Somebody in a meeting, on whatever Call Bridge of the cluster.",
	Order: "name", Search: []string{"name", "uri"},
	Filters: []Filter{{"tenantFilter", "tenant"}, {"callBridgeFilter", "callBridge"}, {"coSpaceFilter", "coSpace"}},
	Fields: slices.Concat([]Field{
		{Name: "name", Kind: Text, Access: Shown, List: true, Help: "The name that people see."},
		{Name: "call", Kind: Reference, To: "calls", Access: Shown, List: true, Help: "The meeting."},
		{Name: "tenant", Kind: Reference, To: "tenants", Access: Shown, List: true, Help: "The tenant that the meeting belongs to."},
		{Name: "coSpace", Kind: Reference, To: "coSpaces", Access: Internal, Help: "The space that the meeting is in."},
		{Name: "callBridge", Kind: Reference, To: "callBridges", Access: OnCreate, List: true, Since: "2.2", Help: "The Call Bridge that makes the call; shown where it is another one."},
		{Name: "callBridgeGroup", Kind: Reference, To: "callBridgeGroups", Access: Order, Since: "2.2", Help: "The group whose least loaded Call Bridge makes the call; with POST."},
		{Name: "uri", Kind: Text, Access: Shown, Help: "The address."},
		{Name: "originalUri", Kind: Text, Access: Shown, Since: "2.3", Help: "The address before it was rewritten."},
		{Name: "numCallLegs", Kind: Number, Access: Shown, Help: "How many call legs there are on this Call Bridge."},
		{Name: "userJid", Kind: Text, Access: Shown, Help: "The user."},
		{Name: "isActivator", Kind: Bool, Access: Shown, Help: "Whether the participant lets those in who need activation."},
		{Name: "canMove", Kind: Bool, Access: Shown, Since: "2.6", Help: "Whether the participant can be moved to another meeting."},
		{Name: "movedParticipant", Kind: GUID, Access: OnCreate, Since: "2.6", Help: "Who is moved here from another meeting; with POST, in place of remoteParty."},
		{Name: "movedParticipantCallBridge", Kind: Reference, To: "callBridges", Access: Shown, Since: "2.6", Help: "The Call Bridge from where the participant was moved."},
		{Name: "state", Group: status, Kind: Choice, Values: states, Access: Shown, Help: "How far the call is."},
		{Name: "cameraControlAvailable", Group: status, Kind: Bool, Access: Shown, Since: "2.8", Help: "Whether the camera can be moved."},
		{Name: "handStatus", Group: status, Kind: Choice, Values: []string{"raised", "lowered"}, Access: Shown, Since: "3.2", Help: "Whether a hand is raised."},
		{Name: "importance", Group: configuration, Kind: Number, Since: "2.2", Help: "Those with a higher number come first in layouts."},
	}, dialled, legSettings),
})

// CallLeg is one connection of a participant.
var CallLeg = declare(Object{
	Name: "callLeg", Plural: "callLegs", Methods: Read | Update | Delete, Live: true, Missing: "callLegDoesNotExist", Cap: 10,
	Below: []*Object{Call, Participant}, CreateBelow: Call,
	Help:  "One connection of a participant to this Call Bridge.",
	Order: "name", Search: []string{"name", "remoteParty"},
	Filters: []Filter{{"participantFilter", "participant"}, {"tenantFilter", "tenant"}, {"activeLayoutFilter", "status/activeLayout"}},
	Fields: slices.Concat([]Field{
		{Name: "name", Kind: Text, Access: Shown, List: true, Help: "The name that people see."},
		{Name: "originalRemoteParty", Kind: Text, Access: Shown, List: true, Help: "The far end's address before it was rewritten."},
		{Name: "localAddress", Kind: Text, Access: Shown, Help: "Our address in this call."},
		{Name: "call", Kind: Reference, To: "calls", Access: Shown, List: true, Help: "The meeting."},
		{Name: "tenant", Kind: Reference, To: "tenants", Access: Shown, List: true, Help: "The tenant that the meeting belongs to."},
		{Name: "participant", Kind: Reference, To: "participants", Access: Internal, Help: "Whose connection it is."},
		{Name: "type", Kind: Choice, Values: []string{"sip", "acano"}, Access: Shown, Help: "Whether it is a SIP call or one of the web app, which is acano."},
		{Name: "subType", Kind: Choice, Values: []string{"lync", "avaya", "distributionLink", "lyncDistribution"}, Access: Shown, Help: "What kind of SIP call."},
		{Name: "lyncSubType", Kind: Choice, Values: []string{"audioVideo", "applicationSharing", "instantMessaging"}, Access: Shown, Help: "What kind of Lync call."},
		{Name: "direction", Kind: Choice, Values: directions, Access: Shown, Help: "Who made the call."},
		{Name: "canMove", Kind: Bool, Access: Shown, Since: "2.6", Help: "Whether it can be moved to another meeting."},
		{Name: "movedCallLeg", Kind: GUID, Access: Shown, Since: "2.6", Help: "The call leg that it was before it was moved."},
		{Name: "movedCallLegCallBridge", Kind: Reference, To: "callBridges", Access: Shown, Since: "2.6", Help: "The Call Bridge from where it was moved."},
		{Name: "handStatus", Group: configuration, Kind: Choice, Values: []string{"raised", "lowered"}, Since: "3.2", Help: "Whether a hand is raised."},
	}, dialled, legSettings, []Field{
		{Name: "state", Group: status, Kind: Choice, Values: states, Access: Shown, Help: "How far the call is."},
		{Name: "durationSeconds", Group: status, Kind: Number, Access: Shown, Help: "How long it has been connected."},
		{Name: "direction", Group: status, Kind: Choice, Values: directions, Access: Shown, Help: "Who made the call."},
		{Name: "sipCallId", Group: status, Kind: Text, Access: Shown, Help: "The Call-ID of SIP."},
		{Name: "groupId", Group: status, Kind: GUID, Access: Shown, Help: "The same for the connections of one participant."},
		{Name: "recording", Group: status, Kind: Bool, Access: Shown, Help: "Whether this connection records."},
		{Name: "streaming", Group: status, Kind: Bool, Access: Shown, Since: "2.1", Help: "Whether this connection streams."},
		{Name: "deactivated", Group: status, Kind: Bool, Access: Shown, Help: "Whether it waits in the lobby."},
		{Name: "encryptedMedia", Group: status, Kind: Bool, Access: Shown, Help: "Whether there is encrypted media."},
		{Name: "unencryptedMedia", Group: status, Kind: Bool, Access: Shown, Help: "Whether there is media that is not encrypted."},
		{Name: "cipherSuite", Group: status, Kind: Choice, Values: []string{"AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"},
			Access: Shown, Since: "2.9", Help: "How media is encrypted."},
		{Name: "layout", Group: status, Kind: Choice, Values: Layouts, Access: Shown, Help: "The layout that was chosen."},
		{Name: "activeLayout", Group: status, Kind: Choice, Values: Layouts, Access: Shown, Help: "The layout that is seen."},
		{Name: "layoutTemplate", Group: status, Kind: Reference, To: "layoutTemplates", Access: Shown, Since: "2.8", Help: "The layout of your own that is seen."},
		{Name: "availableVideoStreams", Group: status, Kind: Number, Access: Shown, Help: "How many participants could be seen."},
		{Name: "cameraControlAvailable", Group: status, Kind: Bool, Access: Shown, Since: "2.8", Help: "Whether the camera can be moved."},
		{Name: "lyncRole", Group: status, Kind: Choice, Values: []string{"presenter", "attendee"}, Access: Shown, Help: "The role in a Lync meeting."},
	}, audio("rxAudio", "sent to us"), audio("txAudio", "sent by us"),
		video("rxVideo role=main", "sent to us"), video("rxVideo role=presentation", "sent to us"),
		video("txVideo role=main", "sent by us"), video("txVideo role=presentation", "sent by us"),
		[]Field{
			{Name: "encrypted", Group: status + "/activeControl", Kind: Bool, Access: Shown, Help: "Whether ActiveControl is encrypted."},
		}, subscriptions("localSubscriptions", "we have"), subscriptions("remoteSubscriptions", "the far end has"),
		[]Field{
			{Name: "numScreens", Group: status + "/multiStreamVideo", Kind: Number, Access: Shown, Help: "How many screens the endpoint has."},
			{Name: "numCameras", Group: status + "/multiStreamVideo", Kind: Number, Access: Shown, Help: "How many cameras the endpoint has."},
			{Name: "numCamerasAvailable", Group: status + "/multiStreamVideo", Kind: Number, Access: Shown, Help: "How many of them can be seen."},
		}),
})

var directions = []string{"incoming", "outgoing"}

// dialled is what is said when a call is made.
var dialled = []Field{
	{Name: "remoteParty", Kind: Text, Min: 1, Max: 2000, Check: Line, Access: OnCreate, List: true, Help: "The far end's address: a SIP URI, a number or a JID."},
	{Name: "bandwidth", Kind: Number, Access: OnCreate, Help: "The highest rate of media in bits per second."},
	{Name: "confirmation", Kind: Bool, Access: OnCreate, Help: "Whether the person called is asked to press a key; the system decides, when not set."},
	{Name: "dtmfSequence", Kind: Text, Max: 200, Check: ToneSequence, Access: Order, Help: "Tones to send, a comma for a pause."},
}

// legSettings is what can be said of one participant or call leg, all fields of a profile among it.
var legSettings = slices.Concat([]Field{
	{Name: "ownerId", Group: configuration, Kind: GUID, Help: "A mark of the client that controls it."},
	{Name: "chosenLayout", Group: configuration, Kind: Choice, Values: Layouts, Help: "The layout from now on, before that of every profile."},
	{Name: "layout", Group: configuration, Kind: Choice, Values: Layouts, Access: Order, Help: "An older name of defaultLayout, which wins over it."},
	{Name: "nameLabelOverride", Group: configuration, Kind: Text, Max: 50, Check: Line, Since: "2.3", Help: "A name in place of the one that the far end gives; unset, that one is back."},
	{Name: "deactivated", Kind: Bool, Access: Order, Since: "2.9", Help: "False lets the participant in from the lobby, true sends back."},
	{Name: "callLegProfile", Group: configuration, Kind: Reference, To: "callLegProfiles", Help: "The profile that counts before those of the space and the tenant."},
}, pick(CallLegProfile.Fields[1:], configuration))

// audio are the figures of a direction of audio.
func audio(element, which string) []Field {
	group := status + "/" + element
	fields := []Field{
		{Name: "codec", Kind: Choice, Values: []string{"g711u", "g711a", "g722", "g728", "g729", "g722_1", "g722_1c", "aac", "speexNb", "speexWb", "speexUwb",
			"isacWb", "isacSwb", "opus"}, Help: "The codec of audio " + which + "."},
		{Name: "jitter", Kind: Number, Help: "Its jitter in milliseconds."},
		{Name: "bitRate", Kind: Number, Help: "Its rate in bits per second."},
		{Name: "codecBitRate", Kind: Number, Help: "The rate that the codec was set to."},
		{Name: "packetLossPercentage", Kind: Text, Help: "The part of packets that is lost."},
	}
	if element == "rxAudio" {
		fields = append(fields, Field{Name: "gainApplied", Kind: Text, Help: "The gain of the loudness control in dB."})
	} else {
		fields = append(fields, Field{Name: "roundTripTime", Kind: Number, Help: "The round trip in milliseconds."})
	}
	return shown(group, fields)
}

// video are the figures of a direction of video.
func video(element, which string) []Field {
	fields := []Field{
		{Name: "codec", Kind: Choice, Values: []string{"h261", "h263", "h263+", "h264", "h264Lync", "vp8", "vp9", "rtVideo"}, Help: "The codec of video " + which + "."},
		{Name: "width", Kind: Number, Help: "Its width in pixels."},
		{Name: "height", Kind: Number, Help: "Its height in pixels."},
		{Name: "frameRate", Kind: Text, Help: "Its frames per second."},
		{Name: "jitter", Kind: Number, Help: "Its jitter in milliseconds."},
		{Name: "bitRate", Kind: Number, Help: "Its rate in bits per second."},
		{Name: "packetLossPercentage", Kind: Text, Help: "The part of packets that is lost."},
	}
	if element[:2] == "tx" {
		fields = append(fields, Field{Name: "roundTripTime", Kind: Number, Help: "The round trip in milliseconds."})
	}
	return shown(status+"/"+element, fields)
}

// subscriptions are what one side of ActiveControl listens to.
func subscriptions(element, who string) []Field {
	var fields []Field
	for _, s := range []string{"capabilities", "conferenceInfo", "layouts", "selfInfo", "speakerInfo"} {
		fields = append(fields, Field{Name: s, Kind: Bool, Help: "Whether " + who + " subscribed to " + s + "."})
	}
	return shown(status+"/activeControl/"+element, fields)
}

func shown(group string, fields []Field) []Field {
	for i := range fields {
		fields[i].Group, fields[i].Access = group, Shown
	}
	return fields
}

// pick copies rows of another table, all of them where no names are given: live objects have some settings of what they were made from.
// What they inherit says what they begin with, so defaults and fallbacks are left behind.
func pick(from []Field, group string, names ...string) []Field {
	var picked []Field
	for _, f := range from {
		if len(names) > 0 && !slices.Contains(names, f.Name) {
			continue
		}
		f.Group, f.List, f.Default, f.Fallback = group, false, "", ""
		picked = append(picked, f)
	}
	if len(names) > 0 && len(picked) != len(names) {
		panic("schema: a live object has a setting that its model has not")
	}
	return picked
}

// AllParticipants changes those of a call at once.
var AllParticipants = order(Object{
	Name: "participants", Plural: "participants", Path: "calls/<id>/participants/*", Methods: Update,
	Help: "Changes all participants of a meeting at once, or all but some, or some.",
	Fields: []Field{
		{Name: "rxAudioMute", Kind: Bool, Access: Order, Help: "Whether others do not hear them."},
		{Name: "txAudioMute", Kind: Bool, Access: Order, Help: "Whether they do not hear others."},
		{Name: "rxVideoMute", Kind: Bool, Access: Order, Help: "Whether others do not see them."},
		{Name: "txVideoMute", Kind: Bool, Access: Order, Help: "Whether they do not see others."},
		{Name: "layout", Kind: Choice, Values: Layouts, Access: Order, Help: "Their layout from now on."},
		{Name: "importance", Kind: Number, Access: Order, Help: "Their importance; unset, they have none."},
		{Name: "deactivated", Kind: Bool, Access: Order, Since: "2.9", Help: "False lets them in from the lobby, true sends back."},
		{Name: "filterIds", Kind: Text, Check: IDList, Access: Order, Help: "The participants that mode is about."},
		{Name: "mode", Kind: Choice, Values: []string{"exclude", "selected"}, Access: Order, Fallback: "exclude", Help: "Whether those of filterIds are left out, or are the only ones."},
	},
})

// CameraControl moves the camera at the far end.
var CameraControl = order(Object{
	Name: "cameraControl", Plural: "cameraControl", Path: "callLegs/<id>/cameraControl", Methods: Update,
	Since: "2.9", Help: "Moves the camera at the far end by one step.",
	Fields: []Field{
		{Name: "pan", Kind: Choice, Values: []string{"left", "right"}, Access: Order, Help: "To the side."},
		{Name: "tilt", Kind: Choice, Values: []string{"up", "down"}, Access: Order, Help: "Up and down."},
		{Name: "zoom", Kind: Choice, Values: []string{"in", "out"}, Access: Order, Help: "Nearer and wider."},
		{Name: "focus", Kind: Choice, Values: []string{"in", "out"}, Access: Order, Help: "Nearer and farther."},
	},
})

// GenerateKeyframe asks the far end for a whole picture.
var GenerateKeyframe = order(Object{
	Name: "generateKeyframe", Plural: "generateKeyframe", Path: "callLegs/<id>/generateKeyframe", Methods: Create,
	Help: "Asks the far end for a whole picture, to find out about trouble with video.",
})

// TimedLogging is detailed tracing: for how many seconds from now what is traced.
var TimedLogging = declare(Object{
	Name: "timedLogging", Plural: "timedLogging", Path: "system/timedLogging", Methods: Read | Update, Singleton: true, Live: true, Local: true,
	Since: "3.2", Help: "Detailed tracing: for how many seconds from now what is written to the log.",
	Fields: []Field{
		traced("sip", "SIP messages"),
		traced("activeControl", "ActiveControl"),
		traced("bfcp", "BFCP"),
		traced("dns", "DNS look-ups"),
		traced("events", "the events that clients subscribe to"),
		traced("ice", "how media finds its way"),
		traced("api", "requests of the API"),
		traced("webBridge", "what goes to and from Web Bridges"),
	},
})

// traced is a row of detailed tracing. A day is enough for everything, and ends a trace that was forgotten.
func traced(name, what string) Field {
	return Field{Name: name, Kind: Number, Max: 24 * 60 * 60, Fallback: "0", Help: "For how many seconds " + what + " are traced, 0 to end."}
}
