package live

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

func TestEveryFieldWithASourceIsShown(t *testing.T) {
	d := open(t)
	tenant := d.put(schema.Tenants, store.ID{}, map[string]string{"name": "Acme"})
	owner := d.put(schema.User, store.ID{}, map[string]string{"userJid": "boss@example.com", "name": "The Boss"})
	profile := d.put(schema.CallLegProfile, store.ID{}, map[string]string{"name": "guests", "participantLabels": "true", "qualityMain": "max720p30"})
	space := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Weekly", "uri": "weekly", "tenant": tenant.ID().String(), "ownerId": owner.ID().String(),
		"panePlacementHighestImportance": "3", "callLegProfile": profile.ID().String()})
	_, anna := d.join(space, "Anna", video)
	ben, benLeg := d.join(space, "Ben", audio)
	d.stats[anna.ID.String()] = control.LegStats{ID: anna.ID.String(), Layout: "onePlusFive",
		Audio: &control.AudioStats{Receive: control.StreamStats{Codec: control.Opus, Packets: 5, Bitrate: 40000, Jitter: 2.4, LossPercent: 0.25},
			Send: control.StreamStats{Codec: control.Opus, Packets: 5, Bitrate: 41000, RoundTrip: 35.6}, Gain: -3},
		Video: []control.VideoStats{
			{Stream: "main", Receive: control.StreamStats{Codec: control.H264, Packets: 9, Bitrate: 900000, Jitter: 7}, ReceiveWidth: 1280, ReceiveHeight: 720, ReceiveRate: 29.97,
				Send: control.StreamStats{Codec: control.H264, Packets: 9, Bitrate: 800000, RoundTrip: 36, LossPercent: 1}, SendWidth: 640, SendHeight: 360, SendRate: 15},
			{Stream: "presentation", Send: control.StreamStats{Codec: control.H264, Packets: 1, Bitrate: 100}, SendWidth: 1920, SendHeight: 1080, SendRate: 5},
		}}
	d.stats[benLeg.ID.String()] = control.LegStats{Audio: &control.AudioStats{Receive: control.StreamStats{Codec: control.PCMU, Packets: 5, Bitrate: 64000}}}
	ben.caller.WantsFloor()
	d.until("Ben presents", func() bool { return d.meetings.Calls()[0].Presenter == benLeg.ID })

	id := d.meetings.Calls()[0].ID.String()
	d.ok(http.MethodPut, "calls/"+id, "messageText", "Lunch at noon", "messageDuration", "3600", "messagePosition", "top", "joinAudioMuteOverride", "true", "locked", "true")
	d.has("call", d.get("calls/"+id), map[string]string{
		"name": "Weekly", "coSpace": space.ID().String(), "callCorrelator": space.ID().String(), "tenant": tenant.ID().String(), "callType": "coSpace", "ownerName": "The Boss",
		"durationSeconds": "0", "numCallLegs": "2", "maxCallLegs": "2", "numParticipantsLocal": "2", "numParticipantsRemote": "0", "numDistributedInstances": "1",
		"presenterCallLeg": benLeg.ID.String(), "locked": "true", "recording": "false", "streaming": "false", "endpointRecording": "false", "lyncAudienceMute": "false",
		"allowAllMuteSelf": "false", "allowAllPresentationContribution": "false", "joinAudioMuteOverride": "true", "messageText": "Lunch at noon", "messagePosition": "top",
		"messageTimeRemaining": "3600", "activeWhenEmpty": "false", "panePlacementHighestImportance": "3", "callBridgeGroup": "",
	})
	d.has("participant", d.get("participants/"+anna.Participant.String()), map[string]string{
		"name": "Anna", "call": id, "tenant": tenant.ID().String(), "uri": "anna@example.com", "originalUri": "weekly@example.com", "numCallLegs": "1",
		"isActivator": "true", "canMove": "true", "status/state": "connected", "status/cameraControlAvailable": "true", "status/handStatus": "lowered",
		"configuration/defaultLayout": "automatic", "coSpace": "",
	})
	one := d.get("callLegs/" + anna.ID.String())
	d.has("callLeg", one, map[string]string{
		"name": "Anna", "remoteParty": "anna@example.com", "originalRemoteParty": "weekly@example.com", "localAddress": "weekly@meet.example.com", "call": id,
		"tenant": tenant.ID().String(), "type": "sip", "direction": "incoming", "canMove": "true", "participant": "",
		"configuration/participantLabels": "true", "configuration/qualityMain": "max720p30", "configuration/rxAudioMute": "false", "configuration/handStatus": "lowered",
		"status/state": "connected", "status/durationSeconds": "0", "status/direction": "incoming", "status/sipCallId": "call-of-Anna", "status/groupId": anna.Participant.String(),
		"status/recording": "false", "status/streaming": "false", "status/deactivated": "false", "status/encryptedMedia": "true", "status/unencryptedMedia": "false",
		"status/cipherSuite": "AES_CM_128_HMAC_SHA1_80", "status/layout": "automatic", "status/activeLayout": "onePlusFive", "status/availableVideoStreams": "0",
		"status/cameraControlAvailable": "true", "status/rxAudio/codec": "opus", "status/rxAudio/jitter": "2", "status/rxAudio/bitRate": "40000", "status/rxAudio/codecBitRate": "",
		"status/rxAudio/packetLossPercentage": "0.2", "status/rxAudio/gainApplied": "-3.0", "status/txAudio/codec": "opus", "status/txAudio/roundTripTime": "36",
		"status/rxVideo role=main/codec": "h264", "status/rxVideo role=main/width": "1280", "status/rxVideo role=main/height": "720", "status/rxVideo role=main/frameRate": "30.0",
		"status/rxVideo role=main/jitter": "7", "status/rxVideo role=main/bitRate": "900000", "status/rxVideo role=main/packetLossPercentage": "0.0",
		"status/txVideo role=main/width": "640", "status/txVideo role=main/roundTripTime": "36", "status/txVideo role=main/packetLossPercentage": "1.0",
		"status/rxVideo role=presentation/codec": "", "status/txVideo role=presentation/height": "1080", "status/txVideo role=presentation/frameRate": "5.0", "alarms": "",
	})
	d.has("callLeg of Ben", d.get("callLegs/"+benLeg.ID.String()), map[string]string{
		"status/rxAudio/codec": "g711u", "status/rxAudio/codecBitRate": "64000", "status/txAudio/codec": "", "status/rxVideo role=main/codec": "",
		"status/encryptedMedia": "false", "status/unencryptedMedia": "true", "status/cipherSuite": "", "status/availableVideoStreams": "1", "status/cameraControlAvailable": "false",
	})
	if last := one.Children[len(one.Children)-1]; last.XMLName.Local != "alarms" || len(last.Children) != 0 {
		t.Errorf("want an empty element alarms at the end, got %+v", last)
	}
	d.ok(http.MethodPut, "calls/"+id, "messageDuration", "permanent")
	d.has("call", d.get("calls/"+id), map[string]string{"messageDuration": "permanent", "messageTimeRemaining": ""})
}

func TestListsAreFilteredAndPaged(t *testing.T) {
	d := open(t)
	tenant := d.put(schema.Tenants, store.ID{}, map[string]string{"name": "Acme"})
	group := d.put(schema.CallBridgeGroup, store.ID{}, map[string]string{"name": "north"})
	bridge := d.put(schema.CallBridge, store.ID{}, map[string]string{"name": "one", "callBridgeGroup": group.ID().String()})
	other := d.put(schema.CallBridge, store.ID{}, map[string]string{"name": "two"})
	d.put(schema.Cluster, store.ID{}, map[string]string{"uniqueName": "one"})
	red := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Red", "uri": "red", "tenant": tenant.ID().String()})
	blue := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "blue", "uri": "blue"})
	_, anna := d.join(red, "Anna", video)
	_, carl := d.join(red, "carl", video)
	_, ben := d.join(red, "Ben", audio)
	_, dora := d.join(blue, "Dora", video)
	d.engine.Owner("bridge")
	redCall, blueCall := anna.Call.String(), dora.Call.String()
	d.ok(http.MethodPut, "callLegs/"+carl.ID.String(), "ownerId", uuid.NewString(), "chosenLayout", "stacked")
	d.ok(http.MethodPut, "callLegs/"+dora.ID.String(), "rxVideoMute", "true")
	d.stats[ben.ID.String()] = control.LegStats{Layout: "speakerOnly"}

	for _, c := range []struct {
		path, query string
		total       string
		want        string
	}{
		{"calls", "", "2", "blue Red"},
		{"calls", "limit=1", "2", "blue"},
		{"calls", "offset=1", "2", "Red"},
		{"calls", "offset=7", "2", ""},
		{"calls", "filter=RE", "1", "Red"},
		{"calls", "filter=", "2", "blue Red"},
		{"calls", "coSpaceFilter=" + blue.ID().String(), "1", "blue"},
		{"calls", "tenantFilter=" + tenant.ID().String(), "1", "Red"},
		{"calls", "callBridgeGroupFilter=" + group.ID().String(), "2", "blue Red"},
		{"calls", "callBridgeGroupFilter=" + uuid.NewString(), "0", ""},
		{"participants", "", "4", "Anna Ben carl Dora"},
		{"participants", "filter=example.com&limit=2&offset=1", "4", "Ben carl"},
		{"participants", "filter=ann", "1", "Anna"},
		{"participants", "callBridgeFilter=" + bridge.ID().String(), "4", "Anna Ben carl Dora"},
		{"participants", "callBridgeFilter=" + other.ID().String(), "0", ""},
		{"participants", "coSpaceFilter=" + red.ID().String() + "&tenantFilter=" + tenant.ID().String(), "3", "Anna Ben carl"},
		{"calls/" + redCall + "/participants", "", "3", "Anna Ben carl"},
		{"callLegs", "", "4", "Anna Ben carl Dora"},
		{"callLegs", "filter=dora@", "1", "Dora"},
		{"calls/" + blueCall + "/callLegs", "", "1", "Dora"},
		{"participants/" + ben.Participant.String() + "/callLegs", "", "1", "Ben"},
		{"callLegs", "participantFilter=" + ben.Participant.String(), "1", "Ben"},
		{"callLegs", "tenantFilter=" + tenant.ID().String(), "3", "Anna Ben carl"},
		{"callLegs", "ownerIdSet=true", "1", "carl"},
		{"callLegs", "ownerIdSet=False", "3", "Anna Ben Dora"},
		{"callLegs", "activeLayoutFilter=stacked", "1", "carl"},
		{"callLegs", "activeLayoutFilter=speakerOnly", "1", "Ben"},
		// Anna and Carl can be seen, Dora is muted and alone.
		{"callLegs", "availableVideoStreamsLowerBound=2", "1", "Ben"},
		{"callLegs", "availableVideoStreamsLowerBound=1&availableVideoStreamsUpperBound=1", "2", "Anna carl"},
		{"callLegs", "availableVideoStreamsUpperBound=0", "1", "Dora"},
		{"callLegs", "alarms=all", "0", ""},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		status, n, _ := d.do(http.MethodGet, c.path, q)
		if got := names(n, "name"); status != http.StatusOK || n.attr("total") != c.total || got != c.want {
			t.Errorf("%s?%s: want %s: %q, got %d %s: %q", c.path, c.query, c.total, c.want, status, n.attr("total"), got)
		}
	}
	for query, parameter := range map[string]string{"alarms=loud": "alarms", "ownerIdSet=maybe": "ownerIdSet", "availableVideoStreamsLowerBound=-1": "availableVideoStreamsLowerBound",
		"activeLayoutFilter=round": "activeLayoutFilter"} {
		q, _ := url.ParseQuery(query)
		status, n, _ := d.do(http.MethodGet, "callLegs", q)
		if status != http.StatusBadRequest || len(n.Children) != 1 || n.Children[0].attr("parameter") != parameter {
			t.Errorf("callLegs?%s: want a fault of %s, got %d %+v", query, parameter, status, n)
		}
	}
	list := d.get("callLegs", "filter", "carl").Children[0]
	d.has("row", list, map[string]string{"name": "carl", "remoteParty": "carl@example.com", "originalRemoteParty": "weekly@example.com", "call": redCall, "tenant": tenant.ID().String(),
		"status/state": "", "localAddress": ""})
}

func TestAlarmsOfLegsAreShownAndFiltered(t *testing.T) {
	legs := func(alarms ...string) meeting.LegInfo { return meeting.LegInfo{Alarms: alarms} }
	for _, c := range []struct {
		filter legFilter
		leg    meeting.LegInfo
		want   bool
	}{
		{legFilter{upper: -1}, legs(), true},
		{legFilter{upper: -1, alarms: alarmNames}, legs(), false},
		{legFilter{upper: -1, alarms: alarmNames}, legs("excessiveJitter"), true},
		{legFilter{upper: -1, alarms: []string{"packetLoss", "highRoundTripTime"}}, legs("excessiveJitter"), false},
		{legFilter{upper: -1, alarms: []string{"packetLoss", "highRoundTripTime"}}, legs("highRoundTripTime"), true},
	} {
		if got := c.filter.keeps(c.leg, nil); got != c.want {
			t.Errorf("%+v of a leg with %v: want %t", c.filter, c.leg.Alarms, c.want)
		}
	}
	e := alarms(legs("highRoundTripTime", "packetLoss"))[0]
	if len(e.Elements) != 2 || e.Elements[0].Name != "packetLoss" || e.Elements[1].Name != "highRoundTripTime" {
		t.Errorf("want both in the order of the reference, got %+v", e)
	}
}

func TestCallsAreMadeChangedAndEnded(t *testing.T) {
	d := open(t)
	space := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Weekly", "uri": "weekly"})
	call := d.ok(http.MethodPost, "calls", "coSpace", space.ID().String())
	if again := d.ok(http.MethodPost, "calls", "coSpace", space.ID().String()); again != call {
		t.Errorf("a space has one meeting: want %s, got %s", call, again)
	}
	status, n, _ := d.do(http.MethodPost, "calls", nil)
	if status != http.StatusBadRequest || n.Children[0].attr("parameter") != "name" {
		t.Errorf("a call of nothing: want a fault of name, got %d %+v", status, n)
	}
	adHoc := d.ok(http.MethodPost, "calls", "name", "Emergency")
	d.has("call", d.get("calls/"+adHoc), map[string]string{"callType": "adHoc", "name": "Emergency", "coSpace": ""})

	person := d.ok(http.MethodPost, "calls/"+call+"/participants", "remoteParty", "anna@example.com", "importance", "4", "nameLabelOverride", "Room 3", "rxAudioMute", "on")
	anna := <-d.dialled
	if anna.dial.To != "anna@example.com" {
		t.Errorf("want a call to anna, got %+v", anna.dial)
	}
	d.has("participant", d.get("participants/"+person), map[string]string{"status/state": "initial", "configuration/importance": "4", "configuration/nameLabelOverride": "Room 3", "name": "Room 3"})
	anna.caller.Answered(meeting.Identity{Name: "Anna", Address: "anna@example.com"}, video)
	d.until("Anna is connected", func() bool { return d.get("participants/" + person).flat()["status/state"] == "connected" })
	legs := d.get("participants/" + person + "/callLegs")
	leg := legs.Children[0].attr("id")
	d.has("callLeg", d.get("callLegs/"+leg), map[string]string{"direction": "outgoing", "configuration/rxAudioMute": "true", "configuration/nameLabelOverride": "Room 3"})
	d.ok(http.MethodPut, "participants/"+person, "nameLabelOverride", "", "importance", "")
	d.has("participant", d.get("participants/"+person), map[string]string{"name": "Anna", "configuration/importance": "", "configuration/nameLabelOverride": ""})

	second := d.ok(http.MethodPost, "calls/"+call+"/callLegs", "remoteParty", "ben@example.com")
	<-d.dialled
	d.has("callLeg", d.get("callLegs/"+second), map[string]string{"status/state": "initial", "remoteParty": "ben@example.com"})
	d.ok(http.MethodDelete, "callLegs/"+second)

	d.ok(http.MethodPut, "callLegs/"+leg+"/cameraControl", "pan", "Left", "zoom", "in")
	d.until("the camera moves", func() bool { return anna.heard("camera leftin") })
	d.ok(http.MethodPost, "callLegs/"+leg+"/generateKeyframe")
	d.engine.Await(t, "keyFrame "+leg+" main")
	for path, code := range map[string]string{"calls/" + call + "/participants": "callBridgeUnavailable"} {
		other := d.put(schema.CallBridge, store.ID{}, map[string]string{"name": "two"})
		status, n, _ := d.do(http.MethodPost, path, url.Values{"remoteParty": {"x@example.com"}, "callBridge": {other.ID().String()}})
		if status != http.StatusBadRequest || n.Children[0].XMLName.Local != code {
			t.Errorf("%s: want %s, got %d %+v", path, code, status, n)
		}
	}

	d.ok(http.MethodDelete, "participants/"+person)
	d.until("Anna is hung up", func() bool { return anna.heard("hangup apiInitiatedTeardown") })
	if status, n, _ := d.do(http.MethodPut, "participants/"+person, url.Values{"importance": {"1"}}); status != http.StatusNotFound || n.Children[0].XMLName.Local != "participantDoesNotExist" {
		t.Errorf("a participant who left: got %d %+v", status, n)
	}
	d.ok(http.MethodDelete, "calls/"+call)
	d.ok(http.MethodDelete, "calls/"+adHoc)
	if n := d.get("calls"); n.attr("total") != "0" {
		t.Errorf("want no call, got %+v", n)
	}
}

func TestAllParticipantsAreChangedAtOnce(t *testing.T) {
	d := open(t)
	space := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Weekly", "uri": "weekly"})
	var people, legs []string
	for _, name := range []string{"Anna", "Ben", "Carl"} {
		_, g := d.join(space, name, video)
		people, legs = append(people, g.Participant.String()), append(legs, g.ID.String())
	}
	call := d.meetings.Calls()[0].ID.String()
	field := func(name string) string {
		var all []string
		for _, id := range legs {
			all = append(all, d.get("callLegs/" + id).flat()["configuration/"+name])
		}
		return strings.Join(all, " ")
	}
	for _, c := range []struct {
		form  []string
		query string
		field string
		want  string
	}{
		{[]string{"rxAudioMute", "true"}, "", "rxAudioMute", "true true true"},
		{[]string{"rxAudioMute", "false", "filterIds", people[0]}, "", "rxAudioMute", "true false false"},
		{[]string{"rxAudioMute", "off", "filterIds", people[0] + "," + people[1], "mode", "selected"}, "", "rxAudioMute", "false false false"},
		{[]string{"txVideoMute", "true", "mode", "selected"}, "", "txVideoMute", "false false false"},
		{[]string{"layout", "stacked"}, "?mode=selected&filterIds=" + people[2], "chosenLayout", "  stacked"},
		{[]string{"layout", ""}, "", "chosenLayout", "  "},
	} {
		d.ok(http.MethodPut, "calls/"+call+"/participants/*"+c.query, c.form...)
		if got := field(c.field); got != c.want {
			t.Errorf("%v%s: want %s %q, got %q", c.form, c.query, c.field, c.want, got)
		}
	}
	d.ok(http.MethodPut, "calls/"+call+"/participants/*", "importance", "7", "filterIds", people[1], "mode", "selected")
	if got := d.get("participants/" + people[1]).flat()["configuration/importance"]; got != "7" {
		t.Errorf("want importance 7, got %q", got)
	}
	for _, form := range []url.Values{{"rxAudioMute": {"perhaps"}}, {"filterIds": {"anna"}}, {"filterIds": {strings.Repeat(uuid.NewString()+",", 20) + uuid.NewString()}}} {
		if status, n, _ := d.do(http.MethodPut, "calls/"+call+"/participants/*", form); status != http.StatusBadRequest || n.Children[0].XMLName.Local != "parameterError" {
			t.Errorf("%v: want a parameterError, got %d %+v", form, status, n)
		}
	}
}

func TestTheLevelsOfRightsAreTraced(t *testing.T) {
	d := open(t)
	global := d.put(schema.CallLegProfile, store.ID{}, map[string]string{"name": "all", "muteSelfAllowed": "false"})
	d.put(schema.Profiles, store.ID{}, map[string]string{"callLegProfile": global.ID().String()})
	own := d.put(schema.CallLegProfile, store.ID{}, map[string]string{"name": "own", "defaultLayout": "stacked"})
	space := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Weekly", "uri": "weekly"})
	_, g := d.join(space, "Anna", video)
	d.ok(http.MethodPut, "callLegs/"+g.ID.String(), "callLegProfile", own.ID().String(), "endCallAllowed", "true")
	n := d.get("callLegs/" + g.ID.String() + "/callLegProfileTrace")
	if len(n.Children) != 2 || n.attr("callLeg") != g.ID.String() {
		t.Fatalf("want two levels of the leg, got %+v", n)
	}
	for i, want := range []struct {
		scope, id string
		values    map[string]string
	}{
		{"global", global.ID().String(), map[string]string{"callLegProfile/name": "all", "callLegProfile/muteSelfAllowed": "false", "callLegProfile/defaultLayout": ""}},
		{"callLeg", own.ID().String(), map[string]string{"callLegProfile/defaultLayout": "stacked", "callLegProfile/endCallAllowed": "true"}},
	} {
		level := n.Children[i]
		if level.attr("scope") != want.scope || level.Children[0].attr("id") != want.id {
			t.Errorf("level %d: want %s of %s, got %+v", i, want.scope, want.id, level)
		}
		d.has(want.scope, level, want.values)
	}
}

func TestDiagnosticsSayWhatHappened(t *testing.T) {
	d := open(t)
	space := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Weekly", "uri": "weekly"})
	read := func(path string) (node, string) {
		id := d.ok(http.MethodPost, path+"/diagnostics")
		return d.get("system/diagnostics/" + id), d.get("system/diagnostics/" + id + "/contents").Text
	}
	if _, text := read("coSpaces/" + space.ID().String()); !strings.Contains(text, "no meeting since") {
		t.Errorf("want to read that there was no meeting, got %s", text)
	}
	anna, g := d.join(space, "Anna", video)
	d.stats[g.ID.String()] = control.LegStats{Audio: &control.AudioStats{Receive: control.StreamStats{Codec: control.Opus, Packets: 77}}}
	one, text := read("calls/" + g.Call.String())
	d.has("diagnostics", one, map[string]string{"callCorrelator": space.ID().String(), "coSpace": space.ID().String()})
	for _, want := range []string{"call " + g.Call.String(), `remoteParty: "anna@example.com"`, "call leg " + g.ID.String() + " began", "participant " + g.Participant.String(), `"packets": 77`, `status/state: "connected"`} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in %s", want, text)
		}
	}
	anna.caller.Ended(meeting.RemoteTeardown, true)
	d.until("the call is over", func() bool { return len(d.meetings.Calls()) == 0 })
	_, text = read("coSpaces/" + space.ID().String())
	for _, want := range []string{"the meeting is over", "ended: remoteTeardown, by the far end", "the call ended"} {
		if !strings.Contains(text, want) {
			t.Errorf("after the end: want %q in %s", want, text)
		}
	}
}

func TestLegsAndMediaAreCounted(t *testing.T) {
	d := open(t)
	licensed := d.put(schema.UserProfile, store.ID{}, map[string]string{"hasLicense": "true"})
	owner := d.put(schema.User, store.ID{}, map[string]string{"userJid": "boss@example.com", "userProfile": licensed.ID().String()})
	owned := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Owned", "uri": "owned", "ownerId": owner.ID().String()})
	scheduled := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Scheduled", "uri": "scheduled", "meetingScheduler": "Boss@example.com"})
	nobodys := d.put(schema.CoSpace, store.ID{}, map[string]string{"name": "Nobody's", "uri": "nobodys"})
	if u := d.live.Usage(); u.Calls != 0 || u.Participants != 0 {
		t.Errorf("want nothing in use, got %+v", u)
	}
	_, anna := d.join(owned, "Anna", video)
	d.join(scheduled, "Ben", audio)
	carl, _ := d.join(nobodys, "Carl", audio)
	u := d.live.Usage()
	if u.Calls != 3 || u.Participants != 3 || len(u.Personal) != 1 || u.Personal[0].User != owner.ID() || u.Personal[0].Calls != 2 || u.Shared != 1 || u.Audio != 1 {
		t.Errorf("want two calls of the boss's licence and an audio call, got %+v", u)
	}
	d.stats[anna.ID.String()] = control.LegStats{Audio: &control.AudioStats{Receive: control.StreamStats{Bitrate: 10}, Send: control.StreamStats{Bitrate: 20}},
		Video: []control.VideoStats{{Stream: "main", Receive: control.StreamStats{Bitrate: 300}, Send: control.StreamStats{Bitrate: 400}}, {Stream: "presentation", Send: control.StreamStats{Bitrate: 5000}}}}
	carl.caller.Ended(meeting.RemoteTeardown, true)
	d.until("Carl is gone", func() bool { return d.live.Totals(t.Context()).Completed == 1 })
	want := Totals{Active: 2, Most: 3, Completed: 1, AudioIn: 10, AudioOut: 20, VideoIn: 300, VideoOut: 5400}
	if got := d.live.Totals(t.Context()); got != want {
		t.Errorf("want %+v, got %+v", want, got)
	}
	if got := d.live.Load(t.Context()); got != 250 {
		t.Errorf("a quarter of the capacity is used: want 250, got %d", got)
	}
}
