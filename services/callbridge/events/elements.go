package events

import (
	"encoding/json"
	"strconv"

	"rotunda/services/callbridge/meeting"
)

// view is what is known of one object at one moment. Nobody changes what it points to.
type view struct {
	call *meeting.CallInfo
	// people is how many participants the call has.
	people int
	person *meeting.ParticipantInfo
}

// element is one that clients subscribe to. put appends its value as JSON.
type element struct {
	name string
	put  func([]byte, view) []byte
}

// kind is a type of subscription.
type kind struct {
	// name is its type in a subscribeRequest, message the type of what is sent for it.
	name, message string
	// key names the object in an update; "" where there is one object alone, and then object is the member with its elements.
	key, object string
	// one says that a subscription is to one call.
	one      bool
	elements []element
}

// The kinds (reference section 4).
var (
	callList   = &kind{name: "calls", message: "callListUpdate", key: "call", elements: ofCalls}
	callInfo   = &kind{name: "callInfo", message: "callInfoUpdate", object: "callInfo", one: true, elements: ofCalls}
	callRoster = &kind{name: "callRoster", message: "rosterUpdate", key: "participant", one: true, elements: ofPeople}
	kinds      = []*kind{callList, callInfo, callRoster}
)

var ofCalls = []element{
	{"name", func(b []byte, v view) []byte { return text(b, v.call.Name) }},
	{"participants", func(b []byte, v view) []byte { return strconv.AppendInt(b, int64(v.people), 10) }},
	{"distributedInstances", func(b []byte, _ view) []byte { return append(b, '0') }}, // other Call Bridges that it is on
	{"recording", func(b []byte, v view) []byte { return either(b, v.call.Recording, "active", "inactive") }},
	{"endpointRecording", func(b []byte, v view) []byte { return either(b, v.call.EndpointRecording, "active", "inactive") }},
	{"streaming", func(b []byte, v view) []byte { return either(b, v.call.Streaming, "active", "inactive") }},
	{"lockState", func(b []byte, v view) []byte { return either(b, v.call.Locked, "locked", "unlocked") }},
	{"callType", func(b []byte, v view) []byte { return text(b, string(v.call.Type)) }},
	{"callCorrelator", func(b []byte, v view) []byte { return id(b, v.call.Correlator) }},
	{"joinAudioMuteOverride", func(b []byte, v view) []byte {
		switch v.call.JoinMute {
		case "true", "false":
			return append(b, v.call.JoinMute...)
		}
		return append(b, "null"...)
	}},
}

var ofPeople = []element{
	{"name", func(b []byte, v view) []byte { return text(b, v.person.Name) }},
	{"uri", func(b []byte, v view) []byte { return text(b, v.person.URI) }},
	{"state", func(b []byte, v view) []byte { return text(b, string(v.person.State)) }},
	{"direction", func(b []byte, v view) []byte { return text(b, string(v.person.Direction)) }},
	{"audioMuted", func(b []byte, v view) []byte { return strconv.AppendBool(b, v.person.AudioMuted) }},
	{"videoMuted", func(b []byte, v view) []byte { return strconv.AppendBool(b, v.person.VideoMuted) }},
	{"importance", func(b []byte, v view) []byte {
		if v.person.Importance == nil {
			return append(b, "null"...)
		}
		return strconv.AppendInt(b, *v.person.Importance, 10)
	}},
	{"layout", func(b []byte, v view) []byte { return text(b, v.person.Layout) }},
	{"activeSpeaker", func(b []byte, v view) []byte { return strconv.AppendBool(b, v.person.Speaking) }},
	{"presenter", func(b []byte, v view) []byte { return strconv.AppendBool(b, v.person.Presenting) }},
	{"endpointRecording", func(b []byte, v view) []byte { return either(b, v.person.Recording, "active", "inactive") }},
	{"canMove", func(b []byte, v view) []byte { return strconv.AppendBool(b, v.person.CanMove) }},
	{"movedParticipant", func(b []byte, v view) []byte { return id(b, v.person.MovedFrom) }},
	{"movedParticipantCallBridge", func(b []byte, _ view) []byte { return append(b, "null"...) }}, // where it was, when that is another one
}

// element finds one by its name; nil for none.
func (k *kind) element(name string) *element {
	for i := range k.elements {
		if k.elements[i].name == name {
			return &k.elements[i]
		}
	}
	return nil
}

func either(b []byte, is bool, yes, no string) []byte {
	if is {
		return text(b, yes)
	}
	return text(b, no)
}

func id(b []byte, i meeting.ID) []byte {
	if i == (meeting.ID{}) {
		return append(b, "null"...)
	}
	return text(b, i.String())
}

// text appends a string of JSON.
func text(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			// Names come from far ends: what is no UTF-8 becomes U+FFFD.
			q, _ := json.Marshal(s)
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
