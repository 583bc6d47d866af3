package camera

import (
	"crypto/rand"
	"net"
	"net/netip"
	"testing"
	"time"

	"rotunda/services/media/control"
)

type heard struct {
	asked   chan Request
	capable chan Capabilities
}

func (h heard) Asked(r Request)        { h.asked <- r }
func (h heard) Capable(c Capabilities) { h.capable <- c }

func (h heard) request(t *testing.T) Request {
	t.Helper()
	select {
	case r := <-h.asked:
		return r
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was asked for in 10 s")
		return Request{}
	}
}

func endpoint(t *testing.T) (*Endpoint, heard) {
	t.Helper()
	h := heard{make(chan Request, 64), make(chan Capabilities, 64)}
	e, err := Open(Config{Local: netip.MustParseAddr("127.0.0.1")}, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		<-e.Done()
	})
	if p := e.Local().Port(); p < 64512 || p%2 != 0 {
		t.Errorf("port %d: want an even one from 64512", p)
	}
	return e, h
}

func material(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestTwoEndpointsMoveEachOthersCameras(t *testing.T) {
	for _, c := range []struct {
		suite string
		size  int
	}{{"", 0}, {control.SuiteAESCM80, 30}, {control.SuiteAESCM32, 30}, {control.SuiteAEAD128, 28}, {control.SuiteAEAD256, 44}} {
		t.Run("suite "+c.suite, func(t *testing.T) {
			a, fromB := endpoint(t)
			b, fromA := endpoint(t)
			first := Agreement{Remote: b.Local(), SendPayloadType: 100, ReceivePayloadType: 107}
			second := Agreement{Remote: a.Local(), SendPayloadType: 107, ReceivePayloadType: 100}
			if c.suite != "" {
				one, two := material(c.size), material(c.size)
				first.Keys = &control.Keys{Suite: c.suite, Local: one, Remote: two}
				second.Keys = &control.Keys{Suite: c.suite, Local: two, Remote: one}
			}
			a.Move("left", "", "", "") // nobody there yet: nothing
			if err := b.Agree(second); err != nil {
				t.Fatal(err)
			}
			if err := a.Agree(first); err != nil {
				t.Fatal(err)
			}
			full := Source{Number: 1, Motion: true, Pan: true, Tilt: true, Zoom: true, Focus: true}
			for _, h := range []heard{fromA, fromB} {
				for {
					got := <-h.capable
					if !got.Camera {
						t.Fatalf("told %+v", got)
					}
					if len(got.Sources) == 1 && got.Sources[0] == full && got.Presets == 15 {
						break
					}
				}
			}
			a.Move("left", "", "", "")
			want := []Request{{Kind: Start, Move: Directions{Pan: -1}, Timeout: stepEnds}, {Kind: Start, Move: Directions{Pan: -1}, Timeout: stepEnds},
				{Kind: Stop, Move: Directions{Pan: -1}}, {Kind: Stop, Move: Directions{Pan: -1}}}
			for i, w := range want {
				if got := fromA.request(t); got != w {
					t.Errorf("message %d: got %+v, want %+v", i, got, w)
				}
			}
			preset := Request{Kind: ActivatePreset, Preset: 3}
			if err := b.Send(preset); err != nil {
				t.Fatal(err)
			}
			if got := fromB.request(t); got != preset {
				t.Errorf("got %+v, want %+v", got, preset)
			}
			if err := a.Agree(first); err != nil { // the same again
				t.Fatal(err)
			}
			// While the call is held nothing is sent; afterwards it goes on, with the same keys.
			held := first
			held.Held = true
			if err := a.Agree(held); err != nil {
				t.Fatal(err)
			}
			a.Send(Request{Kind: StorePreset, Preset: 1})
			if err := a.Agree(first); err != nil {
				t.Fatal(err)
			}
			a.Send(Request{Kind: StorePreset, Preset: 2})
			if got := fromA.request(t); got.Preset != 2 {
				t.Errorf("after the hold: got %+v, want preset 2", got)
			}
		})
	}
}

func TestWrongKeysAreRefusedOrNotHeard(t *testing.T) {
	a, _ := endpoint(t)
	b, fromA := endpoint(t)
	if err := a.Agree(Agreement{Remote: b.Local(), Keys: &control.Keys{Suite: control.SuiteAESCM80, Local: material(30), Remote: material(28)}}); err == nil {
		t.Error("a key of 28 octets was taken for one of 30")
	}
	if err := a.Agree(Agreement{Remote: b.Local(), Keys: &control.Keys{Suite: "NONE"}}); err == nil {
		t.Error("an unknown suite was taken")
	}
	one, two := material(30), material(30)
	if err := b.Agree(Agreement{Remote: a.Local(), SendPayloadType: 100, ReceivePayloadType: 100, Keys: &control.Keys{Suite: control.SuiteAESCM80, Local: one, Remote: two}}); err != nil {
		t.Fatal(err)
	}
	send := func(k *control.Keys, preset byte) {
		s, err := newStream(k)
		if err != nil {
			t.Fatal(err)
		}
		s.send = 100
		p, err := s.seal(build(cameraClient, byte(ActivatePreset), preset<<4), time.Unix(1e9, 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.conn.WriteToUDPAddrPort(p, b.Local()); err != nil {
			t.Fatal(err)
		}
	}
	send(nil, 1)
	send(&control.Keys{Suite: control.SuiteAESCM80, Local: one, Remote: two}, 2)
	send(&control.Keys{Suite: control.SuiteAESCM80, Local: two, Remote: one}, 3)
	if got := fromA.request(t); got.Preset != 3 {
		t.Errorf("heard preset %d, want only that with the right key", got.Preset)
	}
}

func TestOnlyTheFarEndIsHeard(t *testing.T) {
	e, told := endpoint(t)
	far, stranger := socket(t), socket(t)
	if err := e.Agree(Agreement{Remote: netip.MustParseAddrPort("192.0.2.9:4000"), SendPayloadType: 100, ReceivePayloadType: 100}); err != nil {
		t.Fatal(err)
	}
	s, _ := newStream(nil)
	s.send = 100
	packet := func(payload []byte) []byte {
		b, err := s.seal(payload, time.Unix(1e9, 0))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// Noise does not make a far end; the first frame does, behind whatever translator it is.
	stranger.WriteToUDPAddrPort(packet([]byte("noise that is long enough")), e.Local())
	stranger.WriteToUDPAddrPort([]byte{0x80, 200, 0, 1, 0, 0, 0, 0}, e.Local())
	far.WriteToUDPAddrPort(packet(build(cameraClient, byte(ActivatePreset), 0x10)), e.Local())
	if got := told.request(t); got.Preset != 1 {
		t.Errorf("got %+v", got)
	}
	stranger.WriteToUDPAddrPort(packet(build(cameraClient, byte(ActivatePreset), 0x20)), e.Local())
	far.WriteToUDPAddrPort(packet(build(cameraClient, byte(ActivatePreset), 0x30)), e.Local())
	if got := told.request(t); got.Preset != 3 {
		t.Errorf("got %+v, want the far end's", got)
	}
}

func TestWhatMakesNoSenseIsNotSent(t *testing.T) {
	e, _ := endpoint(t)
	for _, r := range []Request{{}, {Kind: 9}, {Kind: Start}, {Kind: StorePreset, Preset: 16}, {Kind: SelectSource, Source: 16}} {
		if err := e.Send(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
	p := e.Local().Port()
	if _, err := Open(Config{Local: e.Local().Addr(), FirstPort: p, LastPort: p}, heard{}); err == nil {
		t.Error("a port was taken twice")
	}
	if _, err := Open(Config{Local: e.Local().Addr(), FirstPort: 64513, LastPort: 64513}, heard{}); err == nil {
		t.Error("an odd port was taken")
	}
}

func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
