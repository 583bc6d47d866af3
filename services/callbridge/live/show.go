package live

import (
	"strconv"
	"strings"
	"time"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
)

// call is a call as clients see it. What the API did not set is that of the callProfile or of the space.
func (l *Live) call(c meeting.CallInfo) api.LiveObject {
	v := values{}
	l.inForce(v, c)
	for name, value := range c.Settings {
		if f := schema.Call.Field(name); f != nil {
			v.text(f.Key(), value)
		}
	}
	v.text("name", c.Name)
	v.id("coSpace", c.Space)
	v.id("callCorrelator", c.Correlator)
	v.id("tenant", c.Tenant)
	if self := l.o.Bridge(); self != nil {
		v.text("callBridgeGroup", self.Text("callBridgeGroup"))
	}
	v.text("callType", string(c.Type))
	v.text("ownerName", c.OwnerName)
	l.seconds(v, "durationSeconds", c.Started)
	v.number("numCallLegs", c.Legs)
	v.number("maxCallLegs", c.MaxLegs)
	v.number("numParticipantsLocal", c.Participants)
	// A meeting is on this Call Bridge alone.
	v.number("numParticipantsRemote", 0)
	v.number("numDistributedInstances", 1)
	v.id("presenterCallLeg", c.Presenter)
	v.bool("locked", c.Locked)
	v.bool("recording", c.Recording)
	v.text("recordingStatus", c.RecordingStatus)
	v.bool("streaming", c.Streaming)
	v.text("streamingStatus", c.StreamingStatus)
	v.bool("endpointRecording", c.EndpointRecording)
	v.bool("lyncAudienceMute", false)
	v.text("joinAudioMuteOverride", c.JoinMute)
	l.message(v, c)
	return api.LiveObject{ID: c.ID, Values: v}
}

// message is what stands on the screens.
func (l *Live) message(v values, c meeting.CallInfo) {
	if c.Message == "" {
		return
	}
	v.text("messageText", c.Message)
	v.text("messagePosition", c.MessagePosition)
	if c.MessagePermanent {
		v["messageDuration"] = "permanent"
	} else if left := c.MessageUntil.Sub(l.o.Now()); left > 0 {
		v.number("messageTimeRemaining", int((left+time.Second-1)/time.Second))
	}
}

// inForce are the fields of a call that its callProfile and its space have too.
func (l *Live) inForce(v values, c meeting.CallInfo) {
	for _, name := range []string{"allowAllMuteSelf", "allowAllPresentationContribution", "activeWhenEmpty"} {
		v.bool(name, false)
	}
	c.Profile.Values(func(f *schema.Field, value string, _ profiles.Scope) bool {
		if own := schema.Call.Field(f.Name); own != nil && own.Access == schema.Plain {
			v.text(f.Name, value)
		}
		return true
	})
	view := l.o.View()
	if view == nil || c.Space == (meeting.ID{}) {
		return
	}
	if space := view.Get(schema.CoSpace, c.Space); space != nil {
		space.Values(func(f *schema.Field, value string) bool {
			if strings.HasPrefix(f.Name, "panePlacement") {
				v.text(f.Name, value)
			}
			return true
		})
	}
}

// participant is a participant as clients see it.
func (l *Live) participant(p meeting.ParticipantInfo) api.LiveObject {
	v := values{}
	for name, value := range p.Settings {
		if f := schema.Participant.Field(name); f != nil {
			v.text(f.Key(), value)
		}
	}
	v.text("name", p.Name)
	v.id("call", p.Call)
	v.id("tenant", p.Tenant)
	v.id("coSpace", p.Space)
	v.text("uri", p.URI)
	v.text("originalUri", p.OriginalURI)
	v.number("numCallLegs", len(p.Legs))
	v.text("userJid", p.UserJID)
	v.bool("isActivator", p.IsActivator)
	v.bool("canMove", p.CanMove)
	v.id("movedParticipant", p.MovedFrom)
	v.text("status/state", string(p.State))
	v.bool("status/cameraControlAvailable", p.Camera)
	v.text("status/handStatus", hand(p.HandRaised))
	if p.Importance != nil {
		v.text("importance", strconv.FormatInt(*p.Importance, 10))
	}
	v.text("defaultLayout", p.Layout)
	return api.LiveObject{ID: p.ID, Values: v}
}

func hand(raised bool) string {
	if raised {
		return "raised"
	}
	return "lowered"
}
