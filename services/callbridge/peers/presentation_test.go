package peers

import (
	"image"
	"testing"

	"rotunda/services/callbridge/leg/baresip"
	"rotunda/services/callbridge/leg/roomsystem"
)

// wants is what [sees] asks of a picture, for those who are no baresip.
func wants(least float64, colour string) func(image.Image) string {
	return func(m image.Image) string {
		if part(m, colour) < least {
			return colour + " is not seen"
		}
		return ""
	}
}

func TestAPresentersScreenReachesAll(t *testing.T) {
	h := open(t)
	space := h.creates("coSpaces", "name", "Weekly", "uri", "weekly", "defaultLayout", "allEqual")
	phone := baresip.Start(t, baresip.Options{Name: "phone", Tone: 500, Colour: "red"})
	presenter := roomsystem.Start(t, roomsystem.Options{Name: "presenter", DisplayName: "Presenter", Tone: 900, Colour: "blue", Screen: "magenta"})
	viewer := roomsystem.Start(t, roomsystem.Options{Name: "viewer", Tone: 1500, Colour: "green", Screen: "yellow", FloorTCP: true})
	phone.Call(h.address("weekly", "udp"))
	presenter.Call(h.address("weekly", "tcp"))
	viewer.Call(h.address("weekly", "tcp"))
	presenter.AwaitTone(500, 1500)
	viewer.AwaitTone(500, 900)
	presenter.AwaitNoTone(900)
	viewer.AwaitPicture(wants(0.1, "red"))
	viewer.AwaitPicture(wants(0.1, "blue"))
	presenter.Present()
	t.Log("by a second stream for whoever has one, composed into the picture for whoever has none")
	viewer.AwaitOther(true)
	viewer.AwaitScreen("magenta")
	sees(phone, 0.2, "magenta")
	// The picture of people goes on beside the second stream.
	viewer.AwaitPicture(wants(0.1, "blue"))
	call := h.totals("calls", "1").Children[0]
	if got := call.At("coSpace"); got != space {
		t.Errorf("the call is of space %q, want %s", got, space)
	}
	legs := map[string]string{}
	for _, l := range h.totals("callLegs", "3").Children {
		legs[l.At("name")] = l.Attr("id")
	}
	until(t, "the presenter's leg to receive a presentation", func() bool {
		for _, status := range h.reads("callLegs/" + legs["Presenter"]).Children {
			for _, c := range status.Children {
				if c.XMLName.Local == "rxVideo" && c.Attr("role") == "presentation" {
					return c.At("width") == "640"
				}
			}
		}
		return false
	})
	t.Log("who asks later takes the floor")
	viewer.Present()
	presenter.AwaitRevoked()
	presenter.AwaitOther(true)
	presenter.AwaitScreen("yellow")
	sees(phone, 0.2, "yellow", "-magenta")
	t.Log("it ends with the presenter's word, and with its call")
	viewer.Leave()
	presenter.AwaitOther(false)
	sees(phone, 0.1, "green", "blue", "-yellow")
	viewer.Present()
	sees(phone, 0.2, "yellow")
	viewer.Hangup()
	presenter.AwaitOther(false)
	sees(phone, 0.2, "blue", "-yellow")
	h.ask("DELETE", "calls/"+call.Attr("id"), nil)
	presenter.AwaitEnd()
}
