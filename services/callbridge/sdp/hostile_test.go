package sdp

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostileOffers: the largest descriptions of every kind cost little time. Each is answered or refused; the bound is a hundred times of what it
// takes on a slow machine.
func TestHostileOffers(t *testing.T) {
	head := "v=0\r\no=- 1 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n"
	lines := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "m=video %d RTP/SAVP 97 98 99\r\n", 1000+i)
		}
		return b.String()
	}
	fill := func(head, unit, tail string) string {
		return head + strings.Repeat(unit, (maxSize-len(head)-len(tail))/len(unit)) + tail
	}
	formats := func() string {
		var b strings.Builder
		for i := range 30000 {
			fmt.Fprintf(&b, " %d", i%128)
		}
		return b.String()[:maxSize-len(head)-40]
	}
	full := "m=audio 1000 RTP/AVP 0\r\n"
	for name, d := range map[string]string{
		"session attributes":    fill(head, "a=x\r\n", lines(32)),
		"session extensions":    fill(head, "a=extmap:99 u\r\n", lines(32)),
		"session fingerprints":  fill(head, "a=fingerprint:x y\r\n", lines(32)),
		"media attributes":      fill(head+full, "a=x\r\n", ""),
		"crypto lines":          fill(head+lines(1), "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n", ""),
		"formats":               head + "m=audio 1000 RTP/AVP" + formats() + "\r\n",
		"format maps":           fill(head+"m=audio 1000 RTP/AVP 0 96\r\n", "a=rtpmap:96 opus/48000/2\r\n", ""),
		"format parameters":     fill(head+"m=video 1000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 ", "a=1;", "\r\n"),
		"distinct parameters":   fill(head+"m=video 1000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n", "a=fmtp:97 x;y;z\r\n", ""),
		"feedback":              fill(head+full+"m=video 1000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n", "a=rtcp-fb:* nack pli\r\n", ""),
		"candidates":            fill(head+full+"a=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n", "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", ""),
		"groups":                fill(head, "a=group:BUNDLE a b c\r\n", full),
		"one line":              fill(head+"a=", "x", "\r\n"+full),
		"empty lines":           fill(head, "\r\n", full),
		"presentations":         head + lines(32),
		"labels of a floor":     fill(head+lines(2)+"m=application 1 UDP/BFCP *\r\na=floorid:1 mstrm:1", " 2", "\r\n"),
		"bandwidths":            fill(head, "b=AS:99999999999999999999\r\n", full),
		"numbers without bound": head + "b=TIAS:4294967295\r\nb=AS:4294967295\r\n" + full + "a=ptime:99999999999\r\na=maxptime:-1\r\na=rtcp:99999\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range policies {
				s := newSide(t, p)
				began := time.Now()
				if s.ReadOffer([]byte(d)) == nil {
					s.put()
					if a, err := s.WriteAnswer(s.media, s.sockets()); err == nil && len(a) > maxSize {
						t.Errorf("an answer of %d bytes", len(a))
					}
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("%v for %d bytes", took, len(d))
				} else {
					t.Log(took)
				}
			}
		})
	}
}
