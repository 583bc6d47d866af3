package mixer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"rotunda/services/media/control"
)

// Handler hears what becomes of a leg. Its methods are called one at a time, under no lock, and must not wait. After
// [Leg.Close] at most the one that is under way still comes to its end.
type Handler interface {
	// Moved: the leg is on another worker, and its ports are new. Tell the far end.
	Moved(control.LegState)
	// Refused: what was last wanted by [Leg.Set] cannot be had (no capacity, or it contradicts itself). What was there before goes on.
	Refused(error)
	// Event is any of the leg's own: key, played, silent, heard, flood, alarm, transport, candidates, panes, sink.
	Event(control.Event)
}

// ErrClosed is the answer to a put of a leg that was closed.
var ErrClosed = errors.New("the leg is closed")

// Leg is the media of one leg.
type Leg struct {
	m  *Mixer
	id string
	q  *queue

	// want is touched only by the task that runs.
	want control.Leg

	mu      sync.Mutex
	changes []change
	state   control.LegState
	there   bool // state is that of an answer
	// lost is when its worker went away, zero while it has one.
	lost     time.Time
	plays    map[string]control.Play
	handlers []*handler

	telling sync.Mutex // handlers are told one thing at a time
}

type handler struct{ Handler }

// change is one that waits to be put. answer is nil where nobody waits.
type change struct {
	to     func(*control.Leg)
	answer chan answer
}

type answer struct {
	state control.LegState
	err   error
}

// Leg makes a leg. The engine hears of it with the first [Leg.Set] or [Leg.Put]. h may be nil.
func (m *Mixer) Leg(id string, h Handler) *Leg {
	l := &Leg{m: m, id: id, q: newQueue(), want: control.Leg{ID: id}, plays: map[string]control.Play{}}
	if h != nil {
		l.Handle(h)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.legs[id] = l
	return l
}

// ID is what it was made with.
func (l *Leg) ID() string { return l.id }

// Handle adds a handler.
func (l *Leg) Handle(h Handler) (cancel func()) {
	added := &handler{h}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers = append(slices.Clone(l.handlers), added)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.handlers = slices.DeleteFunc(slices.Clone(l.handlers), func(o *handler) bool { return o == added })
	}
}

// Set changes what the leg should be. change is called once, soon, in the order of the calls; it must neither wait nor keep its
// argument.
func (l *Leg) Set(to func(*control.Leg)) { l.change(change{to: to}) }

// Put is Set, and waits for the engine's answer. With an error the leg is as it was before, where it can be.
func (l *Leg) Put(ctx context.Context, to func(*control.Leg)) (control.LegState, error) {
	c := change{to: to, answer: make(chan answer, 1)}
	if !l.change(c) {
		return control.LegState{}, ErrClosed
	}
	select {
	case a := <-c.answer:
		return a.state, a.err
	case <-ctx.Done():
		return control.LegState{}, ctx.Err()
	case <-l.q.ctx.Done():
		return control.LegState{}, ErrClosed
	}
}

func (l *Leg) change(c change) bool {
	l.mu.Lock()
	l.changes = append(l.changes, c)
	l.mu.Unlock()
	return l.q.add(task{put: true, do: l.put})
}

// State is the last answer of the engine; false before the first.
func (l *Leg) State() (control.LegState, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.there
}

// again puts the leg on another worker, and begins its prompts anew.
func (l *Leg) again() {
	l.mu.Lock()
	l.lost = time.Now()
	l.mu.Unlock()
	l.q.add(task{put: true, do: l.put})
	l.mu.Lock()
	plays := make([]control.Play, 0, len(l.plays))
	for _, p := range l.plays {
		plays = append(plays, p)
	}
	l.mu.Unlock()
	for _, p := range plays {
		l.start(p)
	}
}

// put brings all changes that wait to the engine.
func (l *Leg) put(ctx context.Context) {
	l.mu.Lock()
	changes := l.changes
	l.changes = nil
	lost := l.lost
	l.mu.Unlock()
	before := copyOf(l.want)
	for _, c := range changes {
		c.to(&l.want)
	}
	l.want.ID = l.id
	var state control.LegState
	err := insistWhile(ctx, func(ctx context.Context) (err error) {
		state, err = l.m.service.PutLeg(ctx, l.want)
		return err
	}, func(err error) bool {
		// Right after the only worker died there is no room anywhere until it is back.
		return passing(err) || control.CodeOf(err) == control.CodeCapacity && time.Since(lost) < l.m.backWithin
	})
	if ctx.Err() != nil {
		return // closed: nobody waits any more
	}
	silent := true
	moved := false
	if err == nil {
		l.mu.Lock()
		moved = l.there && elsewhere(l.state, state)
		l.state, l.there, l.lost = state, true, time.Time{}
		l.mu.Unlock()
	} else {
		l.want = before
	}
	for _, c := range changes {
		if c.answer != nil {
			c.answer <- answer{state, err}
			silent = false
		}
	}
	switch {
	case err != nil && silent:
		l.m.log.Error("a leg cannot be what it should", "leg", l.id, "error", err)
		l.tell(func(h Handler) { h.Refused(err) })
	case moved:
		l.tell(func(h Handler) { h.Moved(state) })
	}
}

// elsewhere says whether the far end has to be told of new ports: those that it knows are not there any more.
func elsewhere(before, after control.LegState) bool {
	if before.Worker != after.Worker {
		return len(before.Transports) > 0
	}
	for i, t := range before.Transports {
		if i < len(after.Transports) && !slices.Equal(t.RTP, after.Transports[i].RTP) {
			return true
		}
	}
	return false
}

// copyOf copies what changes may write to: they replace slices and fields of the streams, never what a slice holds.
func copyOf(l control.Leg) control.Leg {
	l.Transports = slices.Clone(l.Transports)
	l.Sinks = slices.Clone(l.Sinks)
	if l.Audio != nil {
		a := *l.Audio
		l.Audio = &a
	}
	for _, v := range []**control.Video{&l.Video, &l.Presentation} {
		if *v != nil {
			w := **v
			*v = &w
		}
	}
	return l
}

// Play begins a prompt and returns its name. control.EventPlayed tells that it is over, also when it could not begin.
func (l *Leg) Play(p control.Play) (id string) {
	p = l.m.named(p)
	p.Leg, p.Conference = l.id, ""
	l.mu.Lock()
	l.plays[p.ID] = p
	l.mu.Unlock()
	l.start(p)
	return p.ID
}

func (l *Leg) start(p control.Play) {
	l.q.add(task{do: func(ctx context.Context) {
		if err := insist(ctx, func(ctx context.Context) error { return l.m.service.Play(ctx, p) }); err != nil && ctx.Err() == nil {
			l.m.log.Warn("a prompt cannot be played", "leg", l.id, "files", p.Files, "error", err)
			l.happened(control.Event{Event: control.EventPlayed, Leg: l.id, ID: p.ID, Text: err.Error()})
		}
	}})
}

// StopPlay ends a prompt. control.EventPlayed follows.
func (l *Leg) StopPlay(id string) {
	l.q.add(task{do: func(ctx context.Context) {
		if err := insist(ctx, func(ctx context.Context) error { return l.m.service.StopPlay(ctx, id) }); err != nil && ctx.Err() == nil {
			l.m.log.Warn("a prompt cannot be stopped", "leg", l.id, "error", err)
		}
	}})
}

// SendKeys sends key tones to the far end: 0-9*#A-D, a comma is a pause. They are sent once or, when the way to the engine breaks, not.
func (l *Leg) SendKeys(keys string) {
	l.q.add(task{do: func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, askFor)
		defer cancel()
		if err := l.m.service.SendKeys(ctx, l.id, keys); err != nil && !errors.Is(err, context.Canceled) {
			l.m.log.Warn("key tones cannot be sent", "leg", l.id, "error", err)
		}
	}})
}

// KeyFrame makes the next picture that the leg is sent a key frame; stream is main or presentation.
func (l *Leg) KeyFrame(stream string) {
	l.q.add(task{do: func(ctx context.Context) {
		if err := insist(ctx, func(ctx context.Context) error { return l.m.service.KeyFrame(ctx, l.id, stream) }); err != nil && ctx.Err() == nil {
			l.m.log.Warn("no key frame can be made", "leg", l.id, "error", err)
		}
	}})
}

// Close deletes the leg.
func (l *Leg) Close() {
	l.m.mu.Lock()
	if l.m.legs[l.id] == l {
		delete(l.m.legs, l.id)
	}
	l.m.mu.Unlock()
	l.mu.Lock()
	l.handlers = nil
	l.mu.Unlock()
	l.q.close(func(context.Context) { l.m.remove("leg", l.id, l.m.service.DeleteLeg) })
}

// removeFor is how long it is tried to delete something. The engine deletes by itself what a Call Bridge that went away has left, and what
// [control.Client] does not list any more when it comes back.
const removeFor = 30 * time.Second

func (m *Mixer) remove(kind, id string, remove func(context.Context, string) error) {
	ctx, cancel := context.WithTimeout(context.Background(), removeFor)
	defer cancel()
	if err := insist(ctx, func(ctx context.Context) error { return remove(ctx, id) }); err != nil {
		m.log.Error("the media engine still has what is not wanted any more", kind, id, "error", err)
	}
}

// happened passes an event on.
func (l *Leg) happened(e control.Event) {
	if e.Event == control.EventPlayed {
		l.mu.Lock()
		delete(l.plays, e.ID)
		l.mu.Unlock()
	}
	l.tell(func(h Handler) { h.Event(e) })
}

func (l *Leg) tell(what func(Handler)) {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	handlers := l.handlers
	l.mu.Unlock()
	for _, h := range handlers {
		what(h.Handler)
	}
}
