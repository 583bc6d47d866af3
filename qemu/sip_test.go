//go:build qemu

package qemu

import (
	"fmt"
	"image"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/leg/baresip"
	"rotunda/services/callbridge/leg/kamailio"
	"rotunda/services/callbridge/leg/roomsystem"
	"rotunda/services/callbridge/leg/sipp"
)

// TestMeetingsOverSIP is a meeting on the image: telephones on its network dial a space, by its address, by the menu with a passcode, and are
// called from the API; each hears the others and not itself and sees them, their names and a message; a presenter's screen reaches all; keys mute
// and change the layout; a guest waits in the lobby; and a call is forwarded through another call control, by TCP and in the clear on one side,
// by TLS and encrypted on the other. It runs with nothing beside it: sound and pictures keep time.
func TestMeetingsOverSIP(t *testing.T) {
	for _, program := range []string{"kamailio", "sipp", "baresip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed (Debian: kamailio, kamailio-tls-modules, sip-tester, baresip-core)")
		}
	}
	network := newLAN(t, "10.77.0.1/24")
	network.run("ip", "address", "add", "10.77.0.3/24", "dev", "tap0")
	m := boot(t, Options{MemoryMiB: 1536, NICs: []NIC{{Forward: []Forward{{Guest: 22}, {Guest: 443}}}, {Segment: network.cable}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	defer func() {
		if t.Failed() {
			for _, path := range []string{"calls", "callLegs", "participants"} {
				t.Log(m.api("GET", path, nil))
			}
			log := filepath.Join(t.TempDir(), "log")
			m.sftp("get log " + log)
			text, _ := os.ReadFile(log)
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, "callbridge:") || strings.Contains(line, "media") {
					t.Log(strings.TrimSpace(line))
				}
			}
		}
	}()
	certificate, key := selfSigned(t)
	m.sftp("put "+certificate, "put "+key)
	m.in("the Call Bridge is set up as the guide does it", func(m *trial) {
		for _, line := range []string{"ipv4 b add 10.77.0.2/24 10.77.0.1", "ipv4 b enable", "webadmin listen a 443", "webadmin certs web.key web.crt", "webadmin enable",
			"callbridge listen b", "callbridge certs web.key web.crt"} {
			m.ssh(line)
		}
		wantContains(m.t, "callbridge restart", m.ssh("callbridge restart"), "SUCCESS: callbridge restarted")
		m.await("ipv4 b", "10.77.0.2/24")
		m.awaitAPI("coSpaces")
	})
	phone := func(o baresip.Options) (p *baresip.Phone) {
		o.Address = netip.MustParseAddr("10.77.0.1")
		// An emulated processor encodes a hundred times slower.
		o.Width, o.Height, o.Rate, o.Bitrate = 320, 180, 5, 128_000
		network.inside(func() { p = baresip.Start(t, o) })
		return p
	}
	system := func(o roomsystem.Options) (s *roomsystem.System) {
		o.Address, o.Width, o.Height, o.Rate = netip.MustParseAddr("10.77.0.1"), 320, 180, 5
		network.inside(func() { s = roomsystem.Start(t, o) })
		return s
	}
	alice := phone(baresip.Options{Name: "alice", DisplayName: "Alice", Tone: 500, Colour: "red", Codecs: []string{"pcmu/8000/1"}})
	bob := phone(baresip.Options{Name: "bob", DisplayName: "MMMMMMMMMM", Tone: 900, Colour: "blue", Codecs: []string{"pcma/8000/1"}, Encryption: "srtp"})
	var space, call string
	var script *sipp.Caller
	m.in("a space is dialled by its address and by the menu", func(m *trial) {
		// Pictures small enough for emulated processors.
		profile := m.apiCreates("callLegProfiles", url.Values{"qualityMain": {"max480p30"}, "qualityPresentation": {"max720p5"}, "participantLabels": {"true"}})
		keys := m.apiCreates("dtmfProfiles", url.Values{"toggleMuteSelfAudio": {"*1"}, "nextLayout": {"*4"}})
		m.api("PUT", "system/profiles", url.Values{"dtmfProfile": {keys}})
		space = m.apiCreates("coSpaces", url.Values{"name": {"Weekly"}, "uri": {"weekly"}, "callId": {"88001"}, "passcode": {"2468"}, "defaultLayout": {"allEqual"}, "callLegProfile": {profile}})
		m.apiCreates("coSpaces/"+space+"/accessMethods", url.Values{"uri": {"weekly.rooms"}, "callLegProfile": {profile}})
		m.apiCreates("ivrs", url.Values{"uri": {"menu"}})
		alice.Call("sip:weekly@10.77.0.2;transport=tcp")
		alice.Keys("2468#")
		network.inside(func() {
			script = sipp.Call(t, sipp.Options{Address: netip.MustParseAddr("10.77.0.1"), Server: netip.MustParseAddrPort("10.77.0.2:5060"), User: "menu", Keys: "88001#2468#", Tone: 1500})
		})
		alice.AwaitTone(1500)
		script.AwaitTone(500)
		alice.AwaitNoTone(500)
		script.AwaitNoTone(1500)
	})
	m.in("somebody is called into it, by TLS, and all see and hear each other", func(m *trial) {
		m.apiCreates("outboundDialPlanRules", url.Values{"domain": {"phones.example"}, "sipProxy": {bob.TLS.String()}, "sipControlEncryption": {"encrypted"}})
		call = m.liveCall(space)
		participant := m.apiCreates("calls/"+call+"/participants", url.Values{"remoteParty": {"bob@phones.example"}})
		alice.AwaitTone(900, 1500)
		bob.AwaitTone(500, 1500)
		bob.AwaitNoTone(900)
		script.AwaitTone(500, 900)
		shows(bob, 0.02, "red")
		// Bob's name is white on his tile, and a message is much more of it.
		shows(alice, 0.02, "blue")
		name := shows(alice, 0.0004, "white")
		m.api("PUT", "calls/"+call, url.Values{"messageText": {"MMMMMMMMMMMM"}, "messageDuration": {"permanent"}})
		shows(alice, 1.5*name, "white")
		m.api("PUT", "calls/"+call, url.Values{"messageText": {""}})
		wantContains(m.t, "the call", m.api("GET", "calls/"+call, nil), "<numCallLegs>3</numCallLegs>", "<callType>coSpace</callType>")
		legs := m.api("GET", "participants/"+participant+"/callLegs", nil)
		id := regexp.MustCompile(`callLeg id="([0-9a-f-]{36})"`).FindStringSubmatch(legs)
		if id == nil {
			m.t.Fatalf("bob's call legs: got %s", legs)
		}
		wantContains(m.t, "bob's call leg", m.api("GET", "callLegs/"+id[1], nil), "<encryptedMedia>true</encryptedMedia>", "<state>connected</state>")
	})
	m.in("a presenter's screen reaches all, as a stream of its own or in the picture", func(m *trial) {
		presenter := system(roomsystem.Options{Name: "presenter", DisplayName: "Presenter", Colour: "lime", Screen: "magenta"})
		presenter.Call("sip:weekly.rooms@10.77.0.2;transport=tcp")
		shows(alice, 0.02, "lime")
		presenter.Present()
		shows(alice, 0.1, "magenta")
		shows(bob, 0.1, "magenta")
		presenter.Leave()
		shows(alice, 0.02, "blue", "lime")
		alice.Keys("*4*4*4") // by stacked and telepresence to speakerOnly
		alice.AwaitPicture(func(picture image.Image) string {
			if blue, lime := part(picture, "blue"), part(picture, "lime"); min(blue, lime) > 0.005 || max(blue, lime) < 0.1 {
				return fmt.Sprintf("with the speaker alone, blue is %.3f of the picture and lime %.3f: want one of them alone", blue, lime)
			}
			return ""
		})
		alice.Keys("*1")
		bob.AwaitNoTone(500)
		bob.AwaitTone(1500)
		alice.Keys("*1")
		bob.AwaitTone(500)
		// Somebody who comes late, and has a second screen. An emulated processor counts as one core with room for four, so Bob leaves.
		bob.Hangup()
		bob.Await(baresip.Closed)
		m.legs(3)
		presenter.Present()
		shows(alice, 0.1, "magenta") // by then the media core knows that Bob is gone
		viewer := system(roomsystem.Options{Name: "viewer", FloorTCP: true})
		viewer.Call("sip:weekly.rooms@10.77.0.2;transport=tcp")
		viewer.AwaitOther(true)
		viewer.AwaitScreen("magenta")
		presenter.Leave()
		viewer.AwaitOther(false)
		m.api("DELETE", "calls/"+call, nil)
		alice.Await(baresip.Closed)
		viewer.AwaitEnd()
		presenter.AwaitEnd()
		script.AwaitEnd()
	})
	m.in("a guest waits in the lobby until the host comes", func(m *trial) {
		waits := m.apiCreates("callLegProfiles", url.Values{"needsActivation": {"true"}, "qualityMain": {"max480p30"}})
		leads := m.apiCreates("callLegProfiles", url.Values{"needsActivation": {"false"}, "qualityMain": {"max480p30"}})
		lobby := m.apiCreates("coSpaces", url.Values{"name": {"Lobby"}, "uri": {"lobby"}, "callLegProfile": {waits}})
		m.apiCreates("coSpaces/"+lobby+"/accessMethods", url.Values{"uri": {"lobby.host"}, "callLegProfile": {leads}})
		alice.Call("sip:lobby@10.77.0.2;transport=tcp")
		guest := regexp.MustCompile(`callLeg id="([0-9a-f-]{36})"`).FindStringSubmatch(m.api("GET", "calls/"+m.liveCall(lobby)+"/callLegs", nil))
		if guest == nil {
			m.t.Fatal("the guest has no call leg")
		}
		wantContains(m.t, "the guest's call leg", m.api("GET", "callLegs/"+guest[1], nil), "<deactivated>true</deactivated>")
		bob.Call("sip:lobby.host@10.77.0.2;transport=tcp")
		alice.AwaitTone(900)
		bob.AwaitTone(500)
		wantContains(m.t, "the guest's call leg", m.api("GET", "callLegs/"+guest[1], nil), "<deactivated>false</deactivated>")
		m.api("DELETE", "calls/"+m.liveCall(lobby), nil)
		alice.Await(baresip.Closed)
		bob.Await(baresip.Closed)
	})
	m.in("a gateway call through another call control", func(m *trial) {
		certificate, key := selfSigned(t)
		network.inside(func() {
			kamailio.Start(t, kamailio.Options{Listen: []string{"tcp:10.77.0.3:5060", "tls:10.77.0.3:5061"}, Far: bob.Address.String(), Certificate: certificate, Key: key})
		})
		m.apiCreates("inboundDialPlanRules", url.Values{"domain": {"10.77.0.2"}})
		m.apiCreates("forwardingDialPlanRules", url.Values{"matchPattern": {"far.example"}, "action": {"forward"}, "callerIdMode": {"preserve"}})
		m.apiCreates("outboundDialPlanRules", url.Values{"domain": {"far.example"}, "sipProxy": {"10.77.0.3:5061"}, "sipControlEncryption": {"encrypted"}})
		dave := phone(baresip.Options{Name: "dave", DisplayName: "Dave", Tone: 700, Colour: "red", Codecs: []string{"pcmu/8000/1"}, Proxy: "sip:10.77.0.2:5060;transport=tcp"})
		dave.Call("sip:bob@far.example")
		dave.AwaitTone(900)
		bob.AwaitTone(700)
		shows(dave, 0.02, "blue")
		shows(bob, 0.02, "red")
		bob.Hangup()
		dave.Await(baresip.Closed)
		wantContains(m.t, "the calls", m.api("GET", "calls", nil), `<calls total="0"`)
	})
}

// liveCall waits for the meeting of a space.
func (m *trial) liveCall(space string) string {
	m.t.Helper()
	ctx := m.within(commandLimit)
	for {
		list := m.api("GET", "calls?coSpaceFilter="+space, nil)
		if id := regexp.MustCompile(`call id="([0-9a-f-]{36})"`).FindStringSubmatch(list); id != nil {
			return id[1]
		}
		select {
		case <-ctx.Done():
			m.t.Fatalf("no meeting of the space: %s", list)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// legs waits until so many call legs are there.
func (m *trial) legs(count int) {
	m.t.Helper()
	ctx := m.within(commandLimit)
	for {
		list := m.api("GET", "callLegs", nil)
		if strings.Contains(list, fmt.Sprintf(`<callLegs total="%d"`, count)) {
			return
		}
		select {
		case <-ctx.Done():
			m.t.Fatalf("want %d call legs, got %s", count, list)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// shades are how colours look that went through an encoder.
var shades = map[string]func(r, g, b uint32) bool{
	"red":     func(r, g, b uint32) bool { return r > 180 && g < 80 && b < 80 },
	"blue":    func(r, g, b uint32) bool { return r < 80 && g < 80 && b > 180 },
	"lime":    func(r, g, b uint32) bool { return r < 80 && g > 180 && b < 80 },
	"magenta": func(r, g, b uint32) bool { return r > 180 && g < 80 && b > 180 },
	"white":   func(r, g, b uint32) bool { return r > 200 && g > 200 && b > 200 },
}

// part is how much of a picture has a colour.
func part(m image.Image, colour string) float64 {
	n, all := 0, 0
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			r, g, b, _ := m.At(x, y).RGBA()
			if all++; shades[colour](r>>8, g>>8, b>>8) {
				n++
			}
		}
	}
	return float64(n) / float64(all)
}

// shows waits until a telephone is shown colours, each in such a part of the picture at least, and returns the part that the last one has.
func shows(p *baresip.Phone, least float64, colours ...string) (has float64) {
	p.AwaitPicture(func(m image.Image) (wrong string) {
		for _, c := range colours {
			if has = part(m, c); has < least {
				return fmt.Sprintf("%s is %.4f of the picture: want %.4f", c, has, least)
			}
		}
		return ""
	})
	return has
}
