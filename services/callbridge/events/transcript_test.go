package events

import (
	"strings"
	"testing"

	"rotunda/services/callbridge/meeting"
)

const (
	allOfList   = `"elements":["name","participants","distributedInstances","recording","endpointRecording","streaming","lockState","callType","callCorrelator"]`
	allOfInfo   = `"elements":["name","participants","distributedInstances","recording","endpointRecording","streaming","lockState","callType","callCorrelator","joinAudioMuteOverride"]`
	allOfRoster = `"elements":["name","uri","state","direction","audioMuted","videoMuted","importance","layout","activeSpeaker","presenter","endpointRecording","canMove","movedParticipant","movedParticipantCallBridge"]`
	one         = "ca000000-0000-0000-0000-000000000001"
	anna        = "aa000000-0000-0000-0000-000000000001"
)

// TestTheConversationIsThatOfDeployedClients plays what was recorded of a client that watches a call which dials out.
func TestTheConversationIsThatOfDeployedClients(t *testing.T) {
	m := &meetings{}
	d := newDesk(t, m)
	c := d.connect()
	c.subscribe(`{"index":3,"type":"calls",` + allOfList + `}`)
	c.want(`{"type":"message","message":{"messageId":1,"type":"subscriptionUpdate","subscriptions":[{"index":3,"state":"active"}]}}`)
	info := meeting.CallInfo{ID: call(1), Type: meeting.SpaceCall, Name: `Jo's "room" ü`, Correlator: number(0xc0, 1)}
	m.put(info)
	c.want(`{"type":"message","message":{"messageId":2,"type":"callListUpdate","subscriptionIndex":3,"updates":[{"call":"` + one + `","updateType":"add",` +
		`"name":"Jo's \"room\" ü","participants":0,"distributedInstances":0,"recording":"inactive","endpointRecording":"inactive","streaming":"inactive",` +
		`"lockState":"unlocked","callType":"coSpace","callCorrelator":"c0000000-0000-0000-0000-000000000001"}]}}`)
	c.subscribe(`{"index":3,"type":"calls","elements":["name"]}`,
		`{"index":2,"type":"callInfo","call":"`+one+`",`+allOfInfo+`}`, `{"index":1,"type":"callRoster","call":"`+strings.ToUpper(one)+`",`+allOfRoster+`}`)
	c.want(
		`{"type":"message","message":{"messageId":3,"type":"subscriptionUpdate","subscriptions":[{"index":3,"state":"active"},{"index":2,"state":"active"},{"index":1,"state":"active"}]}}`,
		`{"type":"message","message":{"messageId":4,"type":"callListUpdate","subscriptionIndex":3,"updates":[{"call":"`+one+`","updateType":"add","name":"Jo's \"room\" ü"}]}}`,
		`{"type":"message","message":{"messageId":5,"type":"callInfoUpdate","subscriptionIndex":2,"callInfo":{"name":"Jo's \"room\" ü","participants":0,`+
			`"distributedInstances":0,"recording":"inactive","endpointRecording":"inactive","streaming":"inactive","lockState":"unlocked","callType":"coSpace",`+
			`"callCorrelator":"c0000000-0000-0000-0000-000000000001","joinAudioMuteOverride":null}}}`)

	p := meeting.ParticipantInfo{ID: people(1), Call: call(1), URI: "x@y", State: meeting.Initial, Direction: meeting.Outgoing, Layout: "allEqual"}
	m.join(p)
	// The number of participants and the roster are separate messages, in either order.
	info2 := `{"type":"message","message":{"messageId":%,"type":"callInfoUpdate","subscriptionIndex":2,"callInfo":{"participants":1}}}`
	add := `{"type":"message","message":{"messageId":%,"type":"rosterUpdate","subscriptionIndex":1,"updates":[{"participant":"` + anna + `","updateType":"add",` +
		`"name":"","uri":"x@y","state":"initial","direction":"outgoing","audioMuted":false,"videoMuted":false,"importance":null,"layout":"allEqual",` +
		`"activeSpeaker":false,"presenter":false,"endpointRecording":"inactive","canMove":false,"movedParticipant":null,"movedParticipantCallBridge":null}]}}`
	c.want(strings.Replace(info2, "%", "6", 1), strings.Replace(add, "%", "7", 1))

	roster := func(number, elements string) string {
		return `{"type":"message","message":{"messageId":` + number + `,"type":"rosterUpdate","subscriptionIndex":1,"updates":[{"participant":"` + anna +
			`","updateType":"update",` + elements + `}]}}`
	}
	p.State = meeting.Ringing
	m.join(p)
	c.want(roster("8", `"state":"ringing"`))
	p.State, p.Name, p.URI = meeting.Connected, "Anna", "anna@y;x-cisco-number=7001"
	m.join(p)
	c.want(roster("9", `"name":"Anna","uri":"anna@y;x-cisco-number=7001","state":"connected"`))
	p.Speaking = true
	m.join(p)
	c.want(roster("10", `"activeSpeaker":true`))
	// What nobody asked for is not spoken of.
	p.HandRaised, p.Camera = true, true
	m.join(p)
	p.Importance, p.AudioMuted, p.MovedFrom = new(int64(5)), true, people(9)
	m.join(p)
	c.want(roster("11", `"audioMuted":true,"importance":5,"movedParticipant":"aa000000-0000-0000-0000-000000000009"`))
	info.Locked, info.Recording, info.JoinMute = true, true, "false"
	m.put(info)
	c.want(`{"type":"message","message":{"messageId":12,"type":"callInfoUpdate","subscriptionIndex":2,"callInfo":{"recording":"active","lockState":"locked","joinAudioMuteOverride":false}}}`)

	m.part(people(1))
	c.want(`{"type":"message","message":{"messageId":13,"type":"callInfoUpdate","subscriptionIndex":2,"callInfo":{"participants":0}}}`,
		`{"type":"message","message":{"messageId":14,"type":"rosterUpdate","subscriptionIndex":1,"updates":[{"participant":"`+anna+`","updateType":"remove"}]}}`)
	m.finish(call(1))
	got := c.hear()
	for _, state := range []string{`{"index":2,"state":"deactivated"}`, `{"index":1,"state":"deactivated"}`} {
		if !strings.Contains(got, state) {
			t.Errorf("want %s, got %s", state, got)
		}
	}
	c.want(`{"type":"message","message":{"messageId":16,"type":"callListUpdate","subscriptionIndex":3,"updates":[{"call":"` + one + `","updateType":"remove"}]}}`)
}
