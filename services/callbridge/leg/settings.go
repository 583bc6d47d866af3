package leg

import (
	"strconv"
	"time"

	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/store"
)

// Settings are what objects of the API say of one leg.
type Settings struct {
	sdp.Policy
	// ResourcePriority is that header of outgoing calls; none when empty.
	ResourcePriority string
	// Unencrypted is the licence for unencrypted media alone (appendix D): no call may have others.
	Unencrypted bool
	// RingFor ends an outgoing call that is not answered; 0 is the signalling's own limit.
	RingFor time.Duration
}

// SettingsOf reads what is in force for a leg with these rights. What no profile says, the Call settings say (guide I.3). unencrypted is that of
// the licence: whatever is configured, media are not encrypted then.
func SettingsOf(v store.View, rights profiles.Effective, unencrypted bool) Settings {
	page := v.Only(schema.CallSettings)
	of := func(field string) string {
		if rights.From(field) != profiles.Nowhere {
			return rights.Text(field)
		}
		return text(page, field)
	}
	number := func(s string) int {
		n, _ := strconv.Atoi(s)
		return n
	}
	c := profiles.ForCompatibility(v)
	var s Settings
	s.Encryption = sdp.Encryption(of("sipMediaEncryption"))
	if s.Unencrypted = unencrypted; unencrypted {
		s.Encryption = sdp.Prohibited
	}
	s.Video = rights.Text("videoMode") != "disabled"
	if of("sipPresentationChannelEnabled") == "true" {
		s.Presentation = rights.Text("presentationDisplayMode") != "singleStream"
		s.Floor = sdp.FloorMode(of("bfcpMode"))
	}
	s.Camera = c.Bool("sipH224")
	s.SendBandwidth, s.ReceiveBandwidth = number(text(page, "sipTransmitBandwidth")), number(text(page, "sipReceiveBandwidth"))
	s.Main, s.Screen = sdp.MainQuality(rights.Text("qualityMain")), sdp.PresentationQuality(rights.Text("qualityPresentation"))
	s.PacketTime = packetTime(number(of("audioPacketSizeMs")))
	if c.Text("sipMediaPayloadTypeMode") == "broadsoft" {
		s.H264PayloadType = 109
	}
	s.BasicH264 = c.Text("h264CHPMode") == "basic"
	// Endpoints behind a network address translation describe addresses that nobody reaches.
	s.Latch = true
	s.ResourcePriority = text(page, "resourcePriority")
	return s
}

// text is a field of a page, which has its fallback while it was never set.
func text(page *store.Record, field string) string {
	if v := page.Text(field); v != "" {
		return v
	}
	return page.Object().Field(field).Fallback
}

// packetTime is the nearest that the media engine sends; profiles may have any number from 10 to 60.
func packetTime(ms int) int {
	switch {
	case ms <= 0:
		return 20
	case ms < 20:
		return 10
	case ms < 40:
		return 20
	}
	return 40
}
