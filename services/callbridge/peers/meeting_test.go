package peers

import (
	"testing"
	"time"

	"rotunda/services/callbridge/leg/baresip"
)

func TestThoseInASpaceHearAndSeeEachOtherAndNotThemselves(t *testing.T) {
	h := open(t)
	space := h.creates("coSpaces", "name", "Weekly", "uri", "weekly")
	phones := map[int]*baresip.Phone{}
	for tone, colour := range map[int]string{500: "red", 900: "green", 1500: "blue"} {
		phones[tone] = baresip.Start(t, baresip.Options{Name: colour, DisplayName: colour, Tone: tone, Colour: colour})
	}
	phones[500].Call(h.address("weekly", "udp"))
	phones[900].Call(h.address("weekly", "tcp"))
	phones[1500].Call(h.address("WEEKLY", "udp"))
	for tone, p := range phones {
		for other := range phones {
			if other != tone {
				p.AwaitTone(other)
			}
		}
		if !p.HearsNot(tone) {
			t.Errorf("the one who talks at %d Hz hears itself", tone)
		}
	}
	calls := h.totals("calls", "1")
	call := calls.Children[0].attr("id")
	if got := calls.Children[0].at("coSpace"); got != space {
		t.Errorf("the call is of space %q, want %s", got, space)
	}
	legs := h.totals("callLegs", "3")
	detail := h.reads("callLegs/" + legs.Children[0].attr("id"))
	if got := detail.at("status", "state"); got != "connected" {
		t.Errorf("a leg's state is %q", got)
	}
	h.ask("DELETE", "calls/"+call, nil)
	for tone, p := range phones {
		p.Await(baresip.Closed)
		_ = tone
	}
	h.totals("calls", "0")
	h.totals("callLegs", "0")
	_ = time.Second
}
