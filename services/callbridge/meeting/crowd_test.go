package meeting

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/media/control"
)

// TestACrowd does many things at once, as callers, engine and API do, and looks at the end whether everything that began is over.
func TestACrowd(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, nil, nil)
	entries := []Entry{hosts, guests, {Space: space(t, nil)}}
	var all sync.WaitGroup
	ctx := context.Background()
	for g := range uint64(8) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(g, 1))
			var legs []*Leg
			for i := range 150 {
				if len(legs) == 0 || r.IntN(3) == 0 {
					media := w.mixer.Leg(uuid.NewString(), nil)
					media.Set(streams)
					l := w.calls.Arrive(Arrival{Line: &fakeLine{}, Media: media, Identity: Identity{Name: fmt.Sprint(g, ".", i)}, Kind: "sip"},
						Target{Entries: []Entry{entries[r.IntN(3)]}}).(*Leg)
					l.Answered(Identity{}, full)
					legs = append(legs, l)
				}
				l := legs[r.IntN(len(legs))]
				call := anyOf(r, w.calls.Calls()).ID
				switch r.IntN(12) {
				case 0:
					l.Ended(RemoteTeardown, true)
				case 1:
					l.WantsFloor()
				case 2:
					l.Held(r.IntN(2) == 0)
				case 3:
					w.calls.UpdateAll(ctx, call, nil, fields{"rxAudioMute": text(r.IntN(2) == 0)})
				case 4:
					w.calls.UpdateCall(ctx, call, fields{"locked": text(r.IntN(2) == 0), "messageText": "x", "messageDuration": "permanent"})
				case 5:
					w.mixer.Event(control.Event{Event: control.EventKey, Leg: l.shownID(), Key: "1"})
				case 6:
					w.calls.AddParticipant(ctx, call, fields{"movedParticipant": anyOf(r, w.calls.Participants(ID{})).ID.String()})
				case 7:
					w.calls.DropLeg(ctx, anyOf(r, w.calls.Legs(call)).ID, APITeardown)
				case 8:
					w.calls.AddParticipant(ctx, call, fields{"remoteParty": "x@example.com"})
				case 9:
					w.calls.Refresh()
				case 10:
					w.calls.UpdateParticipant(ctx, anyOf(r, w.calls.Participants(call)).ID, fields{"needsActivation": text(r.IntN(2) == 0)})
				case 11: // while somebody else moves its legs
					w.mixer.Event(control.Event{Event: control.EventLost, Legs: []string{l.shownID()}, Conference: call.String(), Worker: "0.0"})
				}
			}
		})
	}
	all.Wait()
	w.calls.Close(ctx)
	w.settle()
	h := &history{world: w}
	h.collect()
	h.check()
	if n := len(h.model.calls) + len(h.model.participants) + len(h.model.legs); n != 0 {
		t.Errorf("%d things began and are not over", n)
	}
	if h.seen < 1000 {
		t.Errorf("only %d things happened", h.seen)
	}
}

// shownID is the name of the leg's media, for events of the engine.
func (l *Leg) shownID() string {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return l.mediaID
}
