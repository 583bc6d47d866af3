//go:build qemu

package qemu

import (
	"image"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rotunda/services/callbridge/leg/baresip"
)

// TestMeetingsOverSIP is a meeting on the image: telephones on its network dial a space, by its address, by the menu with a passcode, and are
// called from the API; each hears the others and not itself and sees them; and a call is forwarded through another call control,
// by TCP and in the clear on one side, by TLS and encrypted on the other. It runs with nothing beside it: sound and pictures keep time.
func TestMeetingsOverSIP(t *testing.T) {
	if _, err := exec.LookPath("kamailio"); err != nil {
		t.Skip("kamailio is not installed (Debian: kamailio, kamailio-tls-modules)")
	}
	network := newLAN(t, "10.77.0.1/24")
	network.run("ip", "address", "add", "10.77.0.3/24", "dev", "tap0")
	m := boot(t, Options{MemoryMiB: 1536, NICs: []NIC{{Forward: []Forward{{Guest: 22}, {Guest: 443}}}, {Segment: network.cable}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	defer func() {
		if t.Failed() {
			log := filepath.Join(t.TempDir(), "log")
			m.sftp("get log " + log)
			text, _ := os.ReadFile(log)
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, "callbridge") || strings.Contains(line, "media") {
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
	alice := phone(baresip.Options{Name: "alice", DisplayName: "Alice", Tone: 500, Colour: "red", Codecs: []string{"pcmu/8000/1"}})
	bob := phone(baresip.Options{Name: "bob", DisplayName: "Bob", Tone: 900, Colour: "blue", Codecs: []string{"pcma/8000/1"}, Encryption: "srtp"})
	carol := phone(baresip.Options{Name: "carol", Tone: 1500, Codecs: []string{"g722/16000/1"}})
	var space string
	m.in("a space is dialled by its address and by the menu", func(m *trial) {
		// Pictures small enough for emulated processors.
		profile := m.apiCreates("callLegProfiles", url.Values{"qualityMain": {"max480p30"}, "participantLabels": {"true"}})
		space = m.apiCreates("coSpaces", url.Values{"name": {"Weekly"}, "uri": {"weekly"}, "callId": {"88001"}, "passcode": {"2468"}, "defaultLayout": {"allEqual"}, "callLegProfile": {profile}})
		m.apiCreates("ivrs", url.Values{"uri": {"menu"}})
		alice.Call("sip:weekly@10.77.0.2;transport=tcp")
		alice.Keys("2468#")
		carol.Call("sip:menu@10.77.0.2")
		carol.Keys("88001#")
		carol.Keys("2468#")
		alice.AwaitTone(1500)
		carol.AwaitTone(500)
		if !alice.HearsNot(500) || !carol.HearsNot(1500) {
			m.t.Error("somebody hears themselves")
		}
	})
	m.in("somebody is called into it, by TLS, and all see and hear each other", func(m *trial) {
		m.apiCreates("outboundDialPlanRules", url.Values{"domain": {"phones.example"}, "sipProxy": {bob.TLS.String()}, "sipControlEncryption": {"encrypted"}})
		call := m.liveCall(space)
		participant := m.apiCreates("calls/"+call+"/participants", url.Values{"remoteParty": {"bob@phones.example"}})
		alice.AwaitTone(900, 1500)
		bob.AwaitTone(500, 1500)
		carol.AwaitTone(500, 900)
		shows(alice, "blue")
		shows(bob, "red")
		m.api("PUT", "calls/"+call, url.Values{"messageText": {"MMMMMMMMMMMM"}, "messageDuration": {"permanent"}})
		shows(alice, "white")
		wantContains(m.t, "the call", m.api("GET", "calls/"+call, nil), "<numCallLegs>3</numCallLegs>", "<callType>coSpace</callType>")
		legs := m.api("GET", "participants/"+participant+"/callLegs", nil)
		id := regexp.MustCompile(`callLeg id="([0-9a-f-]{36})"`).FindStringSubmatch(legs)
		if id == nil {
			m.t.Fatalf("bob's call legs: got %s", legs)
		}
		wantContains(m.t, "bob's call leg", m.api("GET", "callLegs/"+id[1], nil), "<encryptedMedia>true</encryptedMedia>", "<state>connected</state>")
		m.api("DELETE", "calls/"+call, nil)
		for _, p := range []*baresip.Phone{alice, bob, carol} {
			p.Await(baresip.Closed)
		}
	})
	m.in("a gateway call through another call control", func(m *trial) {
		network.inside(func() { kamailio(t, "10.77.0.3", bob.Address.String()) })
		m.apiCreates("inboundDialPlanRules", url.Values{"domain": {"10.77.0.2"}})
		m.apiCreates("forwardingDialPlanRules", url.Values{"matchPattern": {"far.example"}, "action": {"forward"}, "callerIdMode": {"preserve"}})
		m.apiCreates("outboundDialPlanRules", url.Values{"domain": {"far.example"}, "sipProxy": {"10.77.0.3:5061"}, "sipControlEncryption": {"encrypted"}})
		dave := phone(baresip.Options{Name: "dave", DisplayName: "Dave", Tone: 700, Colour: "red", Codecs: []string{"pcmu/8000/1"}, Proxy: "sip:10.77.0.2:5060;transport=tcp"})
		dave.Call("sip:bob@far.example")
		dave.AwaitTone(900)
		bob.AwaitTone(700)
		shows(dave, "blue")
		shows(bob, "red")
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

// shows waits until a telephone is shown a colour in a fiftieth of the picture at least.
func shows(p *baresip.Phone, colour string) {
	like := map[string]func(r, g, b uint32) bool{
		"red":   func(r, g, b uint32) bool { return r > 180 && g < 80 && b < 80 },
		"blue":  func(r, g, b uint32) bool { return r < 80 && g < 80 && b > 180 },
		"white": func(r, g, b uint32) bool { return r > 200 && g > 200 && b > 200 },
	}[colour]
	least := map[string]float64{"white": 0.002}[colour]
	p.AwaitPicture(func(m image.Image) (wrong string) {
		n, all := 0, 0
		for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y += 3 {
			for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x += 3 {
				r, g, b, _ := m.At(x, y).RGBA()
				if all++; like(r>>8, g>>8, b>>8) {
					n++
				}
			}
		}
		if float64(n) < max(least, 0.02)*float64(all) && (least == 0 || float64(n) < least*float64(all)) {
			return colour + " is not seen"
		}
		return ""
	})
}

const kamailioConfig = `#!KAMAILIO
debug=1
log_stderror=yes
fork=no
children=1
tcp_children=1
disable_tcp=no
enable_tls=yes
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
listen=tcp:HERE:5060
listen=tls:HERE:5061
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "FOLDER/web.crt")
modparam("tls", "private_key", "FOLDER/web.key")
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
request_route {
	if (has_totag()) {
		if (loose_route()) { t_relay(); exit; }
		if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
		sl_send_reply("404", "Not here");
		exit;
	}
	if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
	record_route();
	$du = "sip:FAR;transport=tcp";
	t_relay();
}
`

// kamailio is the call control of somebody else: it takes TLS and passes calls on by TCP.
func kamailio(t *testing.T, here, far string) {
	t.Helper()
	folder := t.TempDir()
	certificate, key := selfSigned(t)
	for from, to := range map[string]string{certificate: "web.crt", key: "web.key"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, to), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(folder, "kamailio.cfg")
	if err := os.WriteFile(config, []byte(strings.NewReplacer("HERE", here, "FOLDER", folder, "FAR", far).Replace(kamailioConfig)), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("kamailio", "-f", config, "-DD", "-E", "-w", folder, "-Y", folder, "-m", "32", "-M", "8")
	// Its processes are ended together, and what they say goes to a file: one that is left would keep a pipe open for ever.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	said, err := os.Create(filepath.Join(folder, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("kamailio said:\n%s", text)
		}
	})
}
