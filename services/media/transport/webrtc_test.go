package transport

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"rotunda/services/media/control"
)

// browser is pion/webrtc: ICE, DTLS and SRTP as in a browser, and SDP to talk about them.
func newBrowser(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	settings.SetICEMulticastDNSMode(1)
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.GracefulClose() })
	return pc
}

// attribute finds a line of SDP.
func attribute(t *testing.T, sdp, name string) string {
	t.Helper()
	for line := range strings.Lines(sdp) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "a="+name+":"); ok {
			return v
		}
	}
	t.Fatalf("no a=%s in\n%s", name, sdp)
	return ""
}

func TestAPeerConnectionSendsAndReceives(t *testing.T) {
	l := startLoop(t, Config{})
	for _, c := range []struct {
		name         string
		lite, active bool
	}{{"full ice, passive dtls", false, false}, {"full ice, active dtls", false, true}, {"lite, passive dtls", true, false}, {"lite, active dtls", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits a second for its peer's report
			pc := newBrowser(t)
			track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}, "audio", "a")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pc.AddTrack(track); err != nil {
				t.Fatal(err)
			}
			heard := make(chan []byte, 1)
			pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
				if p, _, err := r.ReadRTP(); err == nil {
					heard <- p.Payload
				}
			})
			up := make(chan struct{})
			pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
				if s == webrtc.PeerConnectionStateConnected {
					close(up)
				}
			})
			offer, err := pc.CreateOffer(nil)
			if err != nil {
				t.Fatal(err)
			}
			gathered := webrtc.GatheringCompletePromise(pc)
			if err := pc.SetLocalDescription(offer); err != nil {
				t.Fatal(err)
			}
			await(t, "end of gathering", gathered)
			sdp := pc.LocalDescription().SDP

			h := newEar()
			e := open(t, l, control.Transport{RTCPMux: true, Security: control.DTLS,
				Handover: &control.Handover{Active: c.active, Fingerprints: []string{attribute(t, sdp, "fingerprint")}},
				ICE:      &control.ICE{Lite: c.lite, Ufrag: attribute(t, sdp, "ice-ufrag"), Password: attribute(t, sdp, "ice-pwd"), Candidates: []string{attribute(t, sdp, "candidate")}},
			}, h)
			defer e.Close()
			local := e.Local()
			lines := []string{"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"}
			if c.lite {
				lines = append(lines, "a=ice-lite")
			}
			setup := "passive"
			if c.active {
				setup = "active"
			}
			lines = append(lines, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 127.0.0.1", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:0 PCMU/8000",
				"a=setup:"+setup, "a=fingerprint:"+local.Fingerprint, "a=ice-ufrag:"+local.Ufrag, "a=ice-pwd:"+local.Password,
				"a=candidate:"+local.Candidates[0], fmt.Sprintf("a=ssrc:%d cname:x", 0x5eed), "")
			if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: strings.Join(lines, "\r\n")}); err != nil {
				t.Fatal(err)
			}
			if got := awaitState(t, h, "connected"); !strings.HasPrefix(got, "connected A") {
				t.Errorf("state %q, want connected with a suite", got)
			}
			await(t, "connection at the peer", up)

			want := rtpOf(1, 172)
			if _, err := track.Write(want); err != nil {
				t.Fatal(err)
			}
			same(t, "payload here", await(t, "rtp", h.rtp)[rtpHeader:], want[rtpHeader:])
			mine := rtpOf(2, 172)
			mine[1] = 0
			e.SendRTP([][]byte{mine}, Audio)
			same(t, "payload at the peer", await(t, "track", heard), mine[rtpHeader:])
			await(t, "rtcp", h.rtcp)
		})
	}
}
