package control

import (
	"net/netip"
	"strings"
	"testing"
)

func validLeg() Leg {
	return Leg{
		ID:         "a",
		Transports: []Transport{{Local: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}},
		Audio:      &Audio{Send: Format{Codec: PCMA, PayloadType: 8}, Receive: []Format{{Codec: PCMA, PayloadType: 8}}},
		Video:      &Video{Send: Format{Codec: H264, PayloadType: 96}, Receive: []Format{{Codec: H264, PayloadType: 96}}},
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	whole := validLeg()
	if err := whole.Validate(); err != nil {
		t.Fatalf("a leg that is right: %v", err)
	}
	for name, c := range map[string]struct {
		break_ func(*Leg)
		want   string
	}{
		"id with a space":       {func(l *Leg) { l.ID = "a b" }, `id "a b"`},
		"no such transport":     {func(l *Leg) { l.Audio.Transport = 1 }, "transport 1: there are 1"},
		"unknown codec":         {func(l *Leg) { l.Audio.Receive[0].Codec = "G729" }, `codec "G729"`},
		"payload type twice":    {func(l *Leg) { l.Audio.Receive = append(l.Audio.Receive, l.Audio.Receive[0]) }, "payload type 8"},
		"packet time":           {func(l *Leg) { l.Audio.PacketTime = 30 }, "packetTime 30"},
		"picture too large":     {func(l *Leg) { l.Video.MaxWidth = 3840 }, "at most 1920"},
		"layout":                {func(l *Leg) { l.View.Layout = "allEquals" }, "allEqualNinths"},
		"pane outside":          {func(l *Leg) { l.View.Template = []Pane{{X: 9000, W: 2000, H: 10}} }, "leaves the canvas"},
		"relative file":         {func(l *Leg) { l.Sinks = []Sink{{ID: "r", File: "x.mp4"}} }, "absolute"},
		"file and url":          {func(l *Leg) { l.Sinks = []Sink{{ID: "r", File: "/x.mp4", URL: "rtmp://h/a"}} }, "exactly one"},
		"sink twice":            {func(l *Leg) { l.Sinks = []Sink{{ID: "r", File: "/x"}, {ID: "r", File: "/y"}} }, "twice"},
		"sdes without keys":     {func(l *Leg) { l.Transports[0].Security = SDES }, "without keys"},
		"presentation in slots": {func(l *Leg) { v := *l.Video; v.Slots = 3; l.Presentation = &v }, "main picture only"},
	} {
		t.Run(name, func(t *testing.T) {
			l := validLeg()
			c.break_(&l)
			err := l.Validate()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestWhatWorkersAreToldOfEachOtherIsChecked(t *testing.T) {
	other := Other{Worker: "0.1", Exchange: netip.MustParseAddrPort("127.0.0.1:40000"), Mix: 1}
	guest := Guest{ID: "a", Worker: "0.1", Source: 1, Screen: 2}
	c := Conference{ID: "c", Mix: 2, Others: []Other{other}, Guests: []Guest{guest}}
	if err := c.Validate(); err != nil {
		t.Fatalf("a conference that is right: %v", err)
	}
	for name, c := range map[string]struct {
		break_ func(*Conference)
		want   string
	}{
		"exchange on the network": {func(c *Conference) { c.Others[0].Exchange = netip.MustParseAddrPort("192.0.2.1:40000") }, "others[0]: want a mix, and an exchange on a loopback"},
		"no mix":                  {func(c *Conference) { c.Others[0].Mix = 0 }, "others[0]"},
		"guest without a number":  {func(c *Conference) { c.Guests[0].Screen = 0 }, "guests[0]"},
		"too many guests":         {func(c *Conference) { c.Guests = make([]Guest, maxGuests+1) }, "at most 255 and 4000"},
	} {
		whole := Conference{ID: "c", Others: []Other{other}, Guests: []Guest{guest}}
		c.break_(&whole)
		if err := whole.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

func TestAKeyOfWrongLengthIsNotInTheMessage(t *testing.T) {
	l := validLeg()
	l.Transports[0].Security = SDES
	l.Transports[0].Keys = &Keys{Suite: SuiteAEAD256, Local: []byte("not a whole key")}
	err := l.Validate()
	if err == nil || !strings.Contains(err.Error(), "wants 44") || strings.Contains(err.Error(), "not a whole") {
		t.Fatalf("got %v", err)
	}
}
