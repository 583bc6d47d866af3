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
	units := 0
	until(t, "both workers are there", func() bool {
		modules, err := us.Status(t.Context())
		if err != nil || len(modules) != 1 || modules[0].Registered != 2 {
			return false
		}
		// What is measured at the start differs. Seven legs fill the larger worker, so that the meeting is on both; and after
		// the loss there is room enough for all, even if a worker measures itself at half of what it was.
		w := modules[0].Workers
		units = max(w[0].Capacity, w[1].Capacity)/8 + 1
		return true
	})
	phones := map[string]*phone{}
	large := func(l *control.Leg) { l.Units, l.View.SelfPane = units, "self" }
	small := func(l *control.Leg) { l.Units = 1 }
	colours := []*colour{&red, &green, &blue, &yellow}
	for i := range 9 {
		id := fmt.Sprintf("nine.%d", i+1)
		tone := 0
		if i == 0 {
			tone = 400
		}
		phones[id] = us.call(id, "nine", tone, colours[i%4], large)
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

	// The worker that the call of two is not at is lost.
	stays := phones["two.1"].state.Worker
	victim := map[string]string{"0.0": "0.1", "0.1": "0.0"}[stays]
	at := map[string]int{}
	for i := range 9 {
		at[phones[fmt.Sprintf("nine.%d", i+1)].state.Worker]++
	}
	t.Logf("legs of the meeting of nine by worker: %v; %s is lost", at, victim)
	if len(at) != 2 {
		t.Fatalf("the meeting of nine is at %v, want it on both workers", at)
	}
	type mark struct{ samples, frames int }
	marks := map[string]mark{}
	gaps := map[string]int64{}
	var lost []string
	var putting sync.Mutex
	var began time.Time
	us.mu.Lock()
	us.onLost = func(ids []string) {
		putting.Lock()
		defer putting.Unlock()
		for _, id := range ids {
			p := phones[id]
			s, err := us.PutLeg(t.Context(), p.leg)
			// What has no room at the other worker waits for this one to be started again.
			for control.CodeOf(err) == control.CodeCapacity && time.Since(began) < patience {
				time.Sleep(20 * time.Millisecond)
				s, err = us.PutLeg(t.Context(), p.leg)
			}
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
	began = time.Now()
	running[victim].kill()
	// PID 1 does this within 200 ms.
	run(t, programs.worker, "-worker", victim, "-manager", workers, "-ports", portSlice())
	us.event("legs are lost", func(e control.Event) bool { return e.Event == control.EventLost && len(e.Legs) > 0 })
	told := time.Since(began)
	until(t, "all that were lost were put again", func() bool {
		putting.Lock()
		defer putting.Unlock()
		return len(lost) >= at[victim]
	})
	put := time.Since(began)
	putting.Lock()
	for _, id := range lost {
		marks[id] = mark{phones[id].ear.count(), phones[id].eye.count()}
	}
	putting.Unlock()
	until(t, "all hear and see again", func() bool {
		return !slices.ContainsFunc(lost, func(id string) bool {
			p := phones[id]
			return p.ear.count() <= marks[id].samples || p.eye.count() <= marks[id].frames
		})
	})
	back := time.Since(began)
	t.Logf("the controller knew after %v, had put %d legs again after %v, and all heard and saw again after %v",
		told.Round(time.Millisecond), len(lost), put.Round(time.Millisecond), back.Round(time.Millisecond))
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
	// At the end of the test workers go again, and nobody is to be put back.
	us.mu.Lock()
	us.onLost = nil
	us.mu.Unlock()
}
