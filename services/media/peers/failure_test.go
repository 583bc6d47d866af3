package peers

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rotunda/services/media/control"
)

func TestALostWorkerIsReplacedByTheOther(t *testing.T) {
	workers, clients := freeTCP(t), freeTCP(t)
	run(t, programs.services, "media", "-workers", workers, "-clients", clients, "-modules", "2")
	running := map[string]*process{}
	for _, name := range []string{"0.0", "0.1"} {
		running[name] = run(t, programs.worker, "-worker", name, "-manager", workers, "-ports", portSlice())
	}
	us := dial(t, clients)
	until(t, "both workers are there", func() bool {
		modules, err := us.Status(t.Context())
		return err == nil && len(modules) == 1 && modules[0].Registered == 2
	})
	phones := map[string]*phone{}
	small := func(l *control.Leg) {
		// A worker has to have room for all: what is measured at the start depends on who else uses the machine.
		l.Units, l.View.SelfPane = 1, "self"
	}
	colours := []*colour{&red, &green, &blue, &yellow}
	for i := range 9 {
		id := fmt.Sprintf("nine.%d", i+1)
		tone := 0
		if i == 0 {
			tone = 400
		}
		phones[id] = us.call(id, "nine", tone, colours[i%4], small)
	}
	phones["two.1"], phones["two.2"] = us.call("two.1", "two", 900, &green, small), us.call("two.2", "two", 0, &red, small)
	tones := map[string]float64{"nine": 400, "two": 900}
	everybody := func(what string) {
		t.Helper()
		for id, p := range phones {
			if p.tone.Load() == 0 {
				until(t, id+" hears its meeting"+what, func() bool { return p.hears(tones[p.leg.Conference]) })
			}
			count := p.eye.count()
			until(t, id+" sees its meeting"+what, func() bool { return p.eye.count() > count })
		}
	}
	everybody("")

	victim := phones["nine.1"].state.Worker
	if at := phones["two.1"].state.Worker; at == victim {
		t.Fatalf("both meetings are at worker %s, want one at each", at)
	}
	type mark struct{ samples, frames int }
	marks := map[string]mark{}
	gaps := map[string]int64{}
	var lost []string
	var putting sync.Mutex
	us.mu.Lock()
	us.onLost = func(ids []string) {
		putting.Lock()
		defer putting.Unlock()
		for _, id := range ids {
			p := phones[id]
			s, err := us.PutLeg(t.Context(), p.leg)
			if err != nil {
				t.Errorf("put %s again: %v", id, err)
				continue
			}
			p.settle(s)
			lost = append(lost, id)
		}
	}
	us.mu.Unlock()
	for id, p := range phones {
		marks[id], gaps[id] = mark{p.ear.count(), p.eye.count()}, p.gaps.Load()
	}
	began := time.Now()
	running[victim].kill()
	us.event("legs are lost", func(e control.Event) bool { return e.Event == control.EventLost && len(e.Legs) > 0 })
	told := time.Since(began)
	until(t, "all nine were put again", func() bool {
		putting.Lock()
		defer putting.Unlock()
		return len(lost) >= 9
	})
	put := time.Since(began)
	for id, p := range phones {
		if p.state.Worker != victim {
			marks[id] = mark{p.ear.count(), p.eye.count()}
		}
	}
	until(t, "all hear and see again", func() bool {
		return !slices.ContainsFunc(lost, func(id string) bool {
			p := phones[id]
			return p.ear.count() <= marks[id].samples || p.eye.count() <= marks[id].frames
		})
	})
	back := time.Since(began)
	t.Logf("the controller knew after %v, had put nine legs again after %v, and all nine heard and saw again after %v",
		told.Round(time.Millisecond), put.Round(time.Millisecond), back.Round(time.Millisecond))
	if back > 10*time.Second {
		t.Errorf("media was back after %v, want about a second", back)
	}
	everybody(" again")
	for id, p := range phones {
		if !slices.Contains(lost, id) {
			if n := p.gaps.Load() - gaps[id]; n != 0 {
				t.Errorf("%s, which was on the other worker, missed %d packets of sound, want none", id, n)
			}
		}
	}
}
