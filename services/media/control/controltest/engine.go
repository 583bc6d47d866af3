// Package controltest is a media worker without media, for tests of whoever controls one: it keeps what it is told and
// answers at once.
package controltest

import (
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// Engine is a [control.Handler] that only remembers.
type Engine struct {
	// Status is what the worker says of itself.
	Status control.WorkerStatus
	// Emit takes the events that [control.Service.Sync] raises; nil for none.
	Emit func(owner string, e control.Event)

	mu     sync.Mutex
	cond   *sync.Cond
	refuse func(ask, id string) error
	owners map[string]*objects
	// said is every request in its order: "putLeg alice".
	said []string
}

type objects struct {
	legs        map[string]control.Leg
	conferences map[string]control.Conference
}

// New returns an engine that holds nothing.
func New(status control.WorkerStatus) *Engine {
	e := &Engine{Status: status, owners: map[string]*objects{}}
	e.cond = sync.NewCond(&e.mu)
	return e
}

// Owner is part of [control.Handler].
func (e *Engine) Owner(owner string) control.Service { return service{e, owner} }

// Holdings is part of [control.Handler].
func (e *Engine) Holdings() []control.Holding {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []control.Holding
	for _, owner := range slices.Sorted(maps.Keys(e.owners)) {
		o := e.owners[owner]
		h := control.Holding{Owner: owner}
		for _, id := range slices.Sorted(maps.Keys(o.legs)) {
			l := o.legs[id]
			h.Legs = append(h.Legs, control.HeldLeg{ID: id, Conference: l.Conference, Units: control.Estimate(l), Guest: e.guest(l)})
		}
		for _, id := range slices.Sorted(maps.Keys(o.conferences)) {
			h.Conferences = append(h.Conferences, o.conferences[id])
		}
		list = append(list, h)
	}
	return list
}

// Refuse sets what may refuse a request about an object, or hold it up; nil for nothing.
func (e *Engine) Refuse(why func(ask, id string) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refuse = why
}

// Legs lists the legs of an owner.
func (e *Engine) Legs(owner string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.of(owner).legs))
}

// Leg returns a leg of an owner as it was put last.
func (e *Engine) Leg(owner, id string) control.Leg {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.of(owner).legs[id]
}

// Conference returns a conference of an owner as it was put last.
func (e *Engine) Conference(owner, id string) control.Conference {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.of(owner).conferences[id]
}

// guest is what a leg in a conference is to other workers: its numbers are made of its name, so that they stay.
func (e *Engine) guest(l control.Leg) *control.Guest {
	if l.Conference == "" || l.Audio == nil && l.Video == nil {
		return nil
	}
	number := crc32.ChecksumIEEE([]byte(l.ID)) | 1
	return &control.Guest{ID: l.ID, Worker: e.Status.Name, Name: l.Name, Source: number, Screen: number + 1,
		Muted: l.Audio != nil && l.Audio.Muted, Video: l.Video != nil}
}

// Conferences lists the conferences that an owner has put.
func (e *Engine) Conferences(owner string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.of(owner).conferences))
}

// Said lists the requests so far: "putLeg alice".
func (e *Engine) Said() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.said)
}

// Await waits until a request has been made.
func (e *Engine) Await(t testing.TB, request string) {
	t.Helper()
	e.AwaitMore(t, request, 0)
}

// AwaitMore waits until a request has been made more than so many times.
func (e *Engine) AwaitMore(t testing.TB, request string, times int) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, e.cond.Broadcast)
	defer timer.Stop()
	limit := time.Now().Add(20 * time.Second)
	e.mu.Lock()
	defer e.mu.Unlock()
	made := func() (n int) {
		for _, said := range e.said {
			if said == request {
				n++
			}
		}
		return n
	}
	for made() <= times {
		if time.Now().After(limit) {
			t.Fatalf("want the request %q, got %q", request, e.said)
		}
		e.cond.Wait()
	}
}

// of returns an owner's objects. The caller holds mu.
func (e *Engine) of(owner string) *objects {
	o := e.owners[owner]
	if o == nil {
		o = &objects{legs: map[string]control.Leg{}, conferences: map[string]control.Conference{}}
		e.owners[owner] = o
	}
	return o
}

// do notes a request and does it, unless it is refused.
func (s service) do(ask, id string, work func(o *objects)) error {
	s.e.mu.Lock()
	refuse := s.e.refuse
	s.e.mu.Unlock()
	if refuse != nil {
		if err := refuse(ask, id); err != nil {
			return err
		}
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if work != nil {
		work(s.e.of(s.owner))
	}
	s.e.said = append(s.e.said, ask+" "+id)
	s.e.cond.Broadcast()
	return nil
}

type service struct {
	e     *Engine
	owner string
}

func (s service) PutConference(_ context.Context, c control.Conference) error {
	return s.do("putConference", c.ID, func(o *objects) { o.conferences[c.ID] = c })
}

func (s service) DeleteConference(_ context.Context, id string) error {
	return s.do("deleteConference", id, func(o *objects) { delete(o.conferences, id) })
}

// PutLeg answers with a port that tells the leg's number from others'.
func (s service) PutLeg(_ context.Context, l control.Leg) (control.LegState, error) {
	state := control.LegState{ID: l.ID, Worker: s.e.Status.Name, Guest: s.e.guest(l)}
	for range l.Transports {
		state.Transports = append(state.Transports, control.TransportState{RTP: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:32768")}})
	}
	return state, s.do("putLeg", l.ID, func(o *objects) { o.legs[l.ID] = l })
}

func (s service) DeleteLeg(_ context.Context, id string) error {
	return s.do("deleteLeg", id, func(o *objects) { delete(o.legs, id) })
}

func (s service) Play(_ context.Context, p control.Play) error { return s.do("play", p.ID, nil) }

func (s service) StopPlay(_ context.Context, id string) error { return s.do("stopPlay", id, nil) }

func (s service) SendKeys(_ context.Context, leg, keys string) error {
	return s.do("sendKeys", leg+" "+keys, nil)
}

func (s service) KeyFrame(_ context.Context, leg, stream string) error {
	return s.do("keyFrame", leg+" "+stream, nil)
}

func (s service) Stats(_ context.Context, legs []string) ([]control.LegStats, error) {
	var list []control.LegStats
	err := s.do("stats", fmt.Sprint(len(legs)), func(o *objects) {
		for _, id := range legs {
			if _, ok := o.legs[id]; ok {
				list = append(list, control.LegStats{ID: id, Layout: s.e.Status.Name})
			}
		}
	})
	return list, err
}

func (s service) Status(context.Context) ([]control.Module, error) {
	return []control.Module{{Number: s.e.Status.Module, Registered: 1, Wanted: 1, Workers: []control.WorkerStatus{s.e.Status}}}, nil
}

func (s service) Sync(_ context.Context, legs, conferences []string) error {
	var lost []string
	err := s.do("sync", fmt.Sprint(legs, conferences), func(o *objects) {
		maps.DeleteFunc(o.legs, func(id string, _ control.Leg) bool { return !slices.Contains(legs, id) })
		maps.DeleteFunc(o.conferences, func(id string, _ control.Conference) bool { return !slices.Contains(conferences, id) })
		for _, id := range legs {
			if _, ok := o.legs[id]; !ok {
				lost = append(lost, id)
			}
		}
	})
	if s.e.Emit != nil && len(lost) > 0 {
		s.e.Emit(s.owner, control.Event{Event: control.EventLost, Legs: lost})
	}
	return err
}
