package cdr

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"rotunda/services/callbridge/meeting"
)

var attribute = regexp.MustCompile(`^\n<\w+ id="([^"]+)">`)

// TestEveryEndHasItsStart plays random meetings and looks whether records come in pairs, and whether what they say is possible.
func TestEveryEndHasItsStart(t *testing.T) {
	for seed := range uint64(20) {
		c := newCollector(t, nil)
		s := newScene(t)
		s.start(c.URL)
		random := rand.New(rand.NewPCG(seed, 1))
		play(s, random, 400)
		s.end()
		open := map[string]string{}
		var seen []int
		for _, r := range c.took() {
			m := attribute.FindStringSubmatch(r.Inner)
			if m == nil {
				t.Fatalf("seed %d: want an element with an ID, got %s %q", seed, r.Type, r.Inner)
			}
			seen = append(seen, r.Correlator)
			id, kind := m[1], regexp.MustCompile(`(Start|End|Update)$`).FindString(r.Type)
			what := r.Type[:len(r.Type)-len(kind)]
			switch kind {
			case "Start":
				if open[id] != "" {
					t.Fatalf("seed %d: %s %s began twice", seed, what, id)
				}
				open[id] = what
			case "Update", "End":
				if open[id] != what {
					t.Fatalf("seed %d: %s of %s without a start", seed, r.Type, id)
				}
				if kind == "End" {
					delete(open, id)
				}
			}
			for _, share := range regexp.MustCompile(`(?:Viewer|Contributor)>([\d.]+)<|durationPercentage="([\d.]+)"`).FindAllStringSubmatch(r.Inner, -1) {
				if f, err := strconv.ParseFloat(share[1]+share[2], 64); err != nil || f < 0 || f > 100 {
					t.Errorf("seed %d: want a percentage, got %s", seed, share[0])
				}
			}
		}
		if len(open) != 0 {
			t.Errorf("seed %d: all is over, and there is no end of %v", seed, open)
		}
		for i, n := range seen {
			if i != n {
				t.Fatalf("seed %d: want correlatorIndex %d, got %d", seed, i, n)
			}
		}
		if n := len(s.r.calls) + len(s.r.legs) + len(s.r.sinks); n != 0 {
			t.Errorf("seed %d: want nothing remembered in the end, got %d", seed, n)
		}
	}
}

// play lets calls and legs begin, change, move and end, in the order in which package meeting tells of it, until all is over.
func play(s *scene, random *rand.Rand, steps int) {
	var calls []meeting.CallInfo
	var legs []meeting.LegInfo
	sinks := map[meeting.ID]meeting.Kind{}
	n := 0
	over := func(i int) {
		l := legs[i]
		legs = slices.Delete(legs, i, i+1)
		l.State, l.End = meeting.Gone, reasons[random.IntN(len(reasons))]
		s.leg(meeting.LegOver, l)
	}
	finish := func(i int) {
		c := calls[i]
		for at := len(legs) - 1; at >= 0; at-- {
			if legs[at].Call == c.ID {
				over(at)
			}
		}
		calls = slices.Delete(calls, i, i+1)
		s.call(meeting.CallOver, c)
	}
	for range steps {
		s.clock.pass(time.Duration(random.IntN(5000)) * time.Millisecond)
		n++
		switch what := random.IntN(12); {
		case what == 0 || len(calls) == 0:
			c := meeting.CallInfo{ID: call(n), Type: meeting.SpaceCall, Name: fmt.Sprint(n), Started: s.clock.now()}
			calls = append(calls, c)
			s.call(meeting.CallBegan, c)
		case what == 1 && len(calls) > 3:
			finish(random.IntN(len(calls)))
		case what <= 3:
			l := meeting.LegInfo{ID: leg(n), Kind: "sip", State: meeting.Initial, Menu: random.IntN(2) == 0}
			if !l.Menu && random.IntN(4) > 0 {
				l.Call = calls[random.IntN(len(calls))].ID
			}
			legs = append(legs, l)
			s.leg(meeting.LegBegan, l)
		case what == 4:
			// What began before anybody listened.
			s.leg(meeting.LegChanged, meeting.LegInfo{ID: leg(100_000 + n), State: meeting.Connected})
			s.leg(meeting.LegOver, meeting.LegInfo{ID: leg(100_000 + n)})
			s.call(meeting.CallOver, meeting.CallInfo{ID: call(100_000 + n)})
		case what == 5:
			change := meeting.Change{Kind: meeting.RecordingBegan}
			if random.IntN(2) == 0 {
				change.Kind = meeting.StreamingBegan
			}
			change.Sink.ID, change.Sink.Call = number(0x51, n), calls[0].ID
			sinks[change.Sink.ID] = change.Kind
			s.tell(change)
		case what == 6:
			c := &calls[random.IntN(len(calls))]
			c.Presenter = meeting.ID{}
			if len(legs) > 0 && random.IntN(3) > 0 {
				c.Presenter = legs[random.IntN(len(legs))].ID
			}
			s.call(meeting.CallChanged, *c)
		case what == 7 && len(legs) > 3:
			over(random.IntN(len(legs)))
		case len(legs) > 0:
			l := &legs[random.IntN(len(legs))]
			l.State = []meeting.State{meeting.Ringing, meeting.Connected, meeting.Connected, meeting.OnHold}[random.IntN(4)]
			l.Media = meeting.MediaInfo{Video: random.IntN(2) == 0, Presentation: random.IntN(2) == 0, Encrypted: random.IntN(2) == 0}
			l.Muted.RxVideo, l.Deactivated = random.IntN(2) == 0, random.IntN(5) == 0
			l.Alarms = [][]string{nil, {"packetLoss"}, {"packetLoss", "excessiveJitter"}}[random.IntN(3)]
			if random.IntN(4) == 0 {
				l.Call, l.Menu = calls[random.IntN(len(calls))].ID, false
			}
			s.leg(meeting.LegChanged, *l)
		}
	}
	for id, kind := range sinks {
		change := meeting.Change{Kind: kind + 1}
		change.Sink.ID = id
		s.tell(change)
	}
	for len(legs) > 0 {
		over(0)
	}
	for len(calls) > 0 {
		finish(0)
	}
}
