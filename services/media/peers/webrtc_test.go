package peers

import (
	"fmt"
	"testing"

	"rotunda/services/media/control"
)

func TestABrowserMeetsAPhone(t *testing.T) {
	b := startBrowser(t)
	for _, c := range []struct {
		name  string
		n     negotiation
		sends film
	}{
		{"ICE lite, H.264, transport-wide feedback", negotiation{lite: true, feedback: "transport-cc", receives: []string{control.H264}, sends: control.H264},
			film{Codec: control.H264}},
		{"ICE full, VP8 comes and H.264 goes, REMB", negotiation{active: true, feedback: "goog-remb", receives: []string{control.VP8}, sends: control.H264},
			film{Codec: control.VP8}},
		{"ICE lite, VP9 comes and VP8 goes", negotiation{lite: true, active: true, feedback: "transport-cc", receives: []string{control.VP9}, sends: control.VP8},
			film{Codec: control.VP9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, address := worker(t)
			us := dial(t, address)
			phone := us.call("phone", "room", 900, &red, nil)
			page := b.open()
			page.T = t
			c.sends.Tone, c.sends.Colour, c.sends.Width, c.sends.Height = 2000, "#0000ff", 640, 360
			us.meet(page, &c.n, "browser", "room", c.sends)
			connected := us.event("the browser is connected", func(e control.Event) bool {
				return e.Event == control.EventTransport && e.Leg == "browser" && e.State == "connected"
			})
			if connected.Cipher == "" {
				t.Error("connected without a cipher")
			}
			until(t, "the phone hears the browser", func() bool { return phone.hears(2000) })
			until(t, "the phone sees the browser", func() bool { return phone.sees(0.5, 0.5, blue) })
			until(t, "the browser sees the phone", func() bool { return page.sees("1", 0.5, 0.5, red) })
			until(t, "the browser hears the phone", func() bool { return page.hears(900) })
			until(t, "reports came both ways", func() bool {
				out, in := page.figures("remote-inbound-rtp", "video"), page.figures("remote-outbound-rtp", "video")
				return len(out) == 1 && out[0].number("roundTripTime") > 0 && len(in) == 1
			})
			in, out := page.figures("inbound-rtp", "video")[0], page.figures("outbound-rtp", "video")[0]
			t.Logf("%s; the browser decoded %v pictures of %vx%v and encoded %v, for a rate of %.0f kbit/s", connected.Cipher, in["framesDecoded"],
				in["frameWidth"], in["frameHeight"], out["framesEncoded"], out.number("targetBitrate")/1000)
		})
	}
}

func TestABrowserDrawsItsOwnLayoutAndSendsLayers(t *testing.T) {
	b := startBrowser(t)
	_, address := worker(t)
	us := dial(t, address)
	colours := map[string]*colour{"ann": &red, "bob": &green, "cid": &yellow}
	ann := us.call("ann", "room", 0, &red, nil)
	us.call("bob", "room", 0, &green, nil)
	us.call("cid", "room", 0, &yellow, nil)
	page := b.open()
	us.meet(page, &negotiation{lite: true, feedback: "transport-cc", receives: []string{control.VP8}, sends: control.H264, slots: 3}, "browser", "room",
		film{Tone: 2000, Colour: "#0000ff", Codec: control.VP8, RIDs: []string{"q", "h", "f"}, More: 2, Width: 960, Height: 540})
	until(t, "each of three tracks shows a phone of its own, the one that the event says", func() bool {
		us.mu.Lock()
		var panes []string
		for _, e := range us.events {
			if e.Event == control.EventPanes && e.Leg == "browser" {
				panes = e.Panes
			}
		}
		us.mu.Unlock()
		if len(panes) != 3 {
			return false
		}
		for i, id := range panes {
			if id == "" || !page.sees(fmt.Sprint(1+i), 0.5, 0.5, *colours[id]) {
				return false
			}
		}
		return true
	})
	if class := us.stats("browser").Video[0].Class; class != "slots" {
		t.Errorf("the browser's pictures are of class %q, want slots", class)
	}
	until(t, "ann sees the browser among the others", func() bool {
		for _, x := range []float64{0.25, 0.75} {
			for _, y := range []float64{0.25, 0.75} {
				if ann.sees(x, y, blue) {
					return true
				}
			}
		}
		return false
	})
	layers := 0
	until(t, "three layers are sent", func() bool {
		layers = 0
		for _, f := range page.figures("outbound-rtp", "video") {
			if f.number("framesEncoded") > 0 {
				layers++
			}
		}
		return layers == 3
	})
	until(t, "the largest layer came", func() bool { return us.stats("browser").Video[0].ReceiveHeight == 540 })
}

func TestABrowsersLossesAreRepaired(t *testing.T) {
	b := startBrowser(t)
	_, address := worker(t)
	us := dial(t, address)
	phone := us.call("phone", "room", 0, &red, nil)
	page := b.open()
	via := newProxy(t)
	us.meet(page, &negotiation{lite: true, feedback: "transport-cc", receives: []string{control.H264}, sends: control.H264, via: via}, "browser", "room",
		film{Tone: 2000, Colour: "#0000ff", Codec: control.H264, Width: 640, Height: 360})
	until(t, "both see each other", func() bool { return phone.sees(0.5, 0.5, blue) && page.sees("1", 0.5, 0.5, red) })
	via.percent.Store(5)
	for _, c := range []*colour{&green, &yellow, &red} {
		phone.colour.Store(c)
		until(t, "with every twentieth packet lost the browser sees a new colour", func() bool {
			return page.sees("1", 0.2, 0.2, *c) && page.sees("1", 0.8, 0.8, *c)
		})
	}
	until(t, "packets were sent again by streams of their own, both ways", func() bool {
		in, out := page.figures("inbound-rtp", "video")[0], page.figures("outbound-rtp", "video")[0]
		return in.number("retransmittedPacketsReceived") > 0 && out.number("retransmittedPacketsSent") > 0
	})
	before := phone.eye.count()
	until(t, "the phone sees the browser all the time", func() bool { return phone.eye.count() > before+15 && phone.sees(0.5, 0.5, blue) })
	video := us.stats("browser").Video[0]
	t.Logf("%d packets lost of %d; we sent %d again and asked for %d key frames", via.lost.Load(), via.lost.Load()+via.carried.Load(), video.Retransmitted, video.KeyFramesAsked)
}
