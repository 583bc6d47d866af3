package sdp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	pion "github.com/pion/sdp/v3"

	"rotunda/services/media/control"
)

var (
	four = netip.MustParseAddr("192.0.2.10")
	six  = netip.MustParseAddr("2001:db8::10")
)

// steady is a source of keys that gives the same ones in each run.
func steady() io.Reader { return rand.NewChaCha8([32]byte{1}) }

// video is what a usual endpoint may have.
var video = Policy{Video: true, Presentation: true, Camera: true, Floor: ServerOnly}

// side is a session with a media engine that opens ports and checks every wanted state as the engine does.
type side struct {
	t testing.TB
	*Session
	leg    control.Leg
	local  []netip.Addr
	open   []control.Transport
	ports  []uint16
	next   uint16
	media  control.LegState
	reopen int // how often ports were closed
}

func newSide(t testing.TB, p Policy, local ...netip.Addr) *side {
	if len(local) == 0 {
		local = []netip.Addr{four, six}
	}
	return &side{t: t, Session: New(p, steady()), local: local, next: 40000, leg: control.Leg{ID: "leg"}}
}

// put applies and plays the media engine: what may not change on an open transport is an error here as there.
func (s *side) put() {
	s.t.Helper()
	if s.Reopens() {
		s.reopen++
		s.open, s.ports = nil, nil
		s.leg.Transports, s.leg.Audio, s.leg.Video, s.leg.Presentation = nil, nil, nil, nil
	}
	s.Apply(&s.leg, s.local)
	if err := s.leg.Validate(); err != nil {
		s.t.Fatalf("the leg is not valid: %v", err)
	}
	s.media = control.LegState{ID: "leg"}
	for i, t := range s.leg.Transports {
		if !t.RTCPMux && (t.ICE != nil || t.Security == control.DTLS) {
			s.t.Fatalf("transports[%d]: ice and dtls need rtcp-mux", i)
		}
		if i == len(s.open) {
			s.open = append(s.open, t)
			s.ports = append(s.ports, s.next)
			s.next += 2
		} else {
			was := s.open[i]
			switch {
			case was.Security != t.Security && (was.Security == control.DTLS || t.Security == control.DTLS):
				s.t.Fatalf("transports[%d]: security cannot change from %q to %q", i, was.Security, t.Security)
			case (was.ICE == nil) != (t.ICE == nil):
				s.t.Fatalf("transports[%d]: ice cannot come or go", i)
			case was.RTCPMux && !t.RTCPMux && s.open[i].MTU < 0:
				s.t.Fatalf("transports[%d]: no port for rtcp was opened", i)
			case !slices.Equal(was.Local, t.Local):
				s.t.Fatalf("transports[%d]: local addresses cannot change", i)
			}
			s.open[i].Security, s.open[i].Keys = t.Security, t.Keys
		}
		state := control.TransportState{Gathered: true}
		for _, a := range t.Local {
			state.RTP = append(state.RTP, netip.AddrPortFrom(a, s.ports[i]))
			if !t.RTCPMux {
				state.RTCP = append(state.RTCP, netip.AddrPortFrom(a, s.ports[i]+1))
			}
		}
		if t.Security == control.DTLS {
			state.Fingerprint = "sha-256 " + strings.Repeat("AB:", 31) + "AB"
		}
		if t.ICE != nil {
			state.Ufrag, state.Password = "abcd", "0123456789012345678901"
			state.Candidates = []string{fmt.Sprintf("1 1 udp 2130706431 %s %d typ host", t.Local[0], s.ports[i])}
		}
		s.media.Transports = append(s.media.Transports, state)
	}
}

func (s *side) sockets() Ports {
	return Ports{Floor: netip.AddrPortFrom(s.local[0], 64512), Camera: netip.AddrPortFrom(s.local[0], 64514)}
}

// answer takes an offer and gives the answer.
func (s *side) answer(offer []byte) string {
	s.t.Helper()
	if err := s.ReadOffer(offer); err != nil {
		s.t.Fatalf("read offer: %v\n%s", err, offer)
	}
	s.put()
	b, err := s.WriteAnswer(s.media, s.sockets())
	if err != nil {
		s.t.Fatalf("write answer: %v\n%s", err, offer)
	}
	check(s.t, b)
	return string(b)
}

// offer makes one.
func (s *side) offer() string {
	s.t.Helper()
	s.Prepare()
	return s.written()
}

func (s *side) written() string {
	s.t.Helper()
	s.put()
	b, err := s.WriteOffer(s.media, s.sockets())
	if err != nil {
		s.t.Fatalf("write offer: %v", err)
	}
	check(s.t, b)
	return string(b)
}

func (s *side) take(answer string) {
	s.t.Helper()
	if err := s.ReadAnswer([]byte(answer)); err != nil {
		s.t.Fatalf("read answer: %v\n%s", err, answer)
	}
	s.put()
}

// check reads a description with another parser.
func check(t testing.TB, b []byte) *pion.SessionDescription {
	t.Helper()
	var d pion.SessionDescription
	// It knows no fax.
	if err := d.Unmarshal(bytes.ReplaceAll(b, []byte("m=image 0 udptl"), []byte("m=audio 0 RTP/AVP"))); err != nil {
		t.Fatalf("what was written is no session description: %v\n%s", err, b)
	}
	return &d
}

// text makes a description of lines as they stand in a test.
func text(s string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimLeft(s, "\n"), "\n", "\r\n"))
}

// mline is the n-th m-line of a description with what belongs to it.
func mline(t testing.TB, d string, n int) string {
	t.Helper()
	parts := strings.Split(d, "\r\nm=")
	if n+1 >= len(parts) {
		t.Fatalf("no m-line %d in\n%s", n, d)
	}
	return "m=" + parts[n+1] + "\r\n"
}

// has checks that a text has all these lines.
func has(t testing.TB, in string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\r\n"+in, "\r\n"+l+"\r\n") {
			t.Errorf("no line %q in\n%s", l, in)
		}
	}
}

func hasNot(t testing.TB, in string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(in, w) {
			t.Errorf("%q is in\n%s", w, in)
		}
	}
}

func inline(suite string, fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, keySize(suite)))
}

const phone = `
v=0
o=- 20518 0 IN IP4 203.0.113.1
s=call
c=IN IP4 203.0.113.1
t=0 0
m=audio 54400 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv
`

func TestTelephone(t *testing.T) {
	s := newSide(t, video)
	a := s.answer(text(phone))
	has(t, a, "c=IN IP4 192.0.2.10", "m=audio 40000 RTP/AVP 8 0 101", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=sendrecv", "a=ptime:20")
	hasNot(t, a, "crypto", "rtcp-mux", "m=video", "b=")
	want := control.Audio{Send: control.Format{PayloadType: 8, Codec: control.PCMA}, Receive: []control.Format{{PayloadType: 8, Codec: control.PCMA}, {PayloadType: 0, Codec: control.PCMU}},
		PacketTime: 20, DTMF: 101, DTMFClock: 8000}
	if got := fmt.Sprintf("%+v", *s.leg.Audio); got != fmt.Sprintf("%+v", want) {
		t.Errorf("audio is %s, want %+v", got, want)
	}
	tr := s.leg.Transports[0]
	if tr.Remote != netip.MustParseAddrPort("203.0.113.1:54400") || tr.Security != control.Plain || tr.RTCPMux {
		t.Errorf("transport is %+v", tr)
	}
	if s.leg.Video != nil || s.leg.Presentation != nil {
		t.Error("a telephone has no video")
	}
	if g := s.Agreed(); !g.Audio || g.Video || g.Encrypted || !g.Unencrypted || !g.DTMF || g.HeldByPeer {
		t.Errorf("agreed: %+v", g)
	}
}

// TestBothSides lets two sessions of this package talk: what is offered and answered fits, in every setting of encryption.
func TestBothSides(t *testing.T) {
	for _, c := range []struct {
		caller, called Encryption
		dtls           bool
		security       control.Security
		refused        bool
	}{
		{Optional, Optional, false, control.SDES, false},
		{Optional, Required, false, control.SDES, false},
		{Optional, Prohibited, false, control.Plain, false},
		{Required, Optional, false, control.SDES, false},
		{Required, Required, false, control.SDES, false},
		{Required, Prohibited, false, "", true},
		{Prohibited, Optional, false, control.Plain, false},
		{Prohibited, Prohibited, false, control.Plain, false},
		{Prohibited, Required, false, "", true},
		{Optional, Optional, true, control.DTLS, false},
		{Required, Required, true, control.DTLS, false},
	} {
		t.Run(fmt.Sprintf("%s calls %s, dtls %v", c.caller, c.called, c.dtls), func(t *testing.T) {
			p, q := video, video
			p.Encryption, p.OfferDTLS, q.Encryption, q.Floor = c.caller, c.dtls, c.called, ServerAndClient
			a, b := newSide(t, p), newSide(t, q, netip.MustParseAddr("198.51.100.20"))
			b.Session = New(q, rand.NewChaCha8([32]byte{2}))
			o := a.offer()
			if c.refused {
				err := b.ReadOffer([]byte(o))
				r, ok := err.(*Refused)
				if !ok || r.Code != 488 || r.Warning == "" {
					t.Fatalf("read offer: %v, want a refusal with 488", err)
				}
				return
			}
			answer := b.answer([]byte(o))
			a.take(answer)
			for _, s := range []*side{a, b} {
				if s.leg.Audio == nil || s.leg.Video == nil || s.leg.Presentation == nil {
					t.Fatalf("streams are missing: %+v", s.leg)
				}
				for i, tr := range s.leg.Transports {
					if tr.Security != c.security {
						t.Errorf("transports[%d]: security is %q, want %q", i, tr.Security, c.security)
					}
				}
				if g := s.Agreed(); g.Floor == nil || g.Camera == nil || (c.security == control.Plain) == g.Encrypted {
					t.Errorf("agreed: %+v", g)
				}
			}
			for i := range a.leg.Transports {
				ta, tb := a.leg.Transports[i], b.leg.Transports[i]
				if c.security == control.SDES && (!bytes.Equal(ta.Keys.Local, tb.Keys.Remote) || !bytes.Equal(tb.Keys.Local, ta.Keys.Remote) || bytes.Equal(ta.Keys.Local, ta.Keys.Remote)) {
					t.Errorf("transports[%d]: the keys do not fit", i)
				}
				if c.security == control.DTLS && (ta.Handover.Active || !tb.Handover.Active) {
					t.Errorf("transports[%d]: roles of the handshake: %v and %v", i, ta.Handover.Active, tb.Handover.Active)
				}
				if ta.Remote != b.media.Transports[i].RTP[0] || tb.Remote != a.media.Transports[i].RTP[0] {
					t.Errorf("transports[%d]: remote %v and %v", i, ta.Remote, tb.Remote)
				}
			}
			if x, y := a.Agreed().Floor, b.Agreed().Floor; x.Server == y.Server {
				t.Error("both sides have the same role in floor control")
			}
			// Offers in either direction change nothing: neither ports nor keys nor payload types.
			before := fmt.Sprintf("%+v %+v %+v %+v", a.leg.Transports, *a.leg.Audio, *a.leg.Video, *a.leg.Presentation)
			again := a.offer()
			a.take(b.answer([]byte(again)))
			if once := a.offer(); once != again {
				t.Errorf("the second offer is another one:\n%s\n%s", again, once)
			}
			a.Rollback()
			b.take(a.answer([]byte(b.offer())))
			if now := fmt.Sprintf("%+v %+v %+v %+v", a.leg.Transports, *a.leg.Audio, *a.leg.Video, *a.leg.Presentation); keyless(now) != keyless(before) {
				t.Errorf("after two offers the leg is\n%s\nwant\n%s", now, before)
			}
			if a.reopen+b.reopen > 0 {
				t.Error("ports were closed")
			}
		})
	}
}

// keyless leaves pointers out.
func keyless(s string) string { return regexp.MustCompile("0x[0-9a-f]+").ReplaceAllString(s, "") }
