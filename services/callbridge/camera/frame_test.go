package camera

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"
)

func octets(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The octets are typed from H.224, figure 2, and H.281, 3.4.
func TestRequestsAreThoseOfH281(t *testing.T) {
	for _, c := range []struct {
		hex string
		r   Request
	}{
		{"01 80 00", Request{Kind: Start, Move: Directions{Pan: -1}, Timeout: 800 * time.Millisecond}},
		{"01 c0 0a", Request{Kind: Start, Move: Directions{Pan: 1}, Timeout: 500 * time.Millisecond}},
		{"01 30 01", Request{Kind: Start, Move: Directions{Tilt: 1}, Timeout: 50 * time.Millisecond}},
		{"02 20", Request{Kind: Continue, Move: Directions{Tilt: -1}}},
		{"03 0c", Request{Kind: Stop, Move: Directions{Zoom: 1}}},
		{"03 0b", Request{Kind: Stop, Move: Directions{Zoom: -1, Focus: 1}}},
		{"03 02", Request{Kind: Stop, Move: Directions{Focus: -1}}},
		{"04 31", Request{Kind: SelectSource, Source: 3, Mode: 1}},
		{"05 10", Request{Kind: SourceSwitched, Source: 1}},
		{"06 f0", Request{Kind: StorePreset, Preset: 15}},
		{"07 20", Request{Kind: ActivatePreset, Preset: 2}},
	} {
		b := octets(t, c.hex)
		if got := c.r.append(nil); !bytes.Equal(got, b) {
			t.Errorf("%+v: wrote %x, want %x", c.r, got, b)
		}
		if got, err := parseRequest(b); err != nil || got != c.r {
			t.Errorf("%s: read %+v, %v, want %+v", c.hex, got, err, c.r)
		}
		if err := c.r.check(); err != nil {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
	for _, text := range []string{"", "01", "01 80", "08 00", "00 00"} {
		if r, err := parseRequest(octets(t, text)); err == nil {
			t.Errorf("%q: read %+v, want an error", text, r)
		}
	}
}

func TestFramesAreThoseOfH224(t *testing.T) {
	if got, want := build(cameraClient, 3, 0x80), octets(t, "0071 03 0000 0000 01 c0 0380"); !bytes.Equal(got, want) {
		t.Errorf("wrote %x, want %x", got, want)
	}
	for _, c := range []struct {
		hex  string
		want frame
	}{
		{"0061 03 0102 0304 81 c0 0380", frame{client: 1, first: true, last: true, data: []byte{3, 0x80}}},
		{"0071 03 0000 0000 7e 05 42 09", frame{client: extendedClient, first: true, segment: 2, data: []byte{9}}},
		{"0071 03 0000 0000 7f b5000001 05 83 09", frame{client: privateClient, last: true, segment: 3, data: []byte{9}}},
	} {
		if got, err := parseFrame(octets(t, c.hex)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: read %+v, %v, want %+v", c.hex, got, err, c.want)
		}
	}
	for _, text := range []string{"", "007103000000", "0071 04 0000 0000 01 c0 00", "7e71 03 0000 0000 01 c0 00", "0071 03 0000 0000 7f b500"} {
		if f, err := parseFrame(octets(t, text)); err == nil {
			t.Errorf("%q: read %+v, want an error", text, f)
		}
	}
}

func TestSegmentsAreJoined(t *testing.T) {
	piece := func(client byte, first, last bool, n byte, data string) frame {
		return frame{client: client, first: first, last: last, segment: n, data: []byte(data)}
	}
	for _, c := range []struct {
		name   string
		frames []frame
		want   string
	}{
		{"three", []frame{piece(1, true, false, 0, "a"), piece(1, false, false, 1, "b"), piece(1, false, true, 2, "c")}, "abc"},
		{"one is lost", []frame{piece(1, true, false, 0, "a"), piece(1, false, true, 2, "c")}, ""},
		{"no beginning", []frame{piece(1, false, true, 0, "a")}, ""},
		{"a beginning anew", []frame{piece(1, true, false, 0, "a"), piece(1, true, false, 0, "b"), piece(1, false, true, 1, "c")}, "bc"},
		{"another client", []frame{piece(1, true, false, 0, "a"), piece(0, false, true, 1, "c")}, ""},
		{"too long", []frame{piece(1, true, false, 0, strings.Repeat("a", 400)), piece(1, false, true, 1, strings.Repeat("a", 400))}, ""},
	} {
		var j joiner
		got := ""
		for _, f := range c.frames {
			if b, ok := j.add(f); ok {
				got = string(b)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWordsAreDirections(t *testing.T) {
	d, err := ParseDirections("left", "up", "out", "in")
	if err != nil || d != (Directions{-1, 1, -1, 1}) {
		t.Errorf("got %+v, %v", d, err)
	}
	if d, err = ParseDirections("right", "down", "in", "out"); err != nil || d != (Directions{1, -1, 1, -1}) {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err = ParseDirections("up", "", "", ""); err == nil || err.Error() != `pan "up": want left or right` {
		t.Errorf("got %v", err)
	}
}

func TestWhatAFarEndCanIsRead(t *testing.T) {
	p := protocol{}
	now := time.Unix(1e9, 0)
	say := func(text string) string {
		t.Helper()
		p.out = nil
		if err := p.input(build(managementClient, octets(t, text)...), now); err != nil {
			return err.Error()
		}
		var s []string
		for _, b := range p.out {
			s = append(s, hex.EncodeToString(b[headSize:]))
		}
		return strings.Join(s, " ")
	}
	if got := say("01 00 03 7e05 7fb500000105 81"); got != "02ff81" {
		t.Errorf("to a client list: %s, want that what the camera can is asked for", got)
	}
	// Source 1 pans and tilts; source 6 is called "cam" and zooms.
	if got := say("02 00 81 0f 14 c0 64 63616d00 20"); got != "" {
		t.Errorf("to capabilities: %s", got)
	}
	want := []Capabilities{{Camera: true}, {Camera: true, Presets: 15, Sources: []Source{{Number: 1, Motion: true, Pan: true, Tilt: true}, {Number: 6, Name: "cam", Motion: true, Zoom: true}}}}
	if !reflect.DeepEqual(p.capable, want) {
		t.Errorf("told %+v, want %+v", p.capable, want)
	}
	p.capable = nil
	say("02 00 81 0f 14 c0 64 63616d00 20") // the same again is no news
	if got := say("01 ff"); got != "01000181" {
		t.Errorf("asked for our clients: %s", got)
	}
	if got := say("02 ff 81"); got != "0200810f14f0" {
		t.Errorf("asked for what we can: %s", got)
	}
	if p.capable != nil {
		t.Errorf("told %+v, want nothing", p.capable)
	}
	if say("01 00 00"); len(p.capable) != 1 || p.capable[0].Camera {
		t.Errorf("no clients: told %+v", p.capable)
	}
	for _, text := range []string{"01 00", "01 00 05 81", "02 00 81", "02 00 81 01 64 6161"} {
		if got := say(text); !strings.Contains(got, " ") {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
}

// A camera that hears only some of what is sent: it moves as H.281 says.
func TestACameraNeverGoesOnMovingWhateverIsLost(t *testing.T) {
	for lost := range 16 {
		p := protocol{}
		now := time.Unix(1e9, 0)
		start := now
		p.step(Directions{Zoom: 1}, now)
		var ends time.Time
		n := 0
		for {
			for _, b := range p.out {
				if lost>>n&1 == 0 {
					switch r, _ := parseRequest(b[headSize:]); r.Kind {
					case Start:
						ends = now.Add(r.Timeout)
					case Stop:
						ends = now
					}
				}
				n++
			}
			p.out = nil
			if now = p.due(); now.IsZero() {
				break
			}
			p.tick(now)
		}
		if n != 4 {
			t.Fatalf("%d messages, want 4", n)
		}
		moved := ends.Sub(start)
		switch {
		case lost&3 == 3: // both starts
			if moved > stepFor+repeat {
				t.Errorf("lost %04b: moved %v", lost, moved)
			}
		case moved < stepFor || moved > stepEnds+repeat:
			t.Errorf("lost %04b: moved %v, want %v to %v", lost, moved, stepFor, stepEnds+repeat)
		}
	}
}

func TestAnotherStepEndsTheOneBefore(t *testing.T) {
	p := protocol{}
	now := time.Unix(1e9, 0)
	kinds := func() string {
		var s []string
		for _, b := range p.out {
			s = append(s, hex.EncodeToString(b[headSize:]))
		}
		p.out = nil
		return strings.Join(s, " ")
	}
	p.step(Directions{Pan: -1}, now)
	if got := kinds(); got != "01800a" {
		t.Errorf("sent %s", got)
	}
	p.step(Directions{Tilt: 1}, now.Add(100*time.Millisecond))
	if got := kinds(); got != "0380 01300a" {
		t.Errorf("another: sent %s, want the first stopped", got)
	}
	p.step(Directions{Tilt: 1}, now.Add(200*time.Millisecond))
	if got := kinds(); got != "01300a" {
		t.Errorf("the same: sent %s", got)
	}
	for range 1000 {
		p.step(Directions{Tilt: 1}, now)
	}
	if len(p.waiting) > maxWaiting {
		t.Errorf("%d messages wait", len(p.waiting))
	}
}

func TestAnnouncementsBecomeRarer(t *testing.T) {
	p := protocol{}
	now := time.Unix(1e9, 0)
	p.begin(now)
	if n := len(p.out); n != 3 {
		t.Errorf("%d messages, want clients, capabilities and a question", n)
	}
	times := 0
	for end := now.Add(10 * time.Minute); p.due().Before(end); times++ {
		now = p.due()
		p.tick(now)
	}
	if times > 30 {
		t.Errorf("announced %d times in ten minutes", times)
	}
	p.quiet()
	if !p.due().IsZero() {
		t.Error("a held endpoint wakes up")
	}
}

func TestAFloodIsNotPassedOn(t *testing.T) {
	p := protocol{}
	now := time.Unix(1e9, 0)
	for range 1000 {
		if err := p.input(build(cameraClient, byte(Stop), 0x80), now); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.asked); n != maxAsked {
		t.Errorf("%d of 1000 requests in a second are passed on, want %d", n, maxAsked)
	}
	if p.input(build(cameraClient, byte(Stop), 0x80), now.Add(time.Second)); len(p.asked) != maxAsked+1 {
		t.Error("a second later nothing is passed on")
	}
}

func FuzzInput(f *testing.F) {
	f.Add(build(cameraClient, 1, 0x80, 0))
	f.Add(build(managementClient, 1, 0, 1, 0x81))
	f.Add(build(managementClient, 2, 0, 0x81, 15, 0x64, 'a', 0, 0xf0))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := protocol{}
		now := time.Unix(1e9, 0)
		for range 3 {
			p.input(b, now)
		}
		for _, r := range p.asked {
			again, err := parseRequest(r.append(nil))
			if err != nil || again != r {
				t.Fatalf("read %+v, after writing it %+v, %v", r, again, err)
			}
		}
		for _, c := range p.capable {
			if len(c.Sources) > maxSources {
				t.Fatalf("%d sources", len(c.Sources))
			}
		}
		for _, out := range p.out {
			if _, err := parseFrame(out); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	s, _ := newStream(nil)
	b, _ := s.seal(build(cameraClient, 3, 0x80), time.Unix(1e9, 0))
	f.Add(b)
	f.Add(append([]byte{0xb0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 1, 0, 0, 0, 0}, build(0, 1, 255)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _ := newStream(nil)
		if payload := s.open(b); len(payload) > len(b) {
			t.Fatalf("%d octets from %d", len(payload), len(b))
		}
	})
}
