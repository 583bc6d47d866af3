package engine

import (
	"context"
	"slices"

	"rotunda/services/media/audio"
	"rotunda/services/media/control"
)

// PutConference makes or changes a conference.
func (o *owner) PutConference(_ context.Context, want control.Conference) error {
	if err := want.Validate(); err != nil {
		return control.Errorf(control.CodeInvalid, "conference: %v", err)
	}
	for !o.conference(want.ID).put(want) {
	}
	return nil
}

// DeleteConference leaves its legs alone, each in a room of its own.
func (o *owner) DeleteConference(_ context.Context, id string) error {
	o.mu.Lock()
	c := o.conferences[id]
	delete(o.conferences, id)
	o.mu.Unlock()
	if c == nil {
		return nil
	}
	for _, l := range c.dissolve() {
		l.leave(c)
	}
	c.close()
	return nil
}

// conference returns the conference, made with zero settings if nobody has put it yet.
func (o *owner) conference(id string) *conference {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.conferences[id]
	if c == nil {
		c = newConference(o, id)
		o.conferences[id] = c
	}
	return c
}

// PutLeg makes or changes a leg.
func (o *owner) PutLeg(_ context.Context, want control.Leg) (control.LegState, error) {
	if err := want.Validate(); err != nil {
		return control.LegState{}, control.Errorf(control.CodeInvalid, "leg %s: %v", want.ID, err)
	}
	o.mu.Lock()
	l := o.legs[want.ID]
	fresh := l == nil
	if fresh {
		l = newLeg(o, want.ID)
		o.legs[want.ID] = l
	}
	o.mu.Unlock()
	state, err := l.put(want)
	if err != nil && fresh {
		o.forget(l)
		l.close()
	}
	return state, err
}

func (o *owner) forget(l *leg) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.legs[l.id] == l {
		delete(o.legs, l.id)
	}
}

// DeleteLeg ends a leg.
func (o *owner) DeleteLeg(_ context.Context, id string) error {
	o.mu.Lock()
	l := o.legs[id]
	delete(o.legs, id)
	o.mu.Unlock()
	if l != nil {
		l.close()
	}
	return nil
}

func (o *owner) leg(id string) (*leg, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if l := o.legs[id]; l != nil {
		return l, nil
	}
	return nil, control.Errorf(control.CodeUnknown, "there is no leg %s", id)
}

// Play plays a prompt to a leg or a conference.
func (o *owner) Play(_ context.Context, p control.Play) error {
	if err := p.Validate(); err != nil {
		return control.Errorf(control.CodeInvalid, "play: %v", err)
	}
	event := control.Event{Event: control.EventPlayed, Leg: p.Leg, Conference: p.Conference, ID: p.ID}
	prompt := audio.Play{ID: p.ID, Files: p.Files, Tone: p.Tone, Loop: p.Loop, Done: func() {
		o.mu.Lock()
		delete(o.plays, p.ID)
		o.mu.Unlock()
		o.engine.c.Emit(o.name, event)
	}}
	var start func() error
	var stop func()
	if p.Conference != "" {
		o.mu.Lock()
		c := o.conferences[p.Conference]
		o.mu.Unlock()
		if c == nil {
			return control.Errorf(control.CodeUnknown, "there is no conference %s", p.Conference)
		}
		start, stop = func() error { return c.bus.Play(prompt) }, func() { c.bus.Stop(p.ID) }
	} else {
		l, err := o.leg(p.Leg)
		if err != nil {
			return err
		}
		start, stop = func() error { return l.play(prompt) }, func() { l.stop(p.ID) }
	}
	o.mu.Lock()
	_, running := o.plays[p.ID]
	if !running {
		o.plays[p.ID] = stop
	}
	o.mu.Unlock()
	if running {
		return nil
	}
	if err := start(); err != nil {
		o.mu.Lock()
		delete(o.plays, p.ID)
		o.mu.Unlock()
		return control.Errorf(control.CodeInvalid, "play: %v", err)
	}
	return nil
}

// StopPlay ends a prompt.
func (o *owner) StopPlay(_ context.Context, id string) error {
	o.mu.Lock()
	stop := o.plays[id]
	o.mu.Unlock()
	if stop != nil {
		stop()
	}
	return nil
}

// SendKeys sends key tones to the far end.
func (o *owner) SendKeys(_ context.Context, id, keys string) error {
	l, err := o.leg(id)
	if err != nil {
		return err
	}
	return l.sendKeys(keys)
}

// KeyFrame makes the next picture that a leg is sent a key frame.
func (o *owner) KeyFrame(_ context.Context, id, name string) error {
	l, err := o.leg(id)
	if err != nil {
		return err
	}
	return l.keyFrame(name)
}

// Stats returns the figures of legs.
func (o *owner) Stats(_ context.Context, ids []string) ([]control.LegStats, error) {
	o.mu.Lock()
	var list []*leg
	for id, l := range o.legs {
		if len(ids) == 0 || slices.Contains(ids, id) {
			list = append(list, l)
		}
	}
	o.mu.Unlock()
	all := make([]control.LegStats, 0, len(list))
	for _, l := range list {
		all = append(all, l.stats())
	}
	return all, nil
}

// Status is this worker as the only one of its module.
func (o *owner) Status(context.Context) ([]control.Module, error) {
	s := o.engine.Status()
	return []control.Module{{Number: s.Module, Registered: 1, Wanted: 1, Workers: []control.WorkerStatus{s}}}, nil
}

// Sync deletes what is not listed.
func (o *owner) Sync(_ context.Context, legs, conferences []string) error {
	o.clear(legs, conferences)
	o.mu.Lock()
	var lost []string
	for _, id := range legs {
		if o.legs[id] == nil {
			lost = append(lost, id)
		}
	}
	o.mu.Unlock()
	if len(lost) > 0 {
		o.engine.c.Emit(o.name, control.Event{Event: control.EventLost, Worker: o.engine.c.Name, Legs: lost})
	}
	return nil
}

// clear deletes all but what is to be kept.
func (o *owner) clear(legs, conferences []string) {
	o.mu.Lock()
	var goneLegs []*leg
	for id, l := range o.legs {
		if !slices.Contains(legs, id) {
			goneLegs = append(goneLegs, l)
			delete(o.legs, id)
		}
	}
	var gone []*conference
	for id, c := range o.conferences {
		if !slices.Contains(conferences, id) {
			gone = append(gone, c)
			delete(o.conferences, id)
		}
	}
	o.mu.Unlock()
	for _, l := range goneLegs {
		l.close()
	}
	for _, c := range gone {
		for _, l := range c.dissolve() {
			l.leave(c)
		}
		c.close()
	}
}
