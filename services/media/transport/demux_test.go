package transport

import (
	"encoding/binary"
	"testing"
	"time"

	"rotunda/services/media/control"
)

func stunOf(length int) []byte {
	m := make([]byte, length)
	m[1] = 1
	binary.BigEndian.PutUint32(m[4:], stunCookie)
	return m
}

func filled(first, second byte, length int) []byte {
	p := make([]byte, length)
	p[0], p[1] = first, second
	return p
}

func TestTheFirstBytesTellProtocolsApart(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet []byte
		want   kind
	}{
		{"nothing", nil, unknown},
		{"stun", stunOf(20), stunMessage},
		{"stun cut short", stunOf(19), unknown},
		{"classic stun without the cookie", filled(0, 1, 20), unknown},
		{"zrtp", filled(16, 0, 40), unknown},
		{"dtls handshake", filled(22, 254, 13), dtlsRecord},
		{"dtls cut short", filled(22, 254, 12), unknown},
		{"dtls from the last byte", filled(63, 0, 13), dtlsRecord},
		{"turn channel data", filled(64, 0, 40), unknown},
		{"rtp", filled(128, 0, 12), rtpPacket},
		{"rtp with a marker", filled(128, 0xe0, 12), rtpPacket},
		{"rtp cut short", filled(128, 0, 11), unknown},
		{"sender report", filled(128, 200, 28), rtcpPacket},
		{"the shortest rtcp", filled(0x81, 206, 8), rtcpPacket},
		{"rtcp cut short", filled(128, 201, 7), unknown},
		{"rtp with payload type 127 and marker", filled(128, 255, 12), rtpPacket},
		{"version 3", filled(192, 0, 40), unknown},
	} {
		if got := classify(c.packet); got != c.want {
			t.Errorf("%s: kind %d, want %d", c.name, got, c.want)
		}
	}
}

// Any datagram, on any kind of endpoint, is delivered, queued or counted as dropped, and nothing breaks.
func FuzzInput(f *testing.F) {
	f.Add(stunOf(20))
	f.Add(append(stunOf(20), 0, 6, 255, 255, 1, 2, 3))
	f.Add(filled(22, 254, 40))
	f.Add(rtpOf(1, 100))
	f.Add(filled(0xbf, 0xff, 12)) // padding, extension, 15 sources: none of them there
	f.Add(filled(0xbf, 200, 8))
	f.Add(reportOf())
	l, err := NewLoop(Config{FirstPort: 20000, LastPort: 50000, Flood: 1e9})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	keys := &control.Keys{Suite: control.SuiteAESCM80, Local: make([]byte, 30), Remote: make([]byte, 30)}
	gcm := &control.Keys{Suite: control.SuiteAEAD256, Local: make([]byte, 44), Remote: make([]byte, 44)}
	var endpoints []*Endpoint
	for _, t := range []control.Transport{
		{}, {RTCPMux: true, Latch: true},
		{RTCPMux: true, Security: control.SDES, Keys: keys}, {Security: control.SDES, Keys: gcm},
		{RTCPMux: true, Security: control.DTLS, ICE: &control.ICE{Ufrag: "abcd", Password: "0123456789abcdefghijkl"}},
		{RTCPMux: true, ICE: &control.ICE{Lite: true, Ufrag: "abcd", Password: "0123456789abcdefghijkl"}},
	} {
		endpoints = append(endpoints, open(f, l, t, newEar()))
	}
	from := newSockaddr(endpoints[0].Local().RTP[0])
	f.Fuzz(func(t *testing.T, packet []byte) {
		for i, e := range endpoints {
			for c := range e.sockets {
				if len(e.sockets[c]) == 0 {
					continue
				}
				before := e.dropped[dropFlood].Load()
				e.input(e.sockets[c][0], append([]byte(nil), packet...), &from, time.Now())
				e.tally(time.Now())
				if e.dropped[dropFlood].Load() != before {
					t.Fatalf("endpoint %d: the flood limit of the test is too low", i)
				}
			}
		}
	})
}
