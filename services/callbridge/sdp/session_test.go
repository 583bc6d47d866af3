package sdp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rotunda/services/media/control"
)

// edit changes what a pattern finds, which must be there.
func edit(t testing.TB, d []byte, pattern, to string) []byte {
	t.Helper()
	re := regexp.MustCompile(pattern)
	if !re.Match(d) {
		t.Fatalf("%q is not in\n%s", pattern, d)
	}
	return re.ReplaceAll(d, []byte(to))
}

func version(t testing.TB, d string) string {
	t.Helper()
	return strings.Fields(d[strings.Index(d, "o="):])[2]
}

// body is a description without its version.
func body(d string) string { return d[strings.Index(d, "s=-"):] }

// TestHold goes through all ways to hold a call and back. The answer says what is left of it, and nothing else changes.
func TestHold(t *testing.T) {
	offer := stored(t, "offers/cisco-ce-best-effort")
	for _, c := range []struct {
		name      string
		hold      func([]byte) []byte
		answer    string
		direction control.Direction
		held      bool
	}{
		{"sendonly", func(d []byte) []byte { return edit(t, d, "a=sendrecv", "a=sendonly") }, "a=recvonly", control.ReceiveOnly, true},
		{"inactive", func(d []byte) []byte { return edit(t, d, "a=sendrecv", "a=inactive") }, "a=inactive", control.Inactive, true},
		{"recvonly", func(d []byte) []byte { return edit(t, d, "a=sendrecv", "a=recvonly") }, "a=sendonly", control.SendOnly, false},
		{"inactive for the session", func(d []byte) []byte {
			return edit(t, edit(t, d, "a=sendrecv\r\n", ""), "t=0 0\r\n", "t=0 0\r\na=inactive\r\n")
		}, "a=inactive", control.Inactive, true},
		{"zeros", func(d []byte) []byte { return edit(t, d, `c=IN IP4 [0-9.]*`, "c=IN IP4 0.0.0.0") }, "a=recvonly", control.ReceiveOnly, true},
		{"zeros and inactive", func(d []byte) []byte {
			return edit(t, edit(t, d, `c=IN IP4 [0-9.]*`, "c=IN IP4 0.0.0.0"), "a=sendrecv", "a=inactive")
		}, "a=inactive", control.Inactive, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSide(t, video)
			first := s.answer(offer)
			remote := s.leg.Transports[0].Remote
			keys := fmt.Sprintf("%+v", *s.leg.Transports[0].Keys)
			held := s.answer(c.hold(offer))
			for n, stream := range []int{0, 1, 3} {
				has(t, mline(t, held, stream), c.answer)
				if d := []control.Direction{s.leg.Audio.Direction, s.leg.Video.Direction, s.leg.Presentation.Direction}[n]; d != c.direction {
					t.Errorf("stream %d is %q, want %q", stream, d, c.direction)
				}
			}
			if g := s.Agreed(); g.HeldByPeer != c.held || g.HeldByUs {
				t.Errorf("held by the far end: %v, want %v; by us %v", g.HeldByPeer, c.held, g.HeldByUs)
			}
			if s.leg.Transports[0].Remote != remote || fmt.Sprintf("%+v", *s.leg.Transports[0].Keys) != keys {
				t.Error("the transport changed")
			}
			if version(t, first) == version(t, held) {
				t.Error("the description changed and its version did not")
			}
			back := s.answer(offer)
			if body(back) != body(first) {
				t.Errorf("after the hold:\n%s\nbefore:\n%s", back, first)
			}
			if version(t, back) == version(t, held) {
				t.Error("the description changed back and its version did not")
			}
			if s.reopen != 0 {
				t.Error("ports were closed")
			}
		})
	}
}

func TestHoldByUs(t *testing.T) {
	a, b := newSide(t, video), newSide(t, video)
	a.take(b.answer([]byte(a.offer())))
	a.Hold(true)
	o := a.offer()
	has(t, o, "a=inactive")
	hasNot(t, o, "a=sendrecv")
	if d := a.leg.Audio.Direction; d != control.Inactive {
		t.Errorf("our sound is %q while we offer to hold it", d)
	}
	a.take(b.answer([]byte(o)))
	if d := []control.Direction{a.leg.Audio.Direction, b.leg.Audio.Direction, b.leg.Video.Direction}; d[0] != control.Inactive || d[1] != control.Inactive || d[2] != control.Inactive {
		t.Errorf("held streams are %q", d)
	}
	if g := a.Agreed(); !g.HeldByUs || !b.Agreed().HeldByPeer {
		t.Errorf("held by us %v, by the far end %v", g.HeldByUs, b.Agreed().HeldByPeer)
	}
	// An offer of the far end meanwhile does not end our hold.
	hasNot(t, a.answer([]byte(b.offer())), "a=sendrecv", "a=sendonly", "a=recvonly")
	b.Rollback()
	a.Hold(false)
	a.take(b.answer([]byte(a.offer())))
	if d := []control.Direction{a.leg.Audio.Direction, b.leg.Audio.Direction, b.leg.Video.Direction}; d[0] != "" || d[1] != "" || d[2] != "" {
		t.Errorf("after the hold streams are %q", d)
	}
}

// TestRefusedOffers: nothing that is refused changes what is in force.
func TestRefusedOffers(t *testing.T) {
	offer := stored(t, "offers/cisco-ce-required")
	s := newSide(t, Policy{Video: true, Encryption: Required})
	first := s.answer(offer)
	before := fmt.Sprintf("%+v", s.Agreed())
	for _, c := range []struct {
		name  string
		offer []byte
		warn  int // 0: no description at all
		text  string
	}{
		{"keys are gone", edit(t, edit(t, offer, "RTP/SAVP", "RTP/AVP"), "a=crypto:[^\r]*\r\n", ""), 399, "media must be encrypted"},
		{"only suites that nobody has", edit(t, offer, "(a=crypto:.) AE[^ ]* ", "$1 F8_128_HMAC_SHA1_80 "), 399, "AEAD_AES_256_GCM"},
		{"no codec", edit(t, edit(t, edit(t, offer, "m=video", "m=text"), "m=audio ([0-9]+) RTP/SAVP [0-9 ]*", "m=audio $1 RTP/SAVP 15 18"), "x", "x"), 305, "opus"},
		{"no stream", edit(t, offer, "m=([a-z]+) [0-9]+ ", "m=$1 0 "), 304, "m=audio"},
		{"no m-line", []byte("v=0\r\no=- 1 1 IN IP4 203.0.113.1\r\ns=-\r\nt=0 0\r\n"), 304, "m-line"},
		{"no address", edit(t, offer, "c=IN[^\r]*\r\n", ""), 301, "c="},
		{"a group", edit(t, offer, "c=IN IP4 [0-9.]*", "c=IN IP4 239.1.1.1/127"), 301, "one machine"},
		{"another protocol", edit(t, offer, "RTP/SAVP", "TCP/RTP/SAVP"), 302, "RTP/AVP"},
		{"empty", nil, 0, "empty"},
		{"not a description", []byte("INVITE sip:x SIP/2.0\r\n"), 0, "line 1"},
		{"an older version", edit(t, offer, "v=0", "v=1"), 0, "v=0"},
		{"a port that is none", edit(t, offer, "m=audio [0-9]+", "m=audio 65536"), 0, "0 to 65535"},
		{"an m-line that is too short", edit(t, offer, "m=audio [^\r]*", "m=audio 1000"), 0, "formats"},
		{"too large", bytes.Repeat([]byte("a=x\r\n"), 20000), 0, "65536"},
		{"too many lines", append(bytes.Clone(offer), bytes.Repeat([]byte("m=text 0 RTP/AVP 0\r\n"), 33)...), 0, "32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.ReadOffer(c.offer)
			if err == nil {
				t.Fatal("it was taken")
			}
			r := &Refused{}
			if errors.As(err, &r) != (c.warn != 0) || r.Warn != c.warn || c.warn != 0 && r.Code != 488 {
				t.Errorf("refused by %#v, want warning %d", err, c.warn)
			}
			if !strings.Contains(err.Error(), c.text) || strings.ContainsAny(err.Error(), "\"\r\n") && c.warn != 0 {
				t.Errorf("the text is %q, want one with %q", err, c.text)
			}
			if now := fmt.Sprintf("%+v", s.Agreed()); keyless(now) != keyless(before) {
				t.Errorf("the session is now %s, was %s", now, before)
			}
			if again := s.answer(offer); again != first {
				t.Errorf("the offer is answered now by\n%s\nwas\n%s", again, first)
			}
		})
	}
}

// TestStreamsComeAndGo adds and removes streams by offers of either side. Lines keep their places, transports their ports.
func TestStreamsComeAndGo(t *testing.T) {
	offer := stored(t, "offers/cisco-ce-none")
	s := newSide(t, video)
	first := s.answer(offer)

	without := edit(t, offer, "m=video 235[68]", "m=video 0")
	a := s.answer(without)
	if !strings.HasPrefix(mline(t, a, 1), "m=video 0 RTP/AVP 97 126 96 34 31\r\n") || !strings.HasPrefix(mline(t, a, 3), "m=video 0 ") || !strings.HasPrefix(mline(t, a, 2), "m=application 0 UDP/BFCP *") {
		t.Errorf("video is not rejected in its place:\n%s", a)
	}
	if s.leg.Video != nil || s.leg.Presentation != nil || s.leg.Audio == nil || len(s.leg.Transports) != 3 {
		t.Errorf("the leg is %+v", s.leg)
	}
	if g := s.Agreed(); g.Floor != nil || g.Camera != nil || g.Video {
		t.Errorf("agreed: %+v", g)
	}
	if back := s.answer(offer); mline(t, back, 1) != mline(t, first, 1) {
		t.Errorf("video came back as\n%s\nwas\n%s", mline(t, back, 1), mline(t, first, 1))
	}

	// A telephone that becomes a videophone.
	p := newSide(t, video)
	p.answer(text(phone))
	more := append(text(phone), []byte("m=video 54402 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n")...)
	p.answer(more)
	if p.leg.Video == nil || p.leg.Video.Transport != 1 || p.ports[0] != 40000 {
		t.Errorf("video is %+v", p.leg.Video)
	}

	// We offer more than the far end did, and take it back when it wants none of that.
	q := newSide(t, video)
	q.answer(text(phone))
	if o := q.offer(); strings.Count(o, "m=") != 1 {
		t.Errorf("a later offer has more than what was agreed on:\n%s", o)
	}
	q.PrepareAll()
	o := q.written()
	if strings.Count(o, "m=") != 5 {
		t.Errorf("an offer of everything:\n%s", o)
	}
	has(t, o, "m=audio 40000 RTP/AVP 8 0 96 9 101", "m=video 40002 RTP/AVP 97 98 103 104")
	q.take(string(edit(t, text(phone), "(?s)$", "m=video 0 RTP/AVP 97\r\nm=video 0 RTP/AVP 97\r\nm=application 0 UDP/BFCP *\r\nm=application 0 RTP/AVP 107\r\n")))
	if q.leg.Video != nil || q.leg.Audio == nil {
		t.Errorf("the leg is %+v", q.leg)
	}
	o = q.offer()
	if strings.Count(o, "m=") != 5 || strings.Count(o, " 0 RTP/AVP") != 3 {
		t.Errorf("rejected lines are not in their places:\n%s", o)
	}
	q.Rollback()

	// A policy that takes video away says so in the next description.
	s.SetPolicy(Policy{})
	o = s.offer()
	if strings.Count(o, "m=") != 6 || !strings.HasPrefix(mline(t, o, 1), "m=video 0 RTP/AVP") {
		t.Errorf("video was to go:\n%s", o)
	}
}

// TestRollback gives up offers that came to nothing.
func TestRollback(t *testing.T) {
	a, b := newSide(t, video), newSide(t, video)
	a.take(b.answer([]byte(a.offer())))
	before := keyless(fmt.Sprintf("%+v", a.leg))
	a.Hold(true)
	a.offer()
	a.Hold(false)
	a.Rollback()
	a.put()
	if now := keyless(fmt.Sprintf("%+v", a.leg)); now != before {
		t.Errorf("after a refused offer the leg is\n%s\nwas\n%s", now, before)
	}
	if err := a.ReadAnswer([]byte(b.answer([]byte(b.offer0(a))))); err == nil {
		t.Error("an answer to nothing was taken")
	}
	if _, err := a.WriteOffer(a.media, Ports{}); err == nil {
		t.Error("an offer was written without Prepare")
	}
	if _, err := New(video, steady()).WriteAnswer(control.LegState{}, Ports{}); err == nil {
		t.Error("an answer was written without an offer")
	}
	a.Prepare()
	if _, err := a.WriteOffer(control.LegState{}, Ports{}); err == nil {
		t.Error("an offer was written without ports")
	}
}

// offer0 is what another side would offer, without its doing so.
func (s *side) offer0(o *side) string {
	d := o.offer()
	o.Rollback()
	return d
}

// TestPortsMove: the worker of the leg is another one.
func TestPortsMove(t *testing.T) {
	a, b := newSide(t, video), newSide(t, video)
	o := a.offer()
	a.take(b.answer([]byte(o)))
	again := a.offer()
	a.take(b.answer([]byte(again)))
	a.ports = []uint16{50000, 50002, 50004}
	moved := a.offer()
	has(t, moved, "m=audio 50000 RTP/AVP 96 9 8 0 102")
	if version(t, moved) == version(t, again) {
		t.Error("ports changed and the version did not")
	}
	if body(strings.ReplaceAll(moved, " 500", " 400")) != body(again) {
		t.Errorf("more than ports changed:\n%s\n%s", again, moved)
	}
	a.take(b.answer([]byte(moved)))
	if b.leg.Transports[1].Remote.Port() != 50002 {
		t.Errorf("the far end sends to %v", b.leg.Transports[1].Remote)
	}
}

// TestKeys: they stay while the far end does, and the offer's choice is taken.
func TestKeys(t *testing.T) {
	offer := stored(t, "offers/cisco-ce-best-effort")
	s := newSide(t, video)
	s.answer(offer)
	mine := bytes.Clone(s.leg.Transports[0].Keys.Local)
	if bytes.Equal(mine, s.leg.Transports[1].Keys.Local) {
		t.Error("two streams have the same key")
	}
	// The far end has new keys: ours stay.
	s.answer(edit(t, offer, `(a=crypto:0 AEAD_AES_256_GCM inline:)[^|]*`, "${1}"+inline(control.SuiteAEAD256, 9)))
	if k := s.leg.Transports[0].Keys; !bytes.Equal(k.Local, mine) || k.Remote[0] != 9 {
		t.Error("new keys of the far end: ours changed, or its own are not taken")
	}
	// It wants another suite.
	s.answer(edit(t, offer, `a=crypto:[01][^\r]*\r\n`, ""))
	if k := s.leg.Transports[0].Keys; k.Suite != control.SuiteAESCM80 || len(k.Local) != 30 {
		t.Errorf("the suite is %s", k.Suite)
	}
	s.answer(offer)
	if !bytes.Equal(s.leg.Transports[0].Keys.Local, mine) {
		t.Error("the key changed although it had been agreed on")
	}
	// It is another one.
	s.answer(edit(t, offer, "o=tandberg 7", "o=tandberg 8"))
	if bytes.Equal(s.leg.Transports[0].Keys.Local, mine) {
		t.Error("another far end got the key of the one before")
	}
	// Keys that were in use are given up by new ports alone, whose sources are new: the key may come back.
	if s.reopen != 0 {
		t.Errorf("ports were closed %d times", s.reopen)
	}
	s.answer(stored(t, "offers/cisco-ce-none"))
	if s.reopen != 1 || s.leg.Transports[0].Security != control.Plain {
		t.Errorf("from encrypted to plain: ports were closed %d times, want once", s.reopen)
	}
	s.answer(offer)
	if s.reopen != 1 || s.leg.Transports[0].Security != control.SDES {
		t.Errorf("from plain to encrypted: ports were closed %d times, want them left", s.reopen)
	}
	// Errors and facts do not show keys.
	if shown := fmt.Sprintf("%+v", s.Agreed()); strings.Contains(shown, base64.StdEncoding.EncodeToString(mine)) {
		t.Error("a key is shown")
	}
}

func TestCryptoLines(t *testing.T) {
	k := inline(control.SuiteAESCM80, 1)
	for _, c := range []struct {
		line string
		ok   bool
	}{
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k, true},
		{"0 aes_cm_128_hmac_sha1_80 INLINE:" + k, true},
		{"123456789 AES_CM_128_HMAC_SHA1_32 inline:" + k + "|2^31", true},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + "|2^48 WSH=64", true},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + "|1048576 KDR=0 -NEW=1", true},
		{"1 AEAD_AES_128_GCM inline:" + inline(control.SuiteAEAD128, 1), true},
		{"1 AEAD_AES_256_GCM inline:" + inline(control.SuiteAEAD256, 1) + "|2^48", true},
		{"1 AEAD_AES_256_GCM inline:" + strings.TrimRight(inline(control.SuiteAEAD256, 1), "="), true},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + "|2^31|1:1", false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + "|1:4", false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + "|2^49", false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + "|0", false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + ";inline:" + k, false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + " UNENCRYPTED_SRTP", false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + " UNAUTHENTICATED_SRTP", false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + " KDR=1", false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k + " FEC_ORDER=FEC_SRTP", false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + k[:20], false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:####", false},
		{"1 AES_CM_128_HMAC_SHA1_80 uri:" + k, false},
		{"1 F8_128_HMAC_SHA1_80 inline:" + k, false},
		{"-1 AES_CM_128_HMAC_SHA1_80 inline:" + k, false},
		{"1234567890 AES_CM_128_HMAC_SHA1_80 inline:" + k, false},
		{"1 AES_CM_128_HMAC_SHA1_80", false},
		{"", false},
	} {
		got, err := parseCrypto(c.line)
		if (err == nil) != c.ok {
			t.Errorf("%q: %v, want it taken: %v", c.line, err, c.ok)
		}
		if err == nil && len(got.key) != keySize(got.suite) {
			t.Errorf("%q: a key of %d bytes", c.line, len(got.key))
		}
		if err != nil && strings.Contains(err.Error(), k[:20]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

// TestHandshakeRoles: who sends ClientHello (RFC 5763, 5), also in later offers (RFC 8842, 5).
func TestHandshakeRoles(t *testing.T) {
	offer := stored(t, "offers/baresip-dtls_srtp-mux")
	s := newSide(t, video)
	has(t, s.answer(offer), "a=setup:active")
	if !s.leg.Transports[0].Handover.Active || len(s.leg.Transports[0].Handover.Fingerprints) != 1 {
		t.Errorf("handshake is %+v", s.leg.Transports[0].Handover)
	}
	has(t, s.answer(edit(t, offer, "a=setup:actpass", "a=setup:active")), "a=setup:passive")
	// It asks us to choose, and its certificate is the same: roles stay.
	has(t, s.answer(offer), "a=setup:passive")
	// Another certificate is another association.
	has(t, s.answer(edit(t, offer, "SHA-256 ..:", "SHA-256 00:")), "a=setup:active")
	if err := s.ReadOffer(edit(t, offer, "a=setup:actpass", "a=setup:holdconn")); err == nil {
		t.Error("holdconn was taken")
	}
	// An opportunistic offer falls back to plain media when the handshake cannot be had.
	plain := edit(t, edit(t, offer, "UDP/TLS/RTP/SAVPF", "RTP/AVPF"), "a=rtcp-mux\r\n", "")
	p := newSide(t, video)
	hasNot(t, p.answer(plain), "fingerprint", "setup")
	if p.leg.Transports[0].Security != control.Plain {
		t.Errorf("security is %q", p.leg.Transports[0].Security)
	}
	has(t, newSide(t, video).answer(edit(t, offer, "UDP/TLS/RTP/SAVPF", "RTP/AVPF")), "a=setup:active")
}

// TestICE: restarts are counted, candidates of no use left out.
func TestICE(t *testing.T) {
	offer := stored(t, "offers/chrome-by-rtpengine")
	p := video
	p.ICE = &control.ICE{Lite: true}
	s := newSide(t, p)
	s.answer(offer)
	i := s.leg.Transports[0].ICE
	if i == nil || !i.Lite || i.Controlling || i.Restart != 0 || i.Ufrag != "EsAw" || len(s.leg.Transports) != 1 {
		t.Fatalf("ice is %+v", i)
	}
	if want := []string{"1077520000 1 udp 2130706431 203.0.113.100 30042 typ host", "1077520003 1 udp 1686052607 198.51.100.200 50210 typ srflx raddr 0.0.0.0 rport 0"}; fmt.Sprint(i.Candidates) != fmt.Sprint(want) {
		t.Errorf("candidates are %q, want %q", i.Candidates, want)
	}
	s.answer(offer)
	if r := s.leg.Transports[0].ICE.Restart; r != 0 {
		t.Errorf("restart is %d without any", r)
	}
	s.answer(edit(t, offer, "a=ice-pwd:bP", "a=ice-pwd:cP"))
	if r := s.leg.Transports[0].ICE.Restart; r != 1 {
		t.Errorf("restart is %d, want 1", r)
	}
	// Both sides lite makes nobody check: then we are the full one.
	lite := newSide(t, p)
	a := lite.answer(edit(t, offer, "t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"))
	if i := lite.leg.Transports[0].ICE; i.Lite || !i.Controlling {
		t.Errorf("towards a lite far end: %+v", i)
	}
	hasNot(t, a, "ice-lite")
	// Without ICE here, the address of the description counts.
	q := newSide(t, video)
	q.answer(offer)
	if tr := q.leg.Transports[0]; tr.ICE != nil || tr.Remote != netip.MustParseAddrPort("203.0.113.100:30042") {
		t.Errorf("transport is %+v", tr)
	}
}

// TestFamilies: the answer names the local address that the far end can reach.
func TestFamilies(t *testing.T) {
	offer := text(phone)
	v6 := edit(t, offer, "IN IP4 203.0.113.1", "IN IP6 2001:db8:5::1")
	has(t, newSide(t, video).answer(offer), "c=IN IP4 192.0.2.10")
	has(t, newSide(t, video).answer(v6), "c=IN IP6 2001:db8::10")
	has(t, newSide(t, video, six, four).answer(offer), "c=IN IP4 192.0.2.10")
	has(t, newSide(t, video, six).offer(), "c=IN IP6 2001:db8::10")
	s := newSide(t, video, four)
	if err := s.ReadOffer(v6); err != nil {
		t.Fatal(err)
	}
	s.put()
	r := &Refused{}
	if _, err := s.WriteAnswer(s.media, s.sockets()); !errors.As(err, &r) || r.Warn != 301 {
		t.Errorf("no address of the far end's family: %v", err)
	}
	for offer, want := range map[string]netip.Addr{string(offer): four, string(v6): six} {
		s := newSide(t, video)
		if near := s.Near(s.local); near != four {
			t.Errorf("before anything is known %v is near", near)
		}
		s.answer([]byte(offer))
		if near := s.Near([]netip.Addr{four, six}); near != want {
			t.Errorf("near is %v, want %v", near, want)
		}
		if near := s.Near(nil); near.IsValid() {
			t.Errorf("near is %v without any address", near)
		}
	}
	// A name is an address that nobody knows: whoever sends first is answered.
	n := newSide(t, video)
	n.answer(edit(t, offer, "c=IN IP4 203.0.113.1", "c=IN IP4 phone.example.com"))
	if r := n.leg.Transports[0].Remote; r.IsValid() {
		t.Errorf("remote is %v", r)
	}
	// RTCP elsewhere (RFC 3605).
	e := newSide(t, video)
	e.answer(edit(t, offer, "a=sendrecv", "a=sendrecv\r\na=rtcp:60001 IN IP4 203.0.113.2"))
	if r := e.leg.Transports[0].RemoteRTCP; r != netip.MustParseAddrPort("203.0.113.2:60001") {
		t.Errorf("rtcp goes to %v", r)
	}
}

// TestPlan: what was planned is applied later, when the session is somewhere else, and keeps what the meeting said meanwhile.
func TestPlan(t *testing.T) {
	s := newSide(t, video)
	s.answer(stored(t, "offers/cisco-ce-none"))
	plan := s.Plan(s.local)
	want := keyless(fmt.Sprintf("%+v %+v", s.leg.Transports, *s.leg.Audio))
	s.answer(edit(t, stored(t, "offers/cisco-ce-none"), "a=sendrecv", "a=inactive"))
	s.leg.Audio.Muted, s.leg.Audio.Gain, s.leg.Video.Blind, s.leg.Presentation.Muted = true, true, true, true
	plan(&s.leg)
	if !s.leg.Audio.Muted || !s.leg.Audio.Gain || !s.leg.Video.Blind || !s.leg.Presentation.Muted {
		t.Errorf("what the meeting said is gone: %+v %+v", s.leg.Audio, s.leg.Video)
	}
	s.leg.Audio.Muted, s.leg.Audio.Gain = false, false
	if got := keyless(fmt.Sprintf("%+v %+v", s.leg.Transports, *s.leg.Audio)); got != want {
		t.Errorf("the plan gives\n%s\nwant\n%s", got, want)
	}
}

// TestFloorRoles: who is server, and by what transport.
func TestFloorRoles(t *testing.T) {
	offer := stored(t, "offers/polycom-group")
	both := video
	both.Floor = ServerAndClient
	none := video
	none.Floor = NoFloor
	for _, c := range []struct {
		name   string
		policy Policy
		edit   func([]byte) []byte
		floor  string
		lines  []string
	}{
		{"client, active", video, func(d []byte) []byte { return edit(t, d, "a=setup:passive", "a=setup:active") }, "tcp server 203.0.113.60:49164 1 1 1 3",
			[]string{"m=application 64512 TCP/BFCP *", "a=setup:passive", "a=floorctrl:s-only"}},
		{"client, either", video, func(d []byte) []byte { return edit(t, d, "a=setup:passive", "a=setup:actpass") }, "tcp server 203.0.113.60:49164 1 1 1 3",
			[]string{"m=application 64512 TCP/BFCP *", "a=setup:passive"}},
		{"no role", video, func(d []byte) []byte { return edit(t, d, "a=floorctrl[^\r]*\r\n", "") }, "tcp server active 203.0.113.60:49164 1 1 1 3", nil},
		{"both roles", video, func(d []byte) []byte { return edit(t, d, "c-only", "c-s") }, "tcp server active 203.0.113.60:49164 1 1 1 3", nil},
		{"server", video, func(d []byte) []byte { return edit(t, d, "c-only", "s-only") }, "", []string{"m=application 0 TCP/BFCP *"}},
		{"server, and we may be client", both, func(d []byte) []byte {
			return edit(t, edit(t, edit(t, d, "c-only", "s-only"), "confid:1", "confid:4321"), "floorid:1 mstrm:3", "floorid:7 m-stream:3")
		}, "tcp client active 203.0.113.60:49164 4321 1 7 3", []string{"a=floorctrl:c-only", "m=application 9 TCP/BFCP *"}},
		{"over UDP", video, func(d []byte) []byte { return edit(t, d, "TCP/BFCP", "UDP/BFCP") }, "udp server 203.0.113.60:49164 1 1 1 3", []string{"m=application 64512 UDP/BFCP *"}},
		{"over TLS", video, func(d []byte) []byte { return edit(t, d, "TCP/BFCP", "TCP/TLS/BFCP") }, "", []string{"m=application 0 TCP/TLS/BFCP *"}},
		{"over DTLS", video, func(d []byte) []byte { return edit(t, d, "TCP/BFCP", "UDP/TLS/BFCP") }, "", []string{"m=application 0 UDP/TLS/BFCP *"}},
		{"none here", none, func(d []byte) []byte { return d }, "", []string{"m=application 0 TCP/BFCP *"}},
		{"presentation refused", video, func(d []byte) []byte { return edit(t, d, "m=video 49162", "m=video 0") }, "", []string{"m=application 0 TCP/BFCP *"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSide(t, c.policy)
			a := s.answer(c.edit(offer))
			has(t, a, c.lines...)
			if g := floorText(s.Agreed().Floor); g != c.floor {
				t.Errorf("floor is %q, want %q\n%s", g, c.floor, a)
			}
			if c.floor != "" {
				// A later offer of ours leaves the connection as it is.
				o := s.offer()
				if strings.Contains(c.floor, "tcp") {
					has(t, o, "a=connection:existing")
				}
				hasNot(t, o, "connection:new")
			}
		})
	}
	// Our own offers over TCP.
	tcp := both
	tcp.FloorTCP, tcp.ConferenceID, tcp.UserID, tcp.FloorID = true, 77, 8, 9
	a, b := newSide(t, tcp), newSide(t, video)
	o := a.offer()
	has(t, o, "m=application 64512 TCP/BFCP *", "a=floorctrl:c-s", "a=setup:actpass", "a=connection:new", "a=confid:77", "a=userid:8", "a=floorid:9 mstrm:3")
	a.take(b.answer([]byte(o)))
	if x, y := floorText(a.Agreed().Floor), floorText(b.Agreed().Floor); x != "tcp client active 192.0.2.10:64512 1 1 1 3" || y != "tcp server 192.0.2.10:64512 1 1 1 3" {
		t.Errorf("floors are %q and %q", x, y)
	}
	// A port that the far end cannot reach is none.
	far := newSide(t, video)
	if err := far.ReadOffer(bytes.ReplaceAll(offer, []byte("IN IP4 203.0.113.60"), []byte("IN IP6 2001:db8:6::6"))); err != nil {
		t.Fatal(err)
	}
	far.put()
	ports := Ports{Floor: netip.AddrPortFrom(four, 64512), Camera: netip.AddrPortFrom(six, 64514)}
	if d, err := far.WriteAnswer(far.media, ports); err != nil || !strings.Contains(string(d), "m=application 0 TCP/BFCP") || !strings.Contains(string(d), "m=application 64514 RTP/AVP 100") {
		t.Errorf("%v\n%s", err, d)
	}
	// Without a port nothing is offered.
	n := newSide(t, video)
	n.Prepare()
	n.put()
	if d, err := n.WriteOffer(n.media, Ports{}); err != nil || strings.Contains(string(d), "application") {
		t.Errorf("%v\n%s", err, d)
	}
}

// TestOurOffers: what is offered by each setting.
func TestOurOffers(t *testing.T) {
	plain := newSide(t, Policy{Encryption: Prohibited}).offer()
	has(t, plain, "m=audio 40000 RTP/AVP 96 9 8 0 101 102", "a=rtcp-mux", "a=sendrecv", "a=ptime:20", "a=fmtp:96 useinbandfec=1;maxaveragebitrate=64000")
	hasNot(t, plain, "crypto", "m=video", "content", "b=")
	full := newSide(t, Policy{Video: true, Presentation: true, Camera: true, Floor: ServerOnly, Encryption: Required, SendBandwidth: 4_000_000, ReceiveBandwidth: 4_000_000}).offer()
	has(t, full, "b=AS:4000", "b=TIAS:4000000", "m=video 40002 RTP/SAVP 97 98 103 104", "a=content:main", "a=content:slides", "a=label:3",
		"m=application 64512 UDP/BFCP *", "a=floorctrl:s-only", "a=floorid:1 mstrm:3", "m=application 64514 RTP/SAVP 107", "a=rtpmap:107 H224/4800",
		"a=fmtp:97 profile-level-id=42e028;packetization-mode=1;level-asymmetry-allowed=1", "a=rtcp-fb:* nack pli", "a=rtcp-fb:* ccm fir", "a=rtcp-fb:* ccm tmmbr")
	if n := strings.Count(full, "a=crypto:"); n != 16 {
		t.Errorf("%d crypto lines, want 4 for each of 4 streams\n%s", n, full)
	}
	broad := newSide(t, Policy{Video: true, H264PayloadType: 109, BasicH264: true, VideoCodecs: []string{control.H264}, Audio: []string{control.PCMU, "G729"}, Suites: []string{control.SuiteAESCM80}, PacketTime: 40}).offer()
	has(t, broad, "m=video 40002 RTP/AVP 109 98", "m=audio 40000 RTP/AVP 0 101", "a=ptime:40")
	hasNot(t, broad, "content", "AEAD", "640c", "VP8", "opus")
	// Too little bandwidth for a picture.
	small := newSide(t, Policy{Video: true, SendBandwidth: 100_000})
	hasNot(t, small.offer(), "m=video")
}

// TestPresenting: main video makes room while there is a presentation.
func TestPresenting(t *testing.T) {
	s := newSide(t, video)
	s.answer(stored(t, "offers/cisco-ce-none"))
	for _, on := range []bool{false, true, false} {
		s.Presenting(on)
		s.put()
		want := 2_436_000
		if on {
			want /= 2
		}
		if s.leg.Video.SendBitrate != want || s.leg.Presentation.SendBitrate != 1_218_000 {
			t.Errorf("presenting %v: main %d, want %d; presentation %d", on, s.leg.Video.SendBitrate, want, s.leg.Presentation.SendBitrate)
		}
	}
	// The far end's limits count: of the call, of the stream, and its words in either unit.
	for _, c := range []struct{ b, media string }{{"b=AS:1024", ""}, {"b=CT:1024", ""}, {"b=TIAS:1024000", ""}, {"b=AS:6000", "b=AS:960\r\n"}, {"b=AS:0", "b=TIAS:960000\r\n"}} {
		o := edit(t, stored(t, "offers/cisco-ce-none"), "b=AS:6000", c.b)
		o = edit(t, o, "b=TIAS:6000000\r\n", c.media)
		l := newSide(t, video)
		l.answer(o)
		if l.leg.Video.SendBitrate != 960_000 {
			t.Errorf("%s %s: main video has %d", c.b, c.media, l.leg.Video.SendBitrate)
		}
	}
}

// TestPacketTimes: what the far end asks for, as far as the media engine makes it.
func TestPacketTimes(t *testing.T) {
	for _, c := range []struct {
		policy      int
		ptime, most string
		want        control.Milliseconds
	}{
		{0, "", "", 20}, {40, "", "", 40}, {10, "", "", 10}, {30, "", "", 20}, {20, "10", "", 10}, {20, "30", "", 20}, {20, "60", "", 40},
		{40, "", "20", 20}, {40, "40", "30", 20}, {20, "5", "", 10}, {20, "x", "y", 20},
	} {
		p := video
		p.PacketTime = c.policy
		s := newSide(t, p)
		s.answer(edit(t, text(phone), "a=ptime:20", "a=ptime:"+c.ptime+"\r\na=maxptime:"+c.most))
		if got := s.leg.Audio.PacketTime; got != c.want {
			t.Errorf("policy %d, ptime %s, maxptime %s: %d, want %d", c.policy, c.ptime, c.most, got, c.want)
		}
	}
}

// TestSomeEncrypted: with required encryption only the streams that have keys are taken.
func TestSomeEncrypted(t *testing.T) {
	p := video
	p.Encryption = Required
	s := newSide(t, p)
	a := s.answer(edit(t, stored(t, "offers/freeswitch"), "m=video 23470 RTP/SAVP", "m=video 23470 RTP/AVP"))
	if s.leg.Video == nil {
		t.Errorf("video has keys:\n%s", a)
	}
	o := bytes.Replace(stored(t, "offers/lifesize-two-lines"), []byte("m=video 60002 RTP/SAVP"), []byte("m=video 0 RTP/SAVP"), 1)
	a = newSide(t, p).answer(o)
	has(t, a, "m=video 0 RTP/AVP 108", "m=audio 40000 RTP/SAVP 9 8 0 96")
}

// TestBundleOutlivesItsFirstLine: the line that names the transport is rejected, and the transport stays for the others.
func TestBundleOutlivesItsFirstLine(t *testing.T) {
	offer := stored(t, "offers/chrome-by-rtpengine")
	p := video
	p.ICE = &control.ICE{Lite: true}
	s := newSide(t, p)
	has(t, s.answer(offer), "m=video 40000 UDP/TLS/RTP/SAVPF 102 104 96 103 105 97")
	a := s.answer(edit(t, edit(t, offer, "m=audio 30042", "m=audio 0"), "BUNDLE 0 1", "BUNDLE 1"))
	has(t, a, "m=video 40000 UDP/TLS/RTP/SAVPF 102 104 96 103 105 97")
	if s.reopen > 0 || len(s.leg.Transports) != 1 || s.leg.Video.Transport != 0 {
		t.Errorf("transports are %+v, video uses %d", s.leg.Transports, s.leg.Video.Transport)
	}
	// Two pictures that share payload types and have no MID in their packets are told apart by their transports.
	two := edit(t, offer, "(?s)(m=video .*)$", "${1}a=content:main\r\n${1}a=content:slides\r\n")
	two = edit(t, edit(t, two, "BUNDLE 0 1", "BUNDLE 0 1 2"), "(?s)a=mid:1(.*)a=mid:1", "a=mid:1${1}a=mid:2")
	q := newSide(t, p)
	q.answer(two)
	if q.leg.Presentation == nil || q.leg.Presentation.Transport != 0 || q.leg.Presentation.MID != "2" || q.leg.Presentation.MIDExtension != 4 {
		t.Errorf("presentation is %+v", q.leg.Presentation)
	}
	q = newSide(t, p)
	a = q.answer(edit(t, two, "a=extmap:4 [^\r]*\r\n", ""))
	if q.leg.Presentation == nil || q.leg.Presentation.Transport != 1 {
		t.Errorf("presentation is %+v", q.leg.Presentation)
	}
	has(t, a, "a=group:BUNDLE 0 1")
}

// TestFormatsThatAnAnswerLeavesOut: baresip names one payload type for each of its codecs, and sends with the first that we offered.
func TestFormatsThatAnAnswerLeavesOut(t *testing.T) {
	s := newSide(t, video)
	s.offer()
	s.take("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n" +
		"m=video 5002 RTP/AVP 98\r\na=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=0;profile-level-id=42e01f\r\n")
	if got := s.leg.Video.Send.PayloadType; got != 98 {
		t.Errorf("we send %d, want 98", got)
	}
	var types []uint8
	for _, f := range s.leg.Video.Receive {
		types = append(types, f.PayloadType)
	}
	if len(types) < 3 || types[0] != 98 || !slices.Contains(types, 97) {
		t.Errorf("we understand %v, want 98 first and all others that were offered", types)
	}
	if len(s.leg.Audio.Receive) < 4 || s.leg.Audio.Receive[0].PayloadType != 0 {
		t.Errorf("we understand %+v, want PCMU first and all others that were offered", s.leg.Audio.Receive)
	}
}

// TestMoreIsOfferedToThoseWhoCanHaveIt is about policies that have pictures later than the first description.
func TestMoreIsOfferedToThoseWhoCanHaveIt(t *testing.T) {
	sound := Policy{}
	more := func(s *side) string {
		t.Helper()
		s.SetPolicy(video)
		s.PrepareMore()
		return s.written()
	}

	telephone := newSide(t, sound)
	telephone.answer(text(phone))
	if telephone.Concerns(video) {
		t.Error("pictures concern a telephone")
	}
	if !telephone.Concerns(Policy{Audio: []string{control.PCMU}}) {
		t.Error("its codecs do not concern a telephone")
	}
	if o := more(telephone); strings.Count(o, "m=") != 1 {
		t.Errorf("a telephone is offered more than sound:\n%s", o)
	}
	telephone.Rollback()

	offer := stored(t, "offers/cisco-ce-none")
	endpoint := newSide(t, sound)
	endpoint.answer(offer)
	if !endpoint.Concerns(video) {
		t.Error("pictures do not concern an endpoint that has a camera")
	}
	if o := more(endpoint); strings.Count(o, "\nm=") != strings.Count(string(offer), "\nm=") || strings.Contains(o, "m=video 0") || strings.Contains(o, "m=application 0 UDP/BFCP") || strings.Contains(o, "m=application 0 RTP") {
		t.Errorf("what it offered is not offered to it:\n%s", o)
	}

	// A call of ours: what was refused is not offered again, what was never offered is.
	called := newSide(t, Policy{Video: true})
	if o := called.offer(); strings.Count(o, "m=") != 2 {
		t.Fatalf("an offer of sound and pictures:\n%s", o)
	}
	called.take(string(edit(t, text(phone), "(?s)$", "m=video 0 RTP/AVP 97\r\n")))
	if called.Concerns(video) {
		t.Error("a presentation concerns a telephone that was called")
	}
	called = newSide(t, sound)
	called.offer()
	called.take(string(text(phone)))
	if o := more(called); strings.Count(o, "m=video") != 2 {
		t.Errorf("who was never asked is not offered pictures:\n%s", o)
	}
}
