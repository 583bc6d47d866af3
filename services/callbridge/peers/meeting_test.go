package peers

import (
	"image"
	"math"
	"strings"
	"testing"

	"rotunda/services/callbridge/leg/baresip"
	"rotunda/services/callbridge/leg/sipp"
)

// shades are how colours look that went through an encoder, in 8 bits.
var shades = map[string][3]float64{"red": {255, 0, 0}, "green": {0, 128, 0}, "blue": {0, 0, 255}, "white": {255, 255, 255}, "magenta": {255, 0, 255}, "yellow": {255, 255, 0}}

// part is how much of a picture has a colour.
func part(m image.Image, name string) float64 {
	want, n, all := shades[name], 0, 0
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y += 3 {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x += 3 {
			r, g, b, _ := m.At(x, y).RGBA()
			d := math.Hypot(math.Hypot(float64(r>>8)-want[0], float64(g>>8)-want[1]), float64(b>>8)-want[2])
			if all++; d < 70 {
				n++
			}
		}
	}
	return float64(n) / float64(all)
}

// sees waits until a telephone is shown all of these colours, each in a part of the picture at least, and none of those after a minus.
func sees(p *baresip.Phone, least float64, colours ...string) {
	p.AwaitPicture(func(m image.Image) (wrong string) {
		for _, c := range colours {
			if name, not := strings.CutPrefix(c, "-"); not {
				if part(m, name) > least/4 {
					return name + " is seen"
				}
			} else if part(m, c) < least {
				return c + " is not seen"
			}
		}
		return ""
	})
}

func TestThoseInASpaceHearAndSeeEachOtherAndNotThemselves(t *testing.T) {
	h := open(t)
	space := h.creates("coSpaces", "name", "Weekly", "uri", "weekly", "defaultLayout", "allEqual")
	phones := map[int]*baresip.Phone{}
	colours := map[int]string{500: "red", 900: "green", 1500: "blue"}
	for tone, colour := range colours {
		phones[tone] = baresip.Start(t, baresip.Options{Name: colour, DisplayName: colour, Tone: tone, Colour: colour})
	}
	phones[500].Call(h.address("weekly", "udp"))
	phones[900].Call(h.address("weekly", "tcp"))
	phones[1500].Call(h.address("WEEKLY", "udp"))
	for tone, p := range phones {
		var all []string
		for other := range phones {
			if other != tone {
				p.AwaitTone(other)
				all = append(all, colours[other])
			}
		}
		if !p.HearsNot(tone) {
			t.Errorf("the one who talks at %d Hz hears itself", tone)
		}
		sees(p, 0.1, append(all, "-"+colours[tone])...)
	}
	calls := h.totals("calls", "1")
	call := calls.Children[0].Attr("id")
	if got := calls.Children[0].At("coSpace"); got != space {
		t.Errorf("the call is of space %q, want %s", got, space)
	}
	legs := h.totals("callLegs", "3")
	for _, l := range legs.Children {
		detail := h.reads("callLegs/" + l.Attr("id"))
		if state, layout := detail.At("status", "state"), detail.At("status", "activeLayout"); state != "connected" || layout != "allEqual" {
			t.Errorf("leg %s: got state %q and layout %q, want connected and allEqual", l.At("name"), state, layout)
		}
		until(t, "figures of "+l.At("name"), func() bool {
			d := h.reads("callLegs/" + l.Attr("id"))
			return d.At("status", "rxVideo", "codec") == "h264" && d.At("status", "txAudio", "codec") == "opus" && d.At("status", "rxVideo", "width") == "640"
		})
	}
	// Nothing is white without names and messages.
	sees(phones[900], 0.002, "-white")
	t.Log("a message on the screens")
	h.sets("calls/"+call, "messageText", "MMMMMMMMMM WWWWWWWWWW", "messageDuration", "permanent", "messagePosition", "middle")
	for _, p := range phones {
		sees(p, 0.003, "white")
	}
	h.sets("calls/"+call, "messageText", "")
	t.Log("muted by the administrator, one is not heard, and not seen")
	red := participant(h, call, "red")
	h.sets("participants/"+red, "rxAudioMute", "true", "rxVideoMute", "true")
	phones[900].AwaitNoTone(500)
	phones[900].AwaitTone(1500)
	sees(phones[900], 0.1, "blue", "-red")
	h.sets("participants/"+red, "rxAudioMute", "false", "rxVideoMute", "false")
	phones[900].AwaitTone(500)
	h.ask("DELETE", "calls/"+call, nil)
	for _, p := range phones {
		p.Await(baresip.Closed)
	}
	h.totals("calls", "0")
	h.totals("callLegs", "0")
}

// participant is the ID of one by name.
func participant(h *house, call, name string) string {
	h.Helper()
	for _, p := range h.reads("calls/" + call + "/participants").Children {
		if p.At("name") == name {
			return p.Attr("id")
		}
	}
	h.Fatalf("nobody is called %s", name)
	return ""
}

func TestTheMenuAsksForANumberAndAPasscode(t *testing.T) {
	h := open(t)
	h.creates("ivrs", "uri", "menu")
	h.creates("coSpaces", "name", "Closed", "uri", "closed", "callId", "88001", "passcode", "2468")
	host := baresip.Start(t, baresip.Options{Name: "host", Tone: 500})
	guest := baresip.Start(t, baresip.Options{Name: "guest", Tone: 900})
	t.Log("by the menu")
	host.Call(h.address("menu", "udp"))
	host.Keys("88001#")
	host.Keys("2468#")
	h.totals("calls", "1")
	t.Log("by the address, with a wrong passcode first")
	guest.Call(h.address("closed", "udp"))
	guest.Keys("1111#")
	guest.Keys("2468#")
	guest.AwaitTone(500)
	host.AwaitTone(900)
	guest.Hangup()
	guest.Await(baresip.Closed)
	t.Log("three wrong numbers end the call")
	guest.Call(h.address("menu", "udp"))
	for range 3 {
		guest.Keys("99#")
	}
	guest.Await(baresip.Closed)
	h.totals("callLegs", "1")
	t.Log("and by a script that plays its keys")
	script := sipp.Call(t, sipp.Options{Server: h.sip["udp"], User: "menu", Keys: "88001#2468#", Tone: 1300})
	host.AwaitTone(1300)
	script.AwaitTone(500)
	script.AwaitNoTone(1300)
	h.ask("DELETE", "calls/"+h.totals("calls", "1").Children[0].Attr("id"), nil)
	script.AwaitEnd()
	host.Await(baresip.Closed)
}

func TestAGuestWaitsInTheLobbyUntilTheHostComes(t *testing.T) {
	h := open(t)
	waits := h.creates("callLegProfiles", "name", "guests", "needsActivation", "true", "deactivationMode", "deactivate")
	leads := h.creates("callLegProfiles", "name", "hosts", "needsActivation", "false")
	space := h.creates("coSpaces", "name", "Lobby", "uri", "lobby", "callLegProfile", waits)
	h.creates("coSpaces/"+space+"/accessMethods", "uri", "lobby", "passcode", "1357", "callLegProfile", leads)
	guest := baresip.Start(t, baresip.Options{Name: "guest", Tone: 900})
	other := baresip.Start(t, baresip.Options{Name: "other", Tone: 1500})
	host := baresip.Start(t, baresip.Options{Name: "host", Tone: 500})
	guest.Call(h.address("lobby", "udp"))
	guest.Keys("#")
	other.Call(h.address("lobby", "udp"))
	other.Keys("#")
	call := h.totals("calls", "1").Children[0].Attr("id")
	h.totals("calls/"+call+"/participants", "2")
	for _, l := range h.reads("callLegs").Children {
		if got := h.reads("callLegs/"+l.Attr("id")).At("status", "deactivated"); got != "true" {
			t.Errorf("%s: deactivated is %q, want true", l.At("name"), got)
		}
	}
	if guest.Hears(1500) || other.Hears(900) {
		t.Error("those in the lobby hear each other")
	}
	host.Call(h.address("lobby", "tcp"))
	host.Keys("1357#")
	guest.AwaitTone(500, 1500)
	other.AwaitTone(500, 900)
	host.AwaitTone(900, 1500)
	host.Hangup()
	host.Await(baresip.Closed)
	t.Log("without the host they are back in the lobby")
	guest.AwaitNoTone(500, 1500)
}

func TestKeysMuteAndChangeTheLayoutAndEndTheMeeting(t *testing.T) {
	h := open(t)
	profile := h.creates("dtmfProfiles", "toggleMuteSelfAudio", "*1", "nextLayout", "*4", "endCall", "**9")
	h.sets("system/profiles", "dtmfProfile", profile)
	labels := h.creates("callLegProfiles", "participantLabels", "true")
	h.creates("coSpaces", "name", "Keys", "uri", "keys", "defaultLayout", "allEqual", "callLegProfile", labels)
	alice := baresip.Start(t, baresip.Options{Name: "alice", DisplayName: "MMMMMMMMMM", Tone: 500, Colour: "red"})
	bob := baresip.Start(t, baresip.Options{Name: "bob", Tone: 900, Colour: "blue"})
	quiet := baresip.Start(t, baresip.Options{Name: "quiet", Colour: "green"})
	alice.Call(h.address("keys", "udp"))
	bob.Call(h.address("keys", "udp"))
	quiet.Call(h.address("keys", "udp"))
	t.Log("names stand on the tiles")
	sees(bob, 0.1, "red", "green")
	sees(bob, 0.0003, "white") // letters are a few pixels, fewer where a busy machine sends small pictures; nothing else is white
	t.Log("and go with the profile that wants them")
	h.sets("callLegProfiles/"+labels, "participantLabels", "false")
	sees(bob, 0.0003, "-white")
	sees(bob, 0.1, "red", "green")
	bob.AwaitTone(500)
	alice.Keys("*1")
	bob.AwaitNoTone(500)
	alice.Keys("*1")
	bob.AwaitTone(500)
	call := h.totals("calls", "1").Children[0].Attr("id")
	legs := h.totals("calls/"+call+"/callLegs", "3")
	id := ""
	for _, l := range legs.Children {
		if strings.HasPrefix(l.At("remoteParty"), "bob@") {
			id = l.Attr("id")
		}
	}
	before := h.reads("callLegs/"+id).At("status", "layout")
	bob.Keys("*4")
	until(t, "another layout", func() bool { l := h.reads("callLegs/"+id).At("status", "layout"); return l != before && l != "" })
	t.Log("from equal tiles by stacked and telepresence to the speaker alone")
	bob.Keys("*4*4")
	until(t, "the speaker alone", func() bool { return h.reads("callLegs/"+id).At("status", "layout") == "speakerOnly" })
	sees(bob, 0.3, "red", "-green")
	alice.Keys("**9")
	alice.Await(baresip.Closed)
	bob.Await(baresip.Closed)
	h.totals("calls", "0")
}

func TestSomebodyIsCalledIntoTheMeeting(t *testing.T) {
	h := open(t)
	space := h.creates("coSpaces", "name", "Out", "uri", "out")
	bob := baresip.Start(t, baresip.Options{Name: "bob", DisplayName: "Bob", Tone: 900})
	h.creates("outboundDialPlanRules", "domain", "phones.example", "sipProxy", bob.Address.String(), "sipControlEncryption", "unencrypted")
	alice := baresip.Start(t, baresip.Options{Name: "alice", Tone: 500})
	alice.Call(h.address("out", "udp"))
	call := h.totals("calls", "1").Children[0].Attr("id")
	if got := h.reads("calls/" + call).At("coSpace"); got != space {
		t.Errorf("the call is of space %q, want %s", got, space)
	}
	id := h.creates("calls/"+call+"/participants", "remoteParty", "bob@phones.example", "nameLabelOverride", "Robert")
	// Whoever has no picture may be an answering machine, and is asked to press 1.
	bob.Await(baresip.Established)
	if alice.Hears(900) {
		t.Error("somebody who has not said yes is heard")
	}
	bob.Keys("1")
	alice.AwaitTone(900)
	bob.AwaitTone(500)
	until(t, "the participant", func() bool {
		p := h.reads("participants/" + id)
		return p.At("name") == "Robert" && p.At("status", "state") == "connected"
	})
	h.ask("DELETE", "participants/"+id, nil)
	bob.Await(baresip.Closed)
	h.totals("calls/"+call+"/participants", "1")
}

func TestACallIsForwardedToAnotherCallControl(t *testing.T) {
	h := open(t)
	h.creates("coSpaces", "name", "Weekly", "uri", "weekly")
	h.creates("inboundDialPlanRules", "domain", "127.0.0.1")
	bob := baresip.Start(t, baresip.Options{Name: "bob", Tone: 900, Colour: "blue", Encryption: "srtp"})
	h.creates("forwardingDialPlanRules", "matchPattern", "far.example", "action", "forward", "callerIdMode", "preserve")
	h.creates("outboundDialPlanRules", "domain", "far.example", "sipProxy", bob.TLS.String(), "sipControlEncryption", "encrypted")
	alice := baresip.Start(t, baresip.Options{Name: "alice", DisplayName: "Alice", Tone: 500, Colour: "red", Proxy: "sip:" + h.sip["tcp"].String() + ";transport=tcp"})
	alice.Call("sip:bob@far.example")
	alice.AwaitTone(900)
	bob.AwaitTone(500)
	sees(alice, 0.5, "blue")
	sees(bob, 0.5, "red")
	call := h.totals("calls", "1").Children[0].Attr("id")
	if got := h.reads("calls/" + call).At("callType"); got != "forwarding" {
		t.Errorf("the call is of type %q, want forwarding", got)
	}
	ciphers := map[string]bool{}
	for _, l := range h.totals("calls/"+call+"/callLegs", "2").Children {
		d := h.reads("callLegs/" + l.Attr("id"))
		ciphers[d.At("direction")+" "+d.At("status", "encryptedMedia")] = true
	}
	if !ciphers["outgoing true"] || !ciphers["incoming false"] {
		t.Errorf("want the outgoing leg encrypted alone, got %v", ciphers)
	}
	bob.Hangup()
	alice.Await(baresip.Closed)
	h.totals("calls", "0")
}

func TestMediaAreBackAfterAWorkerDied(t *testing.T) {
	h := open(t)
	h.creates("coSpaces", "name", "Weekly", "uri", "weekly")
	alice := baresip.Start(t, baresip.Options{Name: "alice", Tone: 500})
	bob := baresip.Start(t, baresip.Options{Name: "bob", Tone: 900})
	alice.Call(h.address("weekly", "udp"))
	bob.Call(h.address("weekly", "tcp"))
	alice.AwaitTone(900)
	bob.AwaitTone(500)
	h.worker.kill()
	alice.Forget()
	bob.Forget()
	h.startWorker()
	alice.AwaitTone(900)
	bob.AwaitTone(500)
	h.totals("callLegs", "2")
}

func TestACallBridgeThatDiedLeavesNoCallBehind(t *testing.T) {
	h := open(t)
	h.creates("coSpaces", "name", "Weekly", "uri", "weekly")
	alice := baresip.Start(t, baresip.Options{Name: "alice", Tone: 500})
	bob := baresip.Start(t, baresip.Options{Name: "bob", Tone: 900})
	alice.Call(h.address("weekly", "udp"))
	bob.Call(h.address("weekly", "tcp"))
	alice.AwaitTone(900)
	h.totals("callLegs", "2")
	sip := h.sip["udp"].Port()
	h.bridge.kill()
	h.ports = []string{"-sip", itoa(sip)}
	h.startBridge()
	h.totals("callLegs", "0")
	// Nobody has to find out by asking.
	alice.Await(baresip.Closed)
	bob.Await(baresip.Closed)
	until(t, "both answer", func() bool { return strings.Contains(h.bridge.said.String(), "calls=2 told=2") })
	alarms := h.reads("system/alarms")
	found := false
	for _, a := range alarms.Children {
		found = found || strings.Contains(strings.ToLower(a.At("type")), "restart") || strings.Contains(strings.ToLower(a.At("type")), "crash")
	}
	if !found {
		t.Errorf("no alarm tells of the unexpected restart: %v", alarms)
	}
}
