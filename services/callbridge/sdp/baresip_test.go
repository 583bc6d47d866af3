package sdp

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rotunda/services/callbridge/leg/baresip"
	"rotunda/services/media/control"
)

// go test ./services/callbridge/sdp -run Baresip -capture writes what baresip says into testdata.
var capture = flag.Bool("capture", false, "keep what baresip says as test data")

// keep writes a description for later tests, which then need no baresip. Of its keys only the length matters.
func keep(t *testing.T, name string, b []byte) {
	t.Helper()
	if !*capture {
		return
	}
	if err := os.WriteFile(filepath.Join("testdata", name+".sdp"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

type variant struct {
	name     string
	options  baresip.Options
	security control.Security
	video    bool
	// seldom ones are asked only when test data are made.
	seldom bool
}

var variants = []variant{
	{"audio", baresip.Options{}, control.Plain, false, true},
	{"pcma", baresip.Options{Codecs: []string{"pcma/8000/1"}, PacketTime: 40}, control.Plain, false, true},
	{"g722-mux", baresip.Options{Codecs: []string{"g722/16000/1", "pcmu/8000/1"}, MuxRTCP: true}, control.Plain, false, true},
	{"video", baresip.Options{Colour: "red"}, control.Plain, true, false},
	{"srtp", baresip.Options{Encryption: "srtp"}, control.SDES, false, false},
	{"srtp-mand", baresip.Options{Encryption: "srtp-mand", Colour: "red"}, control.SDES, true, true},
	{"srtp-mandf", baresip.Options{Encryption: "srtp-mandf", Colour: "red", MuxRTCP: true}, control.SDES, true, false},
	{"dtls_srtp-mux", baresip.Options{Encryption: "dtls_srtp", Colour: "red", MuxRTCP: true}, control.DTLS, true, false},
}

// pick leaves seldom ones out, and lets the others go on beside each other: a telephone mostly waits.
func (v *variant) pick(t *testing.T) {
	if v.seldom && !*capture {
		t.Skip("its descriptions are in testdata; -capture asks the program")
	}
	t.Parallel()
}

// listen is a SIP address that only hears.
func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// read waits for a message that begins with what is wanted, and gives it with its body.
func read(t *testing.T, c *net.UDPConn, want, method string) (head string, body []byte, from netip.AddrPort) {
	t.Helper()
	b := make([]byte, 65536)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatalf("no %q came: %v", want, err)
		}
		if head, body, ok := bytes.Cut(b[:n], []byte("\r\n\r\n")); ok && strings.HasPrefix(string(head), want) && strings.Contains(string(head), " "+method+"\r\n") {
			return string(head), bytes.Clone(body), from
		}
	}
}

// busy refuses a call that comes.
func busy(t *testing.T, c *net.UDPConn, invite string, to netip.AddrPort) {
	t.Helper()
	var b strings.Builder
	b.WriteString("SIP/2.0 486 Busy Here\r\n")
	for _, l := range strings.Split(invite, "\r\n") {
		switch name, _, _ := strings.Cut(l, ":"); name {
		case "To":
			b.WriteString(l + ";tag=2\r\n")
		case "Via", "From", "Call-ID", "CSeq":
			b.WriteString(l + "\r\n")
		}
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	if _, err := c.WriteToUDPAddrPort([]byte(b.String()), to); err != nil {
		t.Fatal(err)
	}
	read(t, c, "ACK", "ACK")
}

// TestBaresipOffers answers what a real telephone offers, in all its ways to encrypt.
func TestBaresipOffers(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			v.pick(t)
			phone := baresip.Start(t, v.options)
			c := listen(t)
			phone.Dial("sip:meeting@" + c.LocalAddr().String())
			head, offer, from := read(t, c, "INVITE", "INVITE")
			busy(t, c, head, from)
			keep(t, "offers/baresip-"+v.name, offer)
			s := newSide(t, video)
			answersFit(t, offer, []byte(s.answer(offer)))
			if s.leg.Audio == nil || (s.leg.Video != nil) != v.video {
				t.Errorf("audio %v, video %v\n%s", s.leg.Audio, s.leg.Video, offer)
			}
			for i, tr := range s.leg.Transports {
				if tr.Security != v.security || tr.RTCPMux != v.options.MuxRTCP || tr.Remote.Addr() != netip.MustParseAddr("127.0.0.1") {
					t.Errorf("transports[%d] is %+v\n%s", i, tr, offer)
				}
			}
		})
	}
}

// TestBaresipAnswers has a real telephone answer our offers.
func TestBaresipAnswers(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			v.pick(t)
			if v.name == "srtp-mandf" {
				t.Skip("baresip then takes offers of RTP/SAVPF alone, and ours are RTP/SAVP")
			}
			phone := baresip.Start(t, v.options)
			c := listen(t)
			p := video
			// Without keys in the offer a telephone that must have them refuses.
			p.OfferDTLS = v.security == control.DTLS
			if strings.Contains(v.name, "mand") || p.OfferDTLS {
				p.Encryption = Required
			}
			s := newSide(t, p)
			s.local = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
			answer := invite(t, c, phone.Address, "baresip", s.offer())
			keep(t, "answers/baresip-"+v.name, answer)
			s.take(string(answer))
			if s.leg.Audio == nil || (s.leg.Video != nil) != v.video || s.leg.Presentation != nil {
				t.Errorf("audio %v, video %v, presentation %v\n%s", s.leg.Audio, s.leg.Video, s.leg.Presentation, answer)
			}
			for i, tr := range s.leg.Transports[:1] {
				if tr.Security != v.security || !tr.Remote.IsValid() {
					t.Errorf("transports[%d] is %+v\n%s", i, tr, answer)
				}
			}
		})
	}
}

// invite makes a call and gives the answer of its 200.
func invite(t *testing.T, c *net.UDPConn, to netip.AddrPort, user, offer string) []byte {
	t.Helper()
	us := c.LocalAddr().String()
	request := func(method, tag, body string, cseq int) {
		kind := ""
		if body != "" {
			kind = "Content-Type: application/sdp\r\n"
		}
		m := fmt.Sprintf("%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d%s\r\nMax-Forwards: 70\r\nFrom: <sip:test@%s>;tag=1\r\nTo: <sip:%s@%s>%s\r\n"+
			"Call-ID: %d@test\r\nCSeq: %d %s\r\nContact: <sip:test@%s>\r\n%sContent-Length: %d\r\n\r\n%s",
			method, user, to, us, cseq, method, us, user, to, tag, c.LocalAddr().(*net.UDPAddr).Port, cseq, method, us, kind, len(body), body)
		if _, err := c.WriteToUDPAddrPort([]byte(m), to); err != nil {
			t.Fatal(err)
		}
	}
	request("INVITE", "", offer, 1)
	head, answer, _ := read(t, c, "SIP/2.0 200", "INVITE")
	tag := ";tag=" + regexp.MustCompile(`(?m)^To:.*;tag=([^\r\n;]*)`).FindStringSubmatch(head)[1]
	request("ACK", tag, "", 1)
	request("BYE", tag, "", 2)
	read(t, c, "SIP/2.0 200", "BYE")
	return answer
}
