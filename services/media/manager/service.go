package manager

import (
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
	c = bare(c)
	s.m.mu.Lock()
	s.m.of(s.owner).conference(c.ID).wanted = &c
	s.m.mu.Unlock()
	return s.spread(ctx, c.ID)
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
	k.wanted = nil
	for _, at := range k.at {
		if at.told == nil {
			at.told = &control.Conference{ID: id} // it knows it by its legs
		}
	}
	for name, l := range o.legs {
		if l.conference == id {
			o.set(name, &leg{worker: l.worker, units: l.units, pictures: l.pictures})
		}
	}
	s.m.mu.Unlock()
	return s.spread(ctx, id)
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
	now, before, err := s.place(l)
	if err != nil {
		return control.LegState{}, nil, err
	}
	w := now.worker
	// The worker has to know the conference before its leg.
	err = s.spread(ctx, l.Conference)
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
		s.settle(ctx, l.Conference)
		return control.LegState{}, w, err
	}
	state.Worker = w.name
	if before != nil && before.worker != w {
		if err := unlessLost(s.on(before.worker).DeleteLeg(ctx, l.ID)); err != nil {
			s.m.o.Log(fmt.Sprintf("delete leg %q of %q, which moved to worker %s, at worker %s: %v", l.ID, s.owner, w.name, before.worker.name, err))
		}
	}
	s.know(l.ID, now, state.Guest)
	state.Guest = nil
	s.settle(ctx, l.Conference)
	if before != nil && before.conference != l.Conference {
		s.settle(ctx, before.conference)
	}
	return state, w, nil
}

// know keeps what other workers have to know of a leg.
func (s service) know(id string, now *leg, g *control.Guest) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if o := s.m.of(s.owner); o.legs[id] == now {
		known := *now
		if known.guest = g; g != nil {
			g.Worker = now.worker.name
		}
		o.legs[id] = &known
	}
}

// settle brings a conference up to date after a leg of it has changed. That another worker cannot be told is no fault of
// the leg.
func (s service) settle(ctx context.Context, conference string) {
	if err := s.spread(ctx, conference); err != nil {
		s.m.o.Log(fmt.Sprintf("conference %q of %q: %v", conference, s.owner, err))
	}
}

// place chooses the worker of a leg and reserves its units there.
func (s service) place(l control.Leg) (now, before *leg, err error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	o := s.m.of(s.owner)
	before = o.legs[l.ID]
	now = &leg{units: control.Estimate(l), conference: l.Conference, pictures: l.Video != nil}
	ask := Ask{Units: now.units}
	if before != nil {
		ask.At, ask.AtUnits = before.worker.name, before.units
	}
	near := o.conferences[l.Conference]
	if l.Conference == "" {
		near = o.conferences[l.Near]
	}
	if near != nil && !alone(near, before, l.Conference) {
		ask.Homes = near.homes()
		ask.Span = control.EstimateSpan(1, near.pictures())
	}
	name, ok := Place(s.m.loads(), ask)
	if !ok && l.Conference == "" && len(ask.Homes) > 0 {
		// Near is a wish.
		ask.Homes = nil
		name, ok = Place(s.m.loads(), ask)
	}
	if !ok {
		return nil, nil, s.m.full(ask)
	}
	now.worker = s.m.workers[name]
	if before != nil && before.worker == now.worker {
		now.guest = before.guest
	}
	o.set(l.ID, now)
	return now, before, nil
}

// alone tells that nobody but this leg is in a conference, so that it may go where the leg goes.
func alone(k *conference, before *leg, id string) bool {
	return k.legs() == 0 || k.legs() == 1 && before != nil && before.conference == id && id != ""
}

// full is the refusal when nothing fits. The caller holds mu.
func (m *Manager) full(a Ask) error {
	switch {
	case len(m.loads()) == 0:
		return control.Errorf(control.CodeCapacity, "no media worker is registered")
	case len(a.Homes) > 0:
		return control.Errorf(control.CodeCapacity, "no worker of the machine where the conference is has room for %d load units", a.Units)
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
	o, conference := s.m.of(s.owner), ""
	if l := o.legs[id]; l != nil {
		conference = l.conference
	}
	o.set(id, nil)
	s.m.mu.Unlock()
	err = unlessLost(at.DeleteLeg(ctx, id))
	s.settle(ctx, conference)
	return err
}

// Play is part of [control.Service]. A conference that is nowhere, because nobody is in it, plays to nobody.
func (s service) Play(ctx context.Context, p control.Play) error {
	s.m.mu.Lock()
	o := s.m.of(s.owner)
	var at []*worker
	if l := o.legs[p.Leg]; l != nil {
		at = append(at, l.worker)
	} else if k := o.conferences[p.Conference]; k != nil {
		for _, share := range k.at {
			at = append(at, share.worker)
		}
		if len(at) == 0 {
			s.m.mu.Unlock()
			s.m.dispatcher.Emit(s.owner, control.Event{Event: control.EventPlayed, ID: p.ID, Conference: p.Conference})
			return nil
		}
	}
	if len(at) == 0 {
		s.m.mu.Unlock()
		return control.Errorf(control.CodeUnknown, "nothing to play to: no leg %q, no conference %q", p.Leg, p.Conference)
	}
	o.plays[p.ID] = slices.Clone(at)
	s.m.mu.Unlock()
	err := all(at, func(w *worker) error {
		err := s.on(w).Play(ctx, p)
		if len(at) > 1 {
			err = unlessLost(err)
		}
		return err
	})
	if err != nil {
		s.m.mu.Lock()
		delete(o.plays, p.ID)
		s.m.mu.Unlock()
		if len(at) > 1 {
			_ = all(at, func(w *worker) error { return s.on(w).StopPlay(ctx, p.ID) })
		}
	}
	return err
}

// StopPlay is part of [control.Service]. After a restart nobody here knows where a prompt runs, so all workers are asked.
func (s service) StopPlay(ctx context.Context, id string) error {
	s.m.mu.Lock()
	at := slices.Clone(s.m.of(s.owner).plays[id])
	s.m.mu.Unlock()
	if len(at) == 0 {
		at = s.m.ready()
	}
	return all(at, func(w *worker) error {
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

// all asks several workers at the same time and waits for all of them.
func all[T any](whom []T, ask func(T) error) error {
	errs := make([]error, len(whom))
	var wait sync.WaitGroup
	for i, w := range whom {
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
	err := all(workers, func(w *worker) error {
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
		}
		o.tidy(id)
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
	err := all(workers, func(w *worker) error {
		return unlessLost(s.on(w).Sync(ctx, keep[w].Legs, keep[w].Conferences))
	})
	s.m.spreadAll(ctx, s.owner)
	if len(lost.Legs) > 0 {
		s.m.dispatcher.Emit(s.owner, lost)
	}
	for _, id := range gone {
		s.m.dispatcher.Emit(s.owner, control.Event{Event: control.EventLost, Conference: id})
	}
	return err
}
