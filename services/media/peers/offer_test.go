package peers

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"

	"rotunda/services/media/control"
)

// The header extensions that are negotiated.
const (
	midExtension       = "urn:ietf:params:rtp-hdrext:sdes:mid"
	ridExtension       = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
	levelExtension     = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	transportExtension = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)

// negotiation is an offer of a browser with what is answered to it, as a call controller does it.
type negotiation struct {
	*testing.T
	offer sdp.SessionDescription
	// lite is ICE lite on our side; active that we begin DTLS.
	lite, active bool
	// feedback on bandwidth: "transport-cc" or "goog-remb".
	feedback string
	// receives are the codecs that the browser may send, the first one is what it will; sends is what it gets.
	receives []string
	sends    string
	slots    int
	// via carries the packets, where it is set.
	via *proxy
}

// attribute of a stream, or else of the session.
func (n *negotiation) attribute(m *sdp.MediaDescription, name string) string {
	if v, ok := m.Attribute(name); ok {
		return v
	}
	v, _ := n.offer.Attribute(name)
	return v
}

// values of an attribute that may be there several times.
func values(m *sdp.MediaDescription, name string) (list []string) {
	for _, a := range m.Attributes {
		if a.Key == name {
			list = append(list, a.Value)
		}
	}
	return list
}

// extension is the number of one, 0 for none.
func extension(m *sdp.MediaDescription, uri string) uint8 {
	for _, v := range values(m, "extmap") {
		if number, name, _ := strings.Cut(v, " "); name == uri {
			k, _ := strconv.Atoi(number)
			return uint8(k)
		}
	}
	return 0
}

// parameters of a payload type.
func parameters(m *sdp.MediaDescription, payload string) string {
	for _, v := range values(m, "fmtp") {
		if number, rest, _ := strings.Cut(v, " "); number == payload {
			return rest
		}
	}
	return ""
}

// formats of a codec, with the payload types of their retransmissions; of H.264 those of packetization mode 1.
func (n *negotiation) formats(m *sdp.MediaDescription, codec string) (list []control.Format) {
	n.Helper()
	payloads := map[string]string{}
	for _, v := range values(m, "rtpmap") {
		number, name, _ := strings.Cut(v, " ")
		name, _, _ = strings.Cut(name, "/")
		payloads[number] = name
	}
	for _, number := range m.MediaName.Formats {
		if !strings.EqualFold(payloads[number], codec) {
			continue
		}
		p := parameters(m, number)
		if codec == control.H264 && (!strings.Contains(p, "packetization-mode=1") || !strings.Contains(p, "profile-level-id=42")) ||
			codec == control.VP9 && !strings.Contains(p, "profile-id=0") {
			continue
		}
		k, err := strconv.Atoi(number)
		if err != nil {
			n.Fatal(err)
		}
		f := control.Format{Codec: codec, PayloadType: uint8(k)}
		if codec == control.H264 {
			f.PacketizationMode = 1
		}
		for again, name := range payloads {
			if name == "rtx" && parameters(m, again) == "apt="+number {
				r, _ := strconv.Atoi(again)
				f.RTX = uint8(r)
			}
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		n.Fatalf("%s is not offered:\n%s", codec, strings.Join(values(m, "rtpmap"), "\n"))
	}
	return list
}

// leg turns the offer into the wanted state.
func (n *negotiation) leg(id, conference string) control.Leg {
	n.Helper()
	first := n.offer.MediaDescriptions[0]
	t := control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true, Security: control.DTLS,
		Handover: &control.Handover{Active: n.active, Fingerprints: []string{n.attribute(first, "fingerprint")}},
		ICE:      &control.ICE{Lite: n.lite, Ufrag: n.attribute(first, "ice-ufrag"), Password: n.attribute(first, "ice-pwd"), Candidates: values(first, "candidate")}}
	l := control.Leg{ID: id, Name: id, Conference: conference, Transports: []control.Transport{t}}
	for _, m := range n.offer.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		switch {
		case m.MediaName.Media == "audio":
			formats := n.formats(m, control.Opus)
			l.Audio = &control.Audio{Send: formats[0], Receive: formats, MID: mid, MIDExtension: extension(m, midExtension), LevelExtension: extension(m, levelExtension)}
		case l.Video == nil:
			v := &control.Video{Send: n.formats(m, n.sends)[0], MaxWidth: 640, MaxHeight: 360, NACK: true, PLI: true, FIR: true,
				MID: mid, MIDExtension: extension(m, midExtension), Slots: n.slots, REMB: n.feedback == "goog-remb"}
			for _, codec := range n.receives {
				v.Receive = append(v.Receive, n.formats(m, codec)...)
			}
			if n.feedback == "transport-cc" {
				v.TransportSequence = extension(m, transportExtension)
			}
			for _, rid := range values(m, "rid") {
				name, _, _ := strings.Cut(rid, " ")
				v.RIDs, v.RIDExtension = append(v.RIDs, name), extension(m, ridExtension)
			}
			l.Video = v
			l.View = control.View{Layout: "allEqual", SelfPane: "skip"}
		}
	}
	return l
}

// answer is the description of our side.
func (n *negotiation) answer(l control.Leg, s control.LegState) string {
	n.Helper()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	var mids []string
	for _, m := range n.offer.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		mids = append(mids, mid)
	}
	line("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0")
	line("a=group:BUNDLE %s", strings.Join(mids, " "))
	if n.lite {
		line("a=ice-lite")
	}
	slot := 0
	for _, m := range n.offer.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		formats, ssrc, direction := l.Audio.Receive, s.AudioSSRC, "sendrecv"
		var again uint32
		extensions := []string{midExtension, levelExtension}
		if m.MediaName.Media == "video" {
			// What is sent has to be in the list as well.
			formats = l.Video.Receive
			if !slices.Contains(formats, l.Video.Send) {
				formats = append(slices.Clone(formats), l.Video.Send)
			}
			extensions = []string{midExtension}
			if n.feedback == "transport-cc" {
				extensions = append(extensions, transportExtension)
			}
			if mid != l.Video.MID {
				direction = "sendonly"
			} else if len(l.Video.RIDs) > 0 {
				extensions = append(extensions, ridExtension)
			}
			ssrc = s.VideoSSRC[slot]
			if slot < len(s.VideoRTX) {
				again = s.VideoRTX[slot]
			}
			slot++
		}
		var payloads []string
		for _, f := range formats {
			payloads = append(payloads, fmt.Sprint(f.PayloadType))
			if f.RTX != 0 {
				payloads = append(payloads, fmt.Sprint(f.RTX))
			}
		}
		line("m=%s 9 UDP/TLS/RTP/SAVPF %s\r\nc=IN IP4 127.0.0.1\r\na=mid:%s\r\na=rtcp-mux\r\na=%s", m.MediaName.Media, strings.Join(payloads, " "), mid, direction)
		for _, f := range formats {
			p := fmt.Sprint(f.PayloadType)
			suffix := ""
			if f.Codec == control.Opus {
				suffix = "/2"
			}
			line("a=rtpmap:%s %s/%d%s", p, f.Codec, clock(f), suffix)
			if q := parameters(m, p); q != "" {
				line("a=fmtp:%s %s", p, q)
			}
			if m.MediaName.Media == "video" {
				for _, feedback := range []string{"nack", "nack pli", "ccm fir", n.feedback} {
					line("a=rtcp-fb:%s %s", p, feedback)
				}
			}
			if f.RTX != 0 {
				line("a=rtpmap:%d rtx/90000\r\na=fmtp:%d apt=%s", f.RTX, f.RTX, p)
			}
		}
		for _, uri := range extensions {
			if k := extension(m, uri); k != 0 {
				line("a=extmap:%d %s", k, uri)
			}
		}
		if m.MediaName.Media == "video" && mid == l.Video.MID && len(l.Video.RIDs) > 0 {
			for _, rid := range l.Video.RIDs {
				line("a=rid:%s recv", rid)
			}
			line("a=simulcast:recv %s", strings.Join(l.Video.RIDs, ";"))
		}
		local := s.Transports[0]
		setup := map[bool]string{true: "active", false: "passive"}[n.active]
		line("a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:%s\r\na=setup:%s", local.Ufrag, local.Password, local.Fingerprint, setup)
		for _, c := range local.Candidates {
			line("a=candidate:%s", c)
		}
		line("a=end-of-candidates\r\na=msid:%s %s-%s", s.CNAME, s.ID, mid)
		line("a=ssrc:%d cname:%s", ssrc, s.CNAME)
		if again != 0 {
			line("a=ssrc:%d cname:%s\r\na=ssrc-group:FID %d %d", again, s.CNAME, ssrc, again)
		}
	}
	return b.String()
}

// film is what a browser is told to send.
type film struct {
	Tone   int      `json:"tone"`
	Colour string   `json:"colour"`
	Codec  string   `json:"codec"`
	RIDs   []string `json:"rids,omitempty"`
	More   int      `json:"more,omitempty"`
	Width  int      `json:"width"`
	Height int      `json:"height"`
}

// meet has a page call, and puts its leg.
func (c *controller) meet(t *tab, n *negotiation, id, conference string, sends film) control.LegState {
	c.Helper()
	n.T = c.T
	offer := eval[string](t, "call(%v)", sends)
	if err := n.offer.UnmarshalString(offer); err != nil {
		c.Fatalf("%v:\n%s", err, offer)
	}
	l := n.leg(id, conference)
	s := c.put(l)
	until(c.T, "our candidates are there", func() bool {
		s = c.put(l)
		return n.lite || s.Transports[0].Gathered
	})
	if n.via != nil {
		engine := s.Transports[0].RTP[0]
		n.via.follow.Store(true)
		n.via.near.Store(&engine)
		for i, candidate := range s.Transports[0].Candidates {
			s.Transports[0].Candidates[i] = strings.ReplaceAll(candidate, fmt.Sprintf(" %d ", engine.Port()), fmt.Sprintf(" %d ", addressOf(n.via.inner).Port()))
		}
	}
	answer := n.answer(l, s)
	c.Cleanup(func() {
		if c.Failed() {
			c.Logf("offer:\n%s\nanswer:\n%s", offer, answer)
		}
	})
	eval[any](t, "accept(%v)", answer)
	return s
}
