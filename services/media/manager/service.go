package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"rotunda/services/media/control"
)

// service is the manager as one owner sees it. Requests about one object come one after the other ([control.Handler]).
type service struct {
	m     *Manager
	owner string
}

// on returns the owner's service at a worker.
func (s service) on(w *worker) control.Service { return w.peer.Owner(s.owner) }

// PutConference is part of [control.Service]. A conference without legs is kept here until its first leg.
func (s service) PutConference(ctx context.Context, c control.Conference) error {
	s.m.mu.Lock()
	k := s.m.of(s.owner).conference(c.ID)
	k.wanted = &c
	w := k.worker
	s.m.mu.Unlock()
	if w == nil {
		return nil
	}
	return unlessLost(s.tell(ctx, w, c))
}

// tell puts a conference at its worker.
func (s service) tell(ctx context.Context, w *worker, c control.Conference) error {
	if err := s.on(w).PutConference(ctx, c); err != nil {
		return err
	}
	s.m.mu.Lock()
	var former *worker
	if k := s.m.of(s.owner).conferences[c.ID]; k != nil {
		former, k.sent = k.sent, w
	}
	known := former != nil && former != w && former.ready
	s.m.mu.Unlock()
	if !known {
		return nil
	}
	return unlessLost(s.on(former).DeleteConference(ctx, c.ID))
}

// unlessLost leaves out that a worker went away: its conferences are made anew with their next leg.
func unlessLost(err error) error {
	if control.CodeOf(err) == control.CodeLost {
		return nil
	}
	return err
}

// DeleteConference is part of [control.Service].
func (s service) DeleteConference(ctx context.Context, id string) error {
	s.m.mu.Lock()
	o := s.m.of(s.owner)
	k := o.conferences[id]
	if k == nil {
		s.m.mu.Unlock()
		return nil
	}
	for name, l := range o.legs {
		if l.conference == id {
			o.set(name, &leg{worker: l.worker, units: l.units})
		}
	}
	delete(o.conferences, id)
	w := cmp.Or(k.worker, k.sent)
	s.m.mu.Unlock()
	if w == nil {
		return nil
	}
	return unlessLost(s.on(w).DeleteConference(ctx, id))
}

// attempts to place a leg while workers die under it.
const attempts = 3

// PutLeg is part of [control.Service]. A leg that goes to another worker is made there before it is deleted here, and
// the answer tells its new ports.
func (s service) PutLeg(ctx context.Context, l control.Leg) (state control.LegState, err error) {
	for range attempts {
		var w *worker
		state, w, err = s.putLeg(ctx, l)
		if control.CodeOf(err) != control.CodeLost || !s.m.lost(w) {
			return state, err
		}
	}
	return state, err
}

// lost tells that a worker is not registered any more. It takes it out if its end was not noticed yet.
func (m *Manager) lost(w *worker) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.ready = m.workers[w.name] == w && w.ready && !w.peer.Ended()
	return !w.ready
}

func (s service) putLeg(ctx context.Context, l control.Leg) (control.LegState, *worker, error) {
	now, before, first, err := s.place(l)
	if err != nil {
		return control.LegState{}, nil, err
	}
	w := now.worker
	if first != nil {
		err = s.tell(ctx, w, *first)
	}
	var state control.LegState
	if err == nil {
		state, err = s.on(w).PutLeg(ctx, l)
	}
	if err != nil {
		s.undo(l.ID, now, before)
		if before == nil && control.CodeOf(err) == control.CodeTimeout {
			// Nobody knows whether it is there; it must not be.
			_ = s.on(w).DeleteLeg(context.WithoutCancel(ctx), l.ID)
		}
		return control.LegState{}, w, err
	}
	state.Worker = w.name
	if before != nil && before.worker != w {
		if err := unlessLost(s.on(before.worker).DeleteLeg(ctx, l.ID)); err != nil {
			s.m.o.Log(fmt.Sprintf("delete leg %q of %q, which moved to worker %s, at worker %s: %v", l.ID, s.owner, w.name, before.worker.name, err))
		}
	}
	return state, w, nil
}

// place chooses the worker of a leg and reserves its units there. When that worker does not know the leg's conference
// yet, first is what the owner put for it.
func (s service) place(l control.Leg) (now, before *leg, first *control.Conference, err error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	o := s.m.of(s.owner)
	before = o.legs[l.ID]
	ask := Ask{Units: control.Estimate(l)}
	if before != nil {
		ask.At, ask.AtUnits = before.worker.name, before.units
	}
	k := o.conferences[l.Conference]
	near := k
	if l.Conference == "" {
		near = o.conferences[l.Near]
	}
	if near != nil && near.worker != nil && near.worker.ready && !alone(near, before, l.Conference) {
		ask.Home = near.worker.name
	}
	name, ok := Place(s.m.loads(), ask)
	if !ok && l.Conference == "" && ask.Home != "" {
		// Near is a wish.
		ask.Home = ""
		name, ok = Place(s.m.loads(), ask)
	}
	if !ok {
		return nil, nil, nil, s.m.full(ask)
	}
	now = &leg{worker: s.m.workers[name], units: ask.Units, conference: l.Conference}
	if l.Conference != "" {
		k = o.conference(l.Conference)
		k.worker = now.worker
		if k.sent != k.worker {
			first = k.wanted
		}
	}
	o.set(l.ID, now)
	return now, before, first, nil
}

// alone tells that nobody but this leg is in a conference, so that it may go where the leg goes.
func alone(k *conference, before *leg, id string) bool {
	return k.legs == 0 || k.legs == 1 && before != nil && before.conference == id && id != ""
}

// full is the refusal when nothing fits. The caller holds mu.
func (m *Manager) full(a Ask) error {
	switch {
	case len(m.loads()) == 0:
		return control.Errorf(control.CodeCapacity, "no media worker is registered")
	case a.Home != "":
		return control.Errorf(control.CodeCapacity, "worker %s, where the conference is, has no room for %d load units", a.Home, a.Units)
	}
	return control.Errorf(control.CodeCapacity, "no media worker has room for %d load units", a.Units)
}

// undo takes back a reservation that came to nothing.
func (s service) undo(id string, now, before *leg) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	o := s.m.of(s.owner)
	if o.legs[id] != now {
		return
	}
	if before != nil && s.m.workers[before.worker.name] != before.worker {
		before = nil
	}
	o.set(id, before)
}

// at returns the worker of a leg.
func (s service) at(id string) (control.Service, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if o := s.m.owners[s.owner]; o != nil {
		if l := o.legs[id]; l != nil {
			return s.on(l.worker), nil
		}
	}
	return nil, control.Errorf(control.CodeUnknown, "no leg %q", id)
}

// DeleteLeg is part of [control.Service].
func (s service) DeleteLeg(ctx context.Context, id string) error {
	at, err := s.at(id)
	if err != nil {
		return nil
	}
	s.m.mu.Lock()
	s.m.of(s.owner).set(id, nil)
	s.m.mu.Unlock()
	return unlessLost(at.DeleteLeg(ctx, id))
}

// Play is part of [control.Service]. A conference that is nowhere, because nobody is in it, plays to nobody.
func (s service) Play(ctx context.Context, p control.Play) error {
	s.m.mu.Lock()
	o := s.m.of(s.owner)
	var w *worker
	if l := o.legs[p.Leg]; l != nil {
		w = l.worker
	} else if k := o.conferences[p.Conference]; k != nil {
		w = k.worker
		if w == nil {
			s.m.mu.Unlock()
			s.m.dispatcher.Emit(s.owner, control.Event{Event: control.EventPlayed, ID: p.ID, Conference: p.Conference})
			return nil
		}
	}
	if w == nil {
		s.m.mu.Unlock()
		return control.Errorf(control.CodeUnknown, "nothing to play to: no leg %q, no conference %q", p.Leg, p.Conference)
	}
	o.plays[p.ID] = w
	s.m.mu.Unlock()
	err := s.on(w).Play(ctx, p)
	if err != nil {
		s.m.mu.Lock()
		delete(o.plays, p.ID)
		s.m.mu.Unlock()
	}
	return err
}

// StopPlay is part of [control.Service]. After a restart nobody here knows where a prompt runs, so all workers are asked.
func (s service) StopPlay(ctx context.Context, id string) error {
	s.m.mu.Lock()
	w := s.m.of(s.owner).plays[id]
	s.m.mu.Unlock()
	if w != nil {
		return unlessLost(s.on(w).StopPlay(ctx, id))
	}
	return s.all(s.m.ready(), func(w *worker) error {
		if err := s.on(w).StopPlay(ctx, id); control.CodeOf(err) != control.CodeUnknown {
			return unlessLost(err)
		}
		return nil
	})
}

// ready lists the workers.
func (m *Manager) ready() []*worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []*worker
	for _, w := range m.workers {
		if w.ready {
			list = append(list, w)
		}
	}
	return list
}

// all asks workers at the same time and waits for all of them.
func (s service) all(workers []*worker, ask func(*worker) error) error {
	errs := make([]error, len(workers))
	var wait sync.WaitGroup
	for i, w := range workers {
		wait.Go(func() { errs[i] = ask(w) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// SendKeys is part of [control.Service].
func (s service) SendKeys(ctx context.Context, leg, keys string) error {
	at, err := s.at(leg)
	if err != nil {
		return err
	}
	return at.SendKeys(ctx, leg, keys)
}

// KeyFrame is part of [control.Service].
func (s service) KeyFrame(ctx context.Context, leg, stream string) error {
	at, err := s.at(leg)
	if err != nil {
		return err
	}
	return at.KeyFrame(ctx, leg, stream)
}

// Stats is part of [control.Service].
func (s service) Stats(ctx context.Context, legs []string) ([]control.LegStats, error) {
	s.m.mu.Lock()
	asked := map[*worker][]string{}
	if o := s.m.owners[s.owner]; o != nil {
		if len(legs) == 0 {
			for id := range o.legs {
				legs = append(legs, id)
			}
		}
		for _, id := range legs {
			if l := o.legs[id]; l != nil {
				asked[l.worker] = append(asked[l.worker], id)
			}
		}
	}
	s.m.mu.Unlock()
	var mu sync.Mutex
	found := map[string]control.LegStats{}
	workers := make([]*worker, 0, len(asked))
	for w := range asked {
		workers = append(workers, w)
	}
	err := s.all(workers, func(w *worker) error {
		for part := range slices.Chunk(asked[w], control.MaxStats) {
			stats, err := s.on(w).Stats(ctx, part)
			if err != nil {
				return unlessLost(err)
			}
			mu.Lock()
			for _, f := range stats {
				found[f.ID] = f
			}
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := make([]control.LegStats, 0, len(found))
	for _, id := range legs {
		if f, ok := found[id]; ok {
			list = append(list, f)
		}
	}
	return list, nil
}

// Status is part of [control.Service].
func (s service) Status(context.Context) ([]control.Module, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.m.modules(), nil
}

// Sync is part of [control.Service].
func (s service) Sync(ctx context.Context, legs, conferences []string) error {
	s.m.mu.Lock()
	o := s.m.of(s.owner)
	listed := map[string]bool{}
	for _, id := range legs {
		listed[id] = true
	}
	for id := range o.legs {
		if !listed[id] {
			o.set(id, nil)
		}
	}
	clear(listed)
	for _, id := range conferences {
		listed[id] = true
	}
	for id, k := range o.conferences {
		if !listed[id] {
			k.wanted = nil
			o.tidy(id)
		}
	}
	lost := control.Event{Event: control.EventLost}
	for _, id := range legs {
		if o.legs[id] == nil {
			lost.Legs = append(lost.Legs, id)
		}
	}
	var gone []string
	for _, id := range conferences {
		if o.conferences[id] == nil {
			gone = append(gone, id)
		}
	}
	keep := map[*worker]control.IDs{}
	var workers []*worker
	for _, w := range s.m.workers {
		if w.ready {
			keep[w] = o.ids(w)
			workers = append(workers, w)
		}
	}
	if len(o.legs)+len(o.conferences) == 0 {
		delete(s.m.owners, s.owner)
	}
	s.m.mu.Unlock()
	err := s.all(workers, func(w *worker) error {
		return unlessLost(s.on(w).Sync(ctx, keep[w].Legs, keep[w].Conferences))
	})
	if len(lost.Legs) > 0 {
		s.m.dispatcher.Emit(s.owner, lost)
	}
	for _, id := range gone {
		s.m.dispatcher.Emit(s.owner, control.Event{Event: control.EventLost, Conference: id})
	}
	return err
}
