package peers

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

func TestKeysGoBothWays(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	ann := us.call("ann", "room", 0, nil, nil)
	if err := us.SendKeys(t.Context(), "ann", "12,#"); err != nil {
		t.Fatal(err)
	}
	until(t, "the far end was sent 12#", func() bool { k := ann.keys.Load(); return k != nil && *k == "12#" })
	ann.press("90*")
	for _, want := range []string{"9", "0", "*"} {
		us.event("key "+want, func(e control.Event) bool { return e.Event == control.EventKey && e.Leg == "ann" && e.Key == want })
	}
}

// press sends key tones, all packets of each at once.
func (p *phone) press(keys string) {
	p.Helper()
	h := rtp.Header{SSRC: rtp.NewSSRC(), PayloadType: p.leg.Audio.DTMF}
	for i, key := range []byte(keys) {
		press, err := rtp.NewKeyPress(key, uint32(i)*8000, 8000, 100*time.Millisecond, 20*time.Millisecond)
		if err != nil {
			p.Fatal(err)
		}
		for {
			payload, timestamp, marker, ok := press.Next(nil)
			if !ok {
				break
			}
			h.Timestamp, h.Marker, h.Sequence = timestamp, marker, h.Sequence+1
			if _, err := p.sounds.WriteToUDPAddrPort(append(h.Append(nil), payload...), p.to(0)); err != nil {
				p.Fatal(err)
			}
		}
	}
}

// wav writes a file with a tone.
func wav(t *testing.T, tone float64, seconds int) string {
	t.Helper()
	const rate = 16000
	pcm := make([]int16, rate*seconds)
	for i := range pcm {
		pcm[i] = int16(10000 * math.Sin(2*math.Pi*tone*float64(i)/rate))
	}
	var b bytes.Buffer
	size := uint32(2 * len(pcm))
	b.WriteString("RIFF")
	for _, v := range []any{36 + size, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(rate), uint32(2 * rate), uint16(2), uint16(16), []byte("data"), size, pcm} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "prompt.wav")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPromptIsHeardByOneOrByAll(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	ann, bob := us.call("ann", "room", 400, nil, nil), us.call("bob", "room", 0, nil, nil)
	until(t, "bob hears ann", func() bool { return bob.hears(400) })
	play := func(p control.Play) {
		t.Helper()
		if err := us.Play(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	play(control.Play{ID: "one", Leg: "bob", Files: []string{wav(t, 1500, 10)}})
	until(t, "bob hears the prompt", func() bool { return bob.hears(1500) })
	if l := ann.level(1500); l > quiet {
		t.Errorf("ann hears bob's prompt at %.3f, want less than %.3f", l, quiet)
	}
	if err := us.StopPlay(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	us.event("the prompt was stopped", func(e control.Event) bool { return e.Event == control.EventPlayed && e.ID == "one" })
	until(t, "bob does not hear the prompt", func() bool { return bob.hearsNot(1500) })

	play(control.Play{ID: "all", Conference: "room", Files: []string{wav(t, 2500, 1)}})
	until(t, "both hear the prompt", func() bool { return ann.hears(2500) && bob.hears(2500) })
	us.event("the prompt is through", func(e control.Event) bool { return e.Event == control.EventPlayed && e.ID == "all" })
	until(t, "bob hears ann and nothing else", func() bool { return bob.hears(400) && bob.hearsNot(2500) })
}

func TestALobbyShowsItsTextUntilTheMeetingBegins(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	us.call("bob", "room", 0, &red, nil)
	ann := us.call("ann", "", 0, &green, func(l *control.Leg) {
		l.Near, l.View.Screen, l.View.TitlePosition = "room", "lobby", "middle"
	})
	until(t, "ann sees a still", func() bool { return ann.eye.count() > 0 })
	if n := ann.bright(0, 0, 1, 1); n != 0 {
		t.Errorf("a lobby without a title has %d white points, want none", n)
	}
	ann.change(func(l *control.Leg) { l.View.Title = "The meeting has not begun 会議" })
	until(t, "ann sees a title in the middle", func() bool { return ann.bright(0, 0.3, 1, 0.7) > 200 })
	if n := ann.bright(0, 0, 1, 0.25); n != 0 {
		t.Errorf("above the title there are %d white points, want none", n)
	}
	before := ann.state
	ann.change(func(l *control.Leg) { l.Conference, l.View.Screen, l.View.Title = "room", "", "" })
	if got, want := ann.state.Transports[1].RTP[0], before.Transports[1].RTP[0]; got != want {
		t.Errorf("after joining the leg is at %v, want %v", got, want)
	}
	until(t, "ann sees bob", func() bool { return ann.sees(0.5, 0.5, red) })
}

func TestMessagesAndIconsAreDrawnAndGo(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	ann := us.call("ann", "room", 0, &green, nil)
	bob := us.call("bob", "room", 0, &red, nil)
	until(t, "ann sees bob without anything on him", func() bool { return ann.sees(0.5, 0.5, red) && ann.bright(0, 0, 1, 1) == 0 })
	for _, c := range []struct {
		position    string
		top, bottom float64
	}{{"top", 0, 0.3}, {"middle", 0.35, 0.65}, {"bottom", 0.7, 1}} {
		us.conference(control.Conference{ID: "room", Message: control.Message{Text: "Please mute", Position: c.position}})
		until(t, "the message is at the "+c.position, func() bool {
			in := ann.bright(0, c.top, 1, c.bottom)
			return in > 100 && in == ann.bright(0, 0, 1, 1)
		})
	}
	us.conference(control.Conference{ID: "room"})
	until(t, "the message is gone", func() bool { return ann.bright(0, 0, 1, 1) == 0 && ann.sees(0.5, 0.5, red) })

	bob.change(func(l *control.Leg) { l.Audio.Muted = true })
	until(t, "bob has a mute icon", func() bool { return !ann.uniform(red) })
	bob.change(func(l *control.Leg) { l.Audio.Muted = false })
	until(t, "the mute icon is gone", func() bool { return ann.uniform(red) })

	us.conference(control.Conference{ID: "room", Recording: true})
	until(t, "an icon says that the meeting is recorded", func() bool { return !ann.uniform(red) })
	us.conference(control.Conference{ID: "room"})
	until(t, "the icon is gone", func() bool { return ann.uniform(red) })

	ann.change(func(l *control.Leg) { l.View.Labels = true })
	until(t, "bob has a label", func() bool { return ann.bright(0, 0.5, 1, 1) > 20 })
	ann.change(func(l *control.Leg) { l.View.Labels = false })
	until(t, "the label is gone", func() bool { return ann.bright(0, 0, 1, 1) == 0 })

	us.conference(control.Conference{ID: "room", Participants: 42})
	ann.change(func(l *control.Leg) { l.View.Counter = "always" })
	until(t, "the number of participants is shown", func() bool { return ann.bright(0, 0, 1, 1) > 20 })
}

// uniform tells whether the whole picture has a colour.
func (e *eye) uniform(want colour) bool {
	for y := 0.01; y < 1; y += 0.02 {
		for x := 0.01; x < 1; x += 0.01 {
			if !e.sees(x, y, want) {
				return false
			}
		}
	}
	return true
}

func TestALayoutMayChangeAtAnyTime(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	us.call("bob", "room", 400, &red, nil)
	us.call("cid", "room", 0, &blue, nil)
	us.call("dan", "room", 0, &yellow, nil)
	ann := us.call("ann", "room", 0, &green, func(l *control.Leg) { l.View.Layout = "allEqualQuarters" })
	until(t, "ann sees three in quarters", func() bool {
		seen := 0
		for _, c := range []colour{red, blue, yellow} {
			for _, at := range [][2]float64{{0.25, 0.25}, {0.75, 0.25}, {0.25, 0.75}, {0.75, 0.75}} {
				if ann.sees(at[0], at[1], c) {
					seen++
				}
			}
		}
		return seen == 3
	})
	ann.change(func(l *control.Leg) { l.View.Layout = "onePlusFive" })
	until(t, "bob, who talks, is large", func() bool { return ann.sees(0.3, 0.3, red) && ann.sees(0.1, 0.1, red) && ann.sees(0.55, 0.5, red) })
	if name := us.stats("ann").Layout; name != "onePlusFive" {
		t.Errorf("layout %q, want onePlusFive", name)
	}
	ann.change(func(l *control.Leg) { l.View.Layout, l.View.Pinned = "speakerOnly", "dan" })
	until(t, "ann sees the one that is pinned", func() bool { return ann.uniform(yellow) })
}

func TestAPresentationIsASecondStreamOrDrawnIn(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	two := func(l *control.Leg) {
		l.Presentation = &control.Video{Send: h264, Receive: []control.Format{h264}, MaxWidth: phoneWidth, MaxHeight: phoneHeight, NACK: true, PLI: true}
	}
	ann := us.call("ann", "room", 0, &green, two)
	bob := us.call("bob", "room", 0, &red, two)
	cid := us.call("cid", "room", 0, &blue, func(l *control.Leg) { l.View.PresentationIn = true })
	ann.slide.Store(&yellow)
	us.conference(control.Conference{ID: "room", Presenter: "ann"})
	until(t, "bob sees the presentation on his second stream", func() bool { return bob.second.sees(0.5, 0.5, yellow) })
	if bob.eye.uniform(yellow) {
		t.Error("bob sees the presentation in his main picture as well")
	}
	until(t, "cid, who has one stream, sees the presentation in it", func() bool {
		for y := 0.1; y < 1; y += 0.1 {
			for x := 0.1; x < 1; x += 0.1 {
				if cid.sees(x, y, yellow) {
					return true
				}
			}
		}
		return false
	})
	if n := ann.second.count(); n != 0 {
		t.Errorf("the presenter is sent %d pictures of the presentation, want none", n)
	}
	us.conference(control.Conference{ID: "room"})
	until(t, "cid sees people only", func() bool {
		for y := 0.1; y < 1; y += 0.1 {
			for x := 0.1; x < 1; x += 0.1 {
				if cid.sees(x, y, yellow) {
					return false
				}
			}
		}
		return true
	})
}

// units collects the NAL units of packets, without what packetization does to them: the bytes of fragments and of single units.
type units struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (u *units) add(packet []byte) {
	var h rtp.Header
	payload, err := h.Parse(packet)
	if err != nil || len(payload) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	u.seen[string(payload)] = true
}

// common counts the payloads that both have seen.
func (u *units) common(o *units) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	for p := range u.seen {
		if o.seen[p] {
			n++
		}
	}
	return n
}

func TestTheActiveSpeakerIsForwardedAsHeIs(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	bob := us.call("bob", "room", 400, &red, nil)
	cid := us.call("cid", "room", 0, &blue, nil)
	ann := us.call("ann", "room", 0, &green, func(l *control.Leg) { l.View.Layout = "speakerOnly" })
	var sent, received units
	add, take := sent.add, received.add
	bob.sent.Store(&add)
	ann.received.Store(&take)
	until(t, "ann sees bob, who talks", func() bool { return ann.sees(0.5, 0.5, red) })
	until(t, "bob's picture is forwarded", func() bool { return us.stats("ann").Video[0].Class == "forward" })
	until(t, "ann gets the bytes that bob sent", func() bool { return sent.common(&received) > 20 })

	bob.tone.Store(0)
	cid.tone.Store(700)
	until(t, "ann sees cid, who talks now", func() bool { return ann.sees(0.5, 0.5, blue) })
	us.event("the speaker is cid", func(e control.Event) bool { return e.Event == control.EventSpeaker && e.Leg == "cid" })

	ann.change(func(l *control.Leg) { l.View.Labels = true })
	until(t, "with a label the picture is composed", func() bool {
		return slices.Contains([]string{"shared", "personal"}, us.stats("ann").Video[0].Class) && ann.bright(0, 0.5, 1, 1) > 20
	})
}

func TestAPictureGoesOnAfterAHold(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	ann, bob := us.call("ann", "room", 400, &green, nil), us.call("bob", "room", 0, &red, nil)
	until(t, "bob sees ann", func() bool { return bob.sees(0.5, 0.5, green) })
	ann.change(func(l *control.Leg) { l.Video.Direction, l.Audio.Direction = control.Inactive, control.Inactive })
	until(t, "bob does not see or hear ann", func() bool { return !bob.sees(0.5, 0.5, green) && bob.hearsNot(400) })
	ann.change(func(l *control.Leg) { l.Video.Direction, l.Audio.Direction = control.SendReceive, control.SendReceive })
	until(t, "bob sees and hears ann again", func() bool { return bob.sees(0.5, 0.5, green) && bob.hears(400) })
	before := ann.eye.count()
	until(t, "ann sees bob again", func() bool { return ann.eye.count() > before && ann.sees(0.5, 0.5, red) })
}

func TestAStrayPacketTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	_, address := worker(t)
	us := dial(t, address)
	ann, bob := us.call("ann", "room", 0, &green, nil), us.call("bob", "room", 0, &red, nil)
	until(t, "bob sees ann", func() bool { return bob.sees(0.5, 0.5, green) })
	for range 5 {
		h := rtp.Header{SSRC: rtp.NewSSRC(), Sequence: uint16(rtp.NewSSRC()), PayloadType: h264.PayloadType}
		if _, err := ann.movies.WriteToUDPAddrPort(append(h.Append(nil), 0x67, 0x42), ann.to(1)); err != nil {
			t.Fatal(err)
		}
	}
	ann.colour.Store(&blue)
	until(t, "bob sees ann change her colour", func() bool { return bob.sees(0.5, 0.5, blue) })
}
