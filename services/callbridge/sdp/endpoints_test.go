package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rotunda/services/media/control"
)

// stored reads a description of testdata.
func stored(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".sdp"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEveryOfferWithEveryPolicy checks what must hold whatever is offered and wanted.
func TestEveryOfferWithEveryPolicy(t *testing.T) {
	names, err := filepath.Glob("testdata/offers/*.sdp")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d offers: %v", len(names), err)
	}
	for _, name := range names {
		offer, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range policies {
			s := newSide(t, p)
			if err := s.ReadOffer(offer); err != nil {
				if !errors.As(err, new(*Refused)) {
					t.Errorf("%s by policy %d: %v", name, i, err)
				}
				t.Logf("%s by policy %d: %v", name, i, err)
				continue
			}
			s.put()
			answer, err := s.WriteAnswer(s.media, s.sockets())
			if err != nil {
				t.Errorf("%s by policy %d: %v", name, i, err)
				continue
			}
			answersFit(t, offer, answer)
			// The same offer again gets the same answer, and nothing of the leg changes.
			if again := s.answer(offer); again != string(answer) || s.reopen > 0 {
				t.Errorf("%s by policy %d: answered again by\n%s\nwas\n%s", name, i, again, answer)
			}
			if os.Getenv("SHOW") != "" && i == 1 {
				t.Logf("%s\n%s", name, answer)
			}
		}
	}
}

// TestEndpoints answers what rooms, clients and gateways offer, and looks at what comes of it.
func TestEndpoints(t *testing.T) {
	withICE := video
	withICE.ICE = &control.ICE{Lite: true}
	rich := video
	rich.SendBandwidth, rich.ReceiveBandwidth = 4_000_000, 6_000_000
	capped := rich
	capped.Main, capped.Screen = MainQuality("max480p30"), PresentationQuality("max720p5")
	for _, c := range []struct {
		name     string
		policy   Policy
		security control.Security
		suite    string
		audio    control.Format
		dtmf     string // payload type and clock
		video    control.Format
		size     string // width × height × rate, and bits a second to send
		screen   string // the same
		floor    string
		camera   bool
		lines    []string
		not      []string
	}{
		{name: "cisco-ce-none", policy: video, security: control.Plain,
			audio: control.Format{PayloadType: 9, Codec: "G722"}, dtmf: "101/8000",
			video: control.Format{PayloadType: 126, Codec: "H264", PacketizationMode: 1, ProfileLevel: "428016", MaxFrameSize: 9000, MaxMacroblockRate: 245000},
			size:  "1280×720×30 2436000", screen: "1280×720×30 1218000", floor: "udp server 203.0.113.40:5070 1 1 1 3", camera: true,
			lines: []string{"a=fmtp:126 profile-level-id=428016;packetization-mode=1;max-fs=3600;max-mbps=108000", "m=application 0 UDP/UDT/IX *",
				"a=rtcp-fb:* ccm tmmbr", "a=content:slides", "a=label:3", "a=floorid:1 mstrm:3", "a=rtpmap:107 H224/4800"},
			not: []string{"crypto", "imageattr", "MP4A"}},
		{name: "cisco-ce-best-effort", policy: rich, security: control.SDES, suite: control.SuiteAEAD256,
			audio: control.Format{PayloadType: 9, Codec: "G722"}, dtmf: "101/8000",
			video: control.Format{PayloadType: 126, Codec: "H264", PacketizationMode: 1, ProfileLevel: "428016", MaxFrameSize: 9000, MaxMacroblockRate: 245000},
			size:  "1920×1080×30 3936000", screen: "1920×1080×30 1968000", floor: "udp server 203.0.113.40:5070 1 1 1 3", camera: true,
			lines: []string{"m=audio 40000 RTP/AVP 9 8 0 101", "b=AS:6000", "b=TIAS:6000000", "b=TIAS:5936000"}},
		{name: "cisco-ce-required", policy: capped, security: control.SDES, suite: control.SuiteAEAD256,
			audio: control.Format{PayloadType: 9, Codec: "G722"}, dtmf: "101/8000",
			video: control.Format{PayloadType: 126, Codec: "H264", PacketizationMode: 1, ProfileLevel: "428016", MaxFrameSize: 9000, MaxMacroblockRate: 245000},
			size:  "848×480×30 3936000", screen: "1280×720×5 1968000", floor: "udp server 203.0.113.40:5070 1 1 1 3", camera: true,
			lines: []string{"m=audio 40000 RTP/SAVP 9 8 0 101", "a=fmtp:126 profile-level-id=428016;packetization-mode=1;max-fs=1650;max-mbps=49500;max-br=5936",
				"a=fmtp:126 profile-level-id=428014;packetization-mode=1;max-fs=3600;max-mbps=18000;max-br=5936"}},
		{name: "webex-device", policy: rich, security: control.SDES, suite: control.SuiteAEAD256,
			audio: control.Format{PayloadType: 108, Codec: "opus", Bitrate: 64000}, dtmf: "101/8000",
			video: control.Format{PayloadType: 126, Codec: "H264", PacketizationMode: 1, ProfileLevel: "428028", MaxFrameSize: 32400, MaxMacroblockRate: 972000},
			size:  "1920×1080×30 3936000", screen: "1920×1080×30 1968000", floor: "udp server 203.0.113.41:5070 1 1 1 3", camera: true,
			lines: []string{"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", "a=rtcp-mux",
				"a=fmtp:126 profile-level-id=428028;packetization-mode=1;level-asymmetry-allowed=1", "m=application 0 UDP/DTLS/UDT/IX *"}},
		{name: "cisco-jabber-cucm", policy: video, security: control.Plain,
			audio: control.Format{PayloadType: 114, Codec: "opus", Bitrate: 64000}, dtmf: "101/8000",
			video: control.Format{PayloadType: 100, Codec: "H264", PacketizationMode: 1, ProfileLevel: "640c16", MaxFrameSize: 3600, MaxMacroblockRate: 108000},
			size:  "1280×720×30 2436000",
			lines: []string{"a=fmtp:100 profile-level-id=640c1f;packetization-mode=1;level-asymmetry-allowed=1", "m=application 0 UDP/BFCP *", "m=video 0 RTP/AVP 31 34 96 97", "m=application 0 RTP/AVP 96"}},
		{name: "polycom-group", policy: video, security: control.SDES, suite: control.SuiteAESCM80,
			audio: control.Format{PayloadType: 9, Codec: "G722"}, dtmf: "119/8000",
			video: control.Format{PayloadType: 109, Codec: "H264", PacketizationMode: 1, ProfileLevel: "640028", MaxFrameSize: 8192, MaxMacroblockRate: 245760},
			size:  "1280×720×30 1984000", screen: "1280×720×30 992000", floor: "tcp server active 203.0.113.60:49164 1 1 1 3", camera: true,
			lines: []string{"m=application 9 TCP/BFCP *", "a=setup:active", "a=connection:new", "a=floorctrl:s-only",
				"a=fmtp:109 profile-level-id=64001f;packetization-mode=1"}},
		{name: "lifesize-two-lines", policy: video, security: control.SDES, suite: control.SuiteAESCM80,
			audio: control.Format{PayloadType: 9, Codec: "G722"}, dtmf: "96/8000",
			video: control.Format{PayloadType: 108, Codec: "H264", PacketizationMode: 1, ProfileLevel: "42001f", MaxFrameSize: 3840, MaxMacroblockRate: 216000},
			size:  "1280×720×30 2436000",
			lines: []string{"m=audio 40000 RTP/SAVP 9 8 0 96", "m=audio 0 RTP/AVP 9 0 8 96", "m=video 40002 RTP/SAVP 108", "m=video 0 RTP/AVP 108"}},
		{name: "lifesize-two-lines", policy: Policy{Video: true, Presentation: true, Encryption: Prohibited}, security: control.Plain,
			audio: control.Format{PayloadType: 9, Codec: "G722"}, dtmf: "96/8000",
			video: control.Format{PayloadType: 108, Codec: "H264", PacketizationMode: 1, ProfileLevel: "42001f", MaxFrameSize: 3840, MaxMacroblockRate: 216000},
			size:  "1280×720×30 2436000",
			lines: []string{"m=audio 0 RTP/SAVP 9 0 8 96", "m=audio 40000 RTP/AVP 9 8 0 96", "m=video 0 RTP/SAVP 108", "m=video 40002 RTP/AVP 108"}},
		{name: "lync-optional", policy: video, security: control.SDES, suite: control.SuiteAESCM80,
			audio: control.Format{PayloadType: 9, Codec: "G722"}, dtmf: "101/8000",
			lines: []string{"m=audio 40000 RTP/AVP 9 8 0 101", "a=rtcp-mux"}, not: []string{"a=ice", "x-ssrc", "crypto:2", "RED"}},
		{name: "sipp", policy: video, security: control.Plain, audio: control.Format{PayloadType: 0, Codec: "PCMU"},
			lines: []string{"m=audio 40000 RTP/AVP 0", "a=sendrecv"}, not: []string{"telephone-event"}},
		{name: "freeswitch", policy: video, security: control.SDES, suite: control.SuiteAEAD256,
			audio: control.Format{PayloadType: 102, Codec: "opus", FEC: true, Bitrate: 30000}, dtmf: "103/48000",
			video: control.Format{PayloadType: 104, Codec: "H264", ProfileLevel: "42e01f", MaxFrameSize: 3600, MaxMacroblockRate: 108000},
			size:  "1280×720×30 1024000",
			lines: []string{"c=IN IP6 2001:db8::10", "m=video 40002 RTP/SAVP 104 105", "a=rtcp-fb:104 ccm fir", "a=fmtp:105 max-fs=3600;max-fr=30", "a=rtpmap:103 telephone-event/48000"},
			not:   []string{"telephone-event/8000"}},
		{name: "chrome-by-rtpengine", policy: withICE, security: control.DTLS,
			audio: control.Format{PayloadType: 111, Codec: "opus", FEC: true}, dtmf: "110/48000",
			video: control.Format{PayloadType: 102, Codec: "H264", PacketizationMode: 1, ProfileLevel: "42001f", MaxFrameSize: 3600, MaxMacroblockRate: 108000, RTX: 103},
			size:  "1280×720×30 2436000",
			lines: []string{"a=group:BUNDLE 0 1", "a=ice-lite", "a=mid:0", "a=mid:1", "a=setup:active", "a=ice-ufrag:abcd", "a=fmtp:103 apt=102", "a=rtcp-fb:102 transport-cc",
				"a=candidate:1 1 udp 2130706431 192.0.2.10 40000 typ host"}},
		{name: "fax-and-phone", policy: video, security: control.Plain, audio: control.Format{PayloadType: 8, Codec: "PCMA"}, dtmf: "96/8000",
			lines: []string{"m=image 0 udptl t38", "m=audio 40000 RTP/AVP 8 96", "m=text 0 RTP/AVP 98", "m=message 0 TCP/MSRP *"}},
		{name: "baresip-vp8", policy: video, security: control.Plain, audio: control.Format{PayloadType: 96, Codec: "opus"}, dtmf: "101/8000",
			video: control.Format{PayloadType: 96, Codec: "VP8", MaxFrameSize: 3600}, size: "1280×720×30 2436000",
			lines: []string{"a=fmtp:96 max-fs=3600;max-fr=30", "a=rtcp-fb:* nack pli"}},
		{name: "baresip-video", policy: video, security: control.Plain, audio: control.Format{PayloadType: 96, Codec: "opus"}, dtmf: "101/8000",
			video: control.Format{PayloadType: 97, Codec: "H264", PacketizationMode: 1, ProfileLevel: "42e01f", MaxFrameSize: 3600, MaxMacroblockRate: 108000},
			size:  "1280×720×15 2436000", lines: []string{"m=video 40002 RTP/AVP 97 96"}},
		{name: "baresip-ice-dtls", policy: withICE, security: control.DTLS, audio: control.Format{PayloadType: 96, Codec: "opus"}, dtmf: "101/8000",
			video: control.Format{PayloadType: 96, Codec: "VP8", MaxFrameSize: 3600}, size: "1280×720×30 2436000",
			lines: []string{"a=ice-lite", "a=setup:active", "a=end-of-candidates"}, not: []string{"BUNDLE"}},
		{name: "baresip-ice", policy: withICE, security: control.Plain, audio: control.Format{PayloadType: 96, Codec: "opus"}, dtmf: "101/8000",
			not: []string{"a=ice", "candidate"}}, // the media engine has ICE with rtcp-mux alone
	} {
		t.Run(c.name+" "+string(c.policy.Encryption), func(t *testing.T) {
			s := newSide(t, c.policy)
			a := s.answer(stored(t, "offers/"+c.name))
			has(t, a, c.lines...)
			hasNot(t, a, c.not...)
			for i, tr := range s.leg.Transports {
				if tr.Security != c.security || !tr.Remote.IsValid() || c.security == control.SDES && (tr.Keys.Suite != c.suite || len(tr.Keys.Remote) == 0) {
					t.Errorf("transports[%d] is %+v", i, tr)
				}
			}
			if g := s.leg.Audio.Send; g != c.audio {
				t.Errorf("sound is sent as %+v, want %+v", g, c.audio)
			}
			if g := fmt.Sprintf("%d/%d", s.leg.Audio.DTMF, s.leg.Audio.DTMFClock); g != or(c.dtmf, "0/0") {
				t.Errorf("keys are %s, want %s", g, c.dtmf)
			}
			if g := picture(s.leg.Video); g != c.size {
				t.Errorf("main video is %s, want %s", g, c.size)
			}
			if s.leg.Video != nil && s.leg.Video.Send != c.video {
				t.Errorf("main video is sent as %+v, want %+v", s.leg.Video.Send, c.video)
			}
			if g := picture(s.leg.Presentation); g != c.screen {
				t.Errorf("presentation is %s, want %s", g, c.screen)
			}
			g := s.Agreed()
			if floorText(g.Floor) != c.floor || (g.Camera != nil) != c.camera {
				t.Errorf("floor is %s, want %s; camera %v, want %v", floorText(g.Floor), c.floor, g.Camera != nil, c.camera)
			}
			if g.Camera != nil && (g.Camera.Keys != nil) != (c.security == control.SDES) {
				t.Errorf("the camera's keys are %v", g.Camera.Keys != nil)
			}
		})
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func picture(v *control.Video) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%d×%d×%d %d", v.MaxWidth, v.MaxHeight, v.MaxRate, v.SendBitrate)
}

func floorText(f *Floor) string {
	if f == nil {
		return ""
	}
	s := f.Transport + " client"
	if f.Server {
		s = f.Transport + " server"
	}
	if f.Active {
		s += " active"
	}
	return fmt.Sprintf("%s %v %d %d %d %s", s, f.Remote, f.ConferenceID, f.UserID, f.FloorID, f.Label)
}

// TestStoredAnswers reads what baresip once answered to our offers.
func TestStoredAnswers(t *testing.T) {
	for _, c := range []struct {
		name     string
		policy   Policy
		security control.Security
		sound    control.Format
		video    bool
		packet   control.Milliseconds
		mux      bool
	}{
		{"audio", Policy{Video: true, Presentation: true, Camera: true, Floor: ServerOnly, Encryption: Prohibited}, control.Plain, control.Format{PayloadType: 96, Codec: "opus"}, false, 20, false},
		{"pcma", video, control.Plain, control.Format{PayloadType: 8, Codec: "PCMA"}, false, 20, false},
		{"g722-mux", video, control.Plain, control.Format{PayloadType: 9, Codec: "G722"}, false, 20, true},
		{"video", video, control.Plain, control.Format{PayloadType: 96, Codec: "opus"}, true, 20, false},
		{"srtp", video, control.SDES, control.Format{PayloadType: 96, Codec: "opus"}, false, 20, false},
		{"srtp-mand", Policy{Video: true, Presentation: true, Camera: true, Floor: ServerOnly, Encryption: Required}, control.SDES, control.Format{PayloadType: 96, Codec: "opus"}, true, 20, false},
		{"dtls_srtp-mux", Policy{Video: true, Presentation: true, Camera: true, Floor: ServerOnly, Encryption: Required, OfferDTLS: true}, control.DTLS, control.Format{PayloadType: 96, Codec: "opus"}, true, 20, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSide(t, c.policy)
			s.offer()
			s.take(string(stored(t, "answers/baresip-"+c.name)))
			a, tr := s.leg.Audio, s.leg.Transports[0]
			if a.Send != c.sound || a.PacketTime != c.packet || a.DTMF == 0 {
				t.Errorf("sound is %+v", a)
			}
			if tr.Security != c.security || tr.RTCPMux != c.mux || tr.Remote.Addr() != netip.MustParseAddr("127.0.0.1") || tr.Security == control.SDES && len(tr.Keys.Remote) == 0 {
				t.Errorf("transport is %+v", tr)
			}
			if tr.Security == control.DTLS && (tr.Handover == nil || tr.Handover.Active || len(tr.Handover.Fingerprints) != 1) {
				t.Errorf("handshake is %+v", tr.Handover)
			}
			if (s.leg.Video != nil) != c.video || s.leg.Presentation != nil {
				t.Errorf("video %v, presentation %v", s.leg.Video, s.leg.Presentation)
			}
			if c.video && (s.leg.Video.Send.PacketizationMode != 1 || s.leg.Video.MaxRate != 15 || !s.leg.Video.PLI || s.leg.Video.FIR) {
				t.Errorf("video is %+v", s.leg.Video)
			}
			if g := s.Agreed(); g.Floor != nil || g.Camera != nil || g.Encrypted != (c.security != control.Plain) || g.Unencrypted == g.Encrypted {
				t.Errorf("agreed: %+v", g)
			}
		})
	}
}

// TestAnswersThatDoNotFit: what no answer may say is an error, and the offer still stands.
func TestAnswersThatDoNotFit(t *testing.T) {
	answer := stored(t, "answers/baresip-srtp-mand")
	for _, c := range []struct {
		name   string
		answer []byte
		text   string
	}{
		{"a tag that was not offered", edit(t, answer, "a=crypto:1 ", "a=crypto:9 "), "a=crypto"},
		{"another suite than that of the tag", edit(t, answer, "a=crypto:1 ", "a=crypto:2 "), ""},
		{"plain", edit(t, edit(t, answer, "RTP/SAVP", "RTP/AVP"), "a=crypto[^\r]*\r\n", ""), "was offered as RTP/SAVP"},
		{"no keys", edit(t, answer, "a=crypto[^\r]*\r\n", ""), "a=crypto"},
		{"everything rejected", edit(t, answer, "m=([a-z]+) [0-9]+", "m=$1 0"), "rejects"},
		{"another medium", edit(t, answer, "m=audio", "m=video"), "offer"},
		{"more lines", append(answer[:len(answer):len(answer)], "m=audio 0 RTP/AVP 0\r\n"...), "6 m-lines"},
		{"codecs of somebody else", edit(t, edit(t, answer, "m=(audio [0-9]+ [^ ]*) [0-9 ]*", "m=$1 18"), "m=(video [1-9][0-9]* [^ ]*) [0-9 ]*", "m=$1 34"), "no codec"},
		{"nothing", nil, "empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSide(t, Policy{Video: true, Presentation: true, Camera: true, Floor: ServerOnly, Encryption: Required})
			s.offer()
			err := s.ReadAnswer(c.answer)
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("read answer: %v, want an error with %q", err, c.text)
			}
			s.take(string(answer))
			if s.leg.Audio == nil || s.leg.Transports[0].Keys == nil {
				t.Errorf("after the right answer the leg is %+v", s.leg)
			}
			if err := s.ReadAnswer(answer); err == nil {
				t.Error("a second answer was taken")
			}
		})
	}
}
