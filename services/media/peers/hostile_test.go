package peers

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// corpus are real packets, to be damaged.
type corpus struct {
	mu      sync.Mutex
	packets [][]byte
}

func (c *corpus) add(packet []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.packets) < 200 {
		c.packets = append(c.packets, append([]byte(nil), packet...))
	}
}

// attack makes bad packets.
type attack struct {
	dice     *rand.Rand
	real     *corpus
	sequence uint16
}

// packet is one that a far end of ill will might send.
func (a *attack) packet() []byte {
	b := make([]byte, 12+a.dice.IntN(1200))
	for i := range b {
		b[i] = byte(a.dice.Uint32())
	}
	switch a.dice.IntN(8) {
	case 0: // anything
	case 1: // RTP with any payload of any type that was negotiated
		b[0], b[1] = 0x80, []byte{8, 96, 98, 99, 101, 111}[a.dice.IntN(6)]|b[1]&0x80
	case 2: // RTCP of any kind, with a length that is right
		b = b[:len(b)&^3]
		b[0], b[1] = 0x80|b[0]&0x1f, 200+b[1]%8
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4-1))
	case 3: // STUN with its cookie
		b[0], b[1] = b[0]&0x01, b[1]&0x11
		b = append(b, make([]byte, 420)...)[:20+4*a.dice.IntN(100)]
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
		binary.BigEndian.PutUint32(b[4:], 0x2112a442)
	case 4: // DTLS: a handshake
		b[0], b[1], b[2] = 20+b[0]%6, 0xfe, 0xfd
		binary.BigEndian.PutUint16(b[11:], uint16(len(b)-13)&0x3ff)
	default: // real, with some bits changed; the numbers go on, so that it is taken for the next one
		a.real.mu.Lock()
		defer a.real.mu.Unlock()
		if len(a.real.packets) == 0 {
			return b
		}
		b = append([]byte(nil), a.real.packets[a.dice.IntN(len(a.real.packets))]...)
		if a.dice.IntN(8) == 0 {
			return b // a replay
		}
		a.sequence++
		binary.BigEndian.PutUint16(b[2:], a.sequence)
		binary.BigEndian.PutUint32(b[4:], uint32(a.sequence/4)*6000)
		binary.BigEndian.PutUint32(b[8:], uint32(b[1]&0x7f)) // one stream a payload type
		for range 1 + a.dice.IntN(4) {
			at := 12 + a.dice.IntN(len(b)-12)
			b[at] ^= 1 << a.dice.IntN(8)
		}
		if a.dice.IntN(4) == 0 {
			b = b[:12+a.dice.IntN(len(b)-12)]
		}
	}
	return b
}

// opusPackets fills the corpus with real sound.
func opusPackets(t *testing.T, to *corpus) {
	t.Helper()
	e, err := codec.NewAudioEncoder(control.Opus, codec.AudioOptions{FEC: true, PacketMs: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	pcm, payload := make([]int16, 960), make([]byte, 1500)
	h := rtp.Header{SSRC: 111, PayloadType: opus.PayloadType}
	for n := range 50 {
		for i := range pcm {
			pcm[i] = int16(rand.Int32N(1000) + int32(i*n%3000))
		}
		size, err := e.Encode(payload, pcm)
		if err != nil {
			t.Fatal(err)
		}
		to.add(append(h.Append(nil), payload[:size]...))
	}
}

func TestBadPacketsHarmNobody(t *testing.T) {
	p, address := worker(t)
	us := dial(t, address)
	ann := us.call("ann", "room", 400, &red, nil)
	bob := us.call("bob", "room", 0, &blue, nil)
	// Three legs of ill will in the same meeting, so that what they send is decoded, mixed and drawn.
	real := &corpus{}
	opusPackets(t, real)
	add := real.add
	ann.sent.Store(&add)
	bad := func(id string, security control.Security) (*net.UDPConn, netip.AddrPort) {
		from := udp(t)
		transport := plain(addressOf(from))
		switch security {
		case control.SDES:
			transport.Security, transport.Keys = control.SDES, newKeys(control.SuiteAESCM80)
		case control.DTLS:
			transport.Remote = netip.AddrPort{}
			transport.Security, transport.ICE = control.DTLS, &control.ICE{Lite: true, Ufrag: "abcd", Password: "abcdefghijklmnopqrstuvwx"}
			transport.Handover = &control.Handover{Fingerprints: []string{"sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"}}
		}
		s := us.put(control.Leg{ID: id, Conference: "room", Transports: []control.Transport{transport}, View: control.View{Layout: "allEqual"},
			Audio: &control.Audio{Send: opus, Receive: []control.Format{opus, pcma}, DTMF: 101, LevelExtension: 1},
			Video: &control.Video{Send: h264, Receive: []control.Format{h264, vp8, vp9}, NACK: true, PLI: true, TransportSequence: 3, MID: "1", MIDExtension: 4,
				RIDExtension: 5, RIDs: []string{"a", "b"}, MaxWidth: 640, MaxHeight: 360}})
		return from, s.Transports[0].RTP[0]
	}
	until(t, "bob hears and sees ann", func() bool { return bob.hears(400) && bob.eye.count() > 0 })

	type target struct {
		from *net.UDPConn
		to   netip.AddrPort
	}
	var targets []target
	for id, security := range map[string]control.Security{"plain": control.Plain, "sdes": control.SDES, "dtls": control.DTLS} {
		from, to := bad(id, security)
		targets = append(targets, target{from, to})
	}
	storm := func(d time.Duration) {
		var wait sync.WaitGroup
		for i, g := range targets {
			wait.Go(func() {
				a := attack{dice: rand.New(rand.NewPCG(uint64(i), 7)), real: real}
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
					for range 6 {
						_, _ = g.from.WriteToUDPAddrPort(a.packet(), g.to)
					}
				}
			})
		}
		before := bob.gaps.Load()
		throughout(t, d, "bob hears ann through a storm of bad packets", func() bool { return bob.hears(400) })
		wait.Wait()
		if n := bob.gaps.Load() - before; n != 0 {
			t.Errorf("bob missed %d packets of sound, want none", n)
		}
	}
	storm(2 * time.Second) // whatever is allocated once is allocated now
	before := p.resident()
	frames := bob.eye.count()
	storm(4 * time.Second)
	grown := p.resident() - before
	t.Logf("memory went from %d to %d MB", before>>20, (before+grown)>>20)
	if grown > 40<<20 {
		t.Errorf("memory grew by %d MB within 4 s of bad packets, want a few at most", grown>>20)
	}
	if bob.eye.count() <= frames {
		t.Error("bob saw no picture while bad packets came")
	}
	// The storm has to reach what it is meant for: decoders.
	if v := us.stats("plain").Video[0]; v.DecodeErrors == 0 {
		t.Errorf("of %d packets of pictures nothing was too bad to decode, want some", v.Receive.Packets)
	}
	dropped := us.stats("sdes").Transports[0].Dropped
	if dropped["auth"] == 0 {
		t.Errorf("dropped %v, want some that are not authentic", dropped)
	}

	// A flood: each packet is well formed, and there are far too many.
	h := rtp.Header{SSRC: 7, PayloadType: pcma.PayloadType}
	flood, to := bad("flood", control.Plain)
	lost := bob.gaps.Load()
	packet := append(h.Append(nil), make([]byte, 160)...)
	for range 30 {
		for range 1000 {
			h.Sequence++
			binary.BigEndian.PutUint16(packet[2:], h.Sequence)
			_, _ = flood.WriteToUDPAddrPort(packet, to)
		}
		throughout(t, 20*time.Millisecond, "bob hears ann while another leg floods", func() bool { return bob.hears(400) })
	}
	us.event("the flood is told", func(e control.Event) bool { return e.Event == control.EventFlood && e.Leg == "flood" })
	if n := bob.gaps.Load() - lost; n != 0 {
		t.Errorf("bob missed %d packets of sound during a flood, want none", n)
	}
	throughout(t, time.Second, "bob hears ann after all that", func() bool { return bob.hears(400) })
	frames = bob.eye.count()
	until(t, "pictures go on", func() bool { return bob.eye.count() > frames+10 })
}
