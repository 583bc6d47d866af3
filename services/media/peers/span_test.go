package peers

import (
	"testing"

	"rotunda/services/media/control"
)

func TestAMeetingThatOutgrowsAWorkerGoesOnToTheOther(t *testing.T) {
	workers, clients := freeTCP(t), freeTCP(t)
	run(t, programs.services, "media", "-workers", workers, "-clients", clients, "-modules", "2")
	running := map[string]*process{}
	for _, name := range []string{"0.0", "0.1"} {
		running[name] = run(t, programs.worker, "-worker", name, "-manager", workers, "-ports", portSlice())
	}
	us := dial(t, clients)
	capacities := map[string]int{}
	until(t, "both workers are there", func() bool {
		modules, err := us.Status(t.Context())
		if err != nil || len(modules) != 1 || modules[0].Registered != 2 {
			return false
		}
		for _, w := range modules[0].Workers {
			capacities[w.Name] = w.Capacity
		}
		return true
	})
	small := func(l *control.Leg) { l.Units = 1 }
	ann := us.call("ann", "room", 400, &red, small)
	// Somebody who is not seen and not heard takes what her worker has left, so that the next one goes to the other.
	us.put(control.Leg{ID: "filler", Conference: "room", Units: capacities[ann.state.Worker] - 1})
	bob := us.call("bob", "room", 700, &green, small)
	if ann.state.Worker == bob.state.Worker {
		t.Fatalf("both legs are at worker %s, want two", ann.state.Worker)
	}
	if err := us.DeleteLeg(t.Context(), "filler"); err != nil {
		t.Fatal(err)
	}
	cid := us.call("cid", "room", 1100, &blue, small)
	tones := map[*phone]float64{ann: 400, bob: 700, cid: 1100}
	hear := func(what string) {
		t.Helper()
		for p := range tones {
			for _, tone := range tones {
				if tone != tones[p] {
					until(t, p.leg.ID+" hears the others"+what, func() bool { return p.hears(tone) })
				}
			}
			until(t, p.leg.ID+" does not hear itself"+what, func() bool { return p.hearsNot(tones[p]) })
		}
	}
	see := func(p *phone, colours ...colour) func() bool {
		return func() bool {
			for _, c := range colours {
				found := false
				for _, x := range []float64{0.25, 0.5, 0.75} {
					for _, y := range []float64{0.25, 0.5, 0.75} {
						found = found || p.eye.sees(x, y, c)
					}
				}
				if !found {
					return false
				}
			}
			return true
		}
	}
	hear("")
	until(t, "ann sees bob and cid", see(ann, green, blue))
	until(t, "bob sees ann and cid", see(bob, red, blue))
	until(t, "cid sees ann and bob", see(cid, red, green))

	// The worker of bob dies, and cid's with it if it is there; they are put again, and the meeting is whole.
	victim := bob.state.Worker
	again := make(chan *phone, len(tones))
	us.mu.Lock()
	us.onLost = func(ids []string) {
		for _, id := range ids {
			for p := range tones {
				if p.leg.ID != id {
					continue
				}
				s, err := us.PutLeg(t.Context(), p.leg)
				if err != nil {
					t.Errorf("put %s again: %v", id, err)
					continue
				}
				p.settle(s)
				again <- p
			}
		}
	}
	us.mu.Unlock()
	running[victim].kill()
	lost := us.event("legs are lost", func(e control.Event) bool { return e.Event == control.EventLost && len(e.Legs) > 0 })
	for range lost.Legs {
		p := <-again
		samples, frames := p.ear.count(), p.eye.count()
		until(t, p.leg.ID+" hears and sees something again", func() bool { return p.ear.count() > samples+16000 && p.eye.count() > frames+5 })
	}
	hear(" again")
	until(t, "ann sees bob and cid again", see(ann, green, blue))
	until(t, "bob sees ann and cid again", see(bob, red, blue))
}
