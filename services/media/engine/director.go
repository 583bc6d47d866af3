package engine

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/services/media/control"
	"rotunda/services/media/layout"
	"rotunda/services/media/picture"
)

// director decides what everybody sees, and makes the pictures: one thread that draws and encodes at the beat of 30 frames a
// second. What control threads change it finds by [conference.changed]; all it keeps itself is its own.
type director struct {
	engine   *Engine
	composer *picture.Composer
	began    time.Time

	mu          sync.Mutex
	conferences []*conference
	// woken ends the rest that the director has while there are none.
	woken chan struct{}

	stages map[*conference]*stage
	// Figures of the last beats: how late pictures were sent after they came in, and beats left out for want of time.
	latency latencies
	skipped atomic.Uint64
}

// beat is the time between two frames. All rates are parts of it.
const (
	beatsASecond = 30
	beat         = time.Second / beatsASecond
	// reviewBeats are between two looks at bandwidths and sizes that changed by themselves.
	reviewBeats = beatsASecond / 2
)

func newDirector(e *Engine) *director {
	return &director{engine: e, composer: picture.NewComposer(e.frames, e.letters, e.c.Log), stages: map[*conference]*stage{},
		woken: make(chan struct{}, 1), began: time.Now()}
}

func (d *director) add(c *conference) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conferences = append(slices.Clone(d.conferences), c)
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// idle tells whether there is no conference to draw, and none to clear away.
func (d *director) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conferences)+len(d.stages) == 0
}

func (d *director) remove(c *conference) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conferences = slices.DeleteFunc(slices.Clone(d.conferences), func(o *conference) bool { return o == c })
}

func (d *director) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), encodeNice); err != nil {
		return fmt.Errorf("lower the picture thread: %w", err)
	}
	defer d.composer.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	var woken chan struct{} // nil unless there is nothing to draw
	for n := uint64(0); ; n++ {
		select {
		case <-ctx.Done():
			for _, s := range d.stages {
				s.close()
			}
			return ctx.Err()
		case <-timer.C:
		case <-woken:
			next = time.Now()
		}
		now := time.Now()
		d.beat(n, now)
		if woken = nil; d.idle() {
			woken = d.woken
			continue
		}
		next = next.Add(beat)
		if behind := time.Since(next); behind > beat {
			// Pictures that would come too late are left out; those that come keep their pace.
			missed := behind / beat
			d.skipped.Add(uint64(missed))
			next = next.Add(missed * beat)
			n += uint64(missed)
		}
		timer.Reset(time.Until(next))
	}
}

// beat makes the pictures of one beat.
func (d *director) beat(n uint64, now time.Time) {
	d.mu.Lock()
	list := d.conferences
	d.mu.Unlock()
	for c, s := range d.stages {
		if !slices.Contains(list, c) {
			s.close()
			delete(d.stages, c)
		}
	}
	for _, c := range list {
		s := d.stages[c]
		if s == nil {
			s = newStage(d, c)
			d.stages[c] = s
		}
		if c.changed.Swap(false) || !s.wake.IsZero() && !now.Before(s.wake) {
			s.arrange(now)
		}
		if n%reviewBeats == 0 {
			s.review(now)
		}
		s.render(n, now)
	}
}

// clock is the time stamp of pictures, at 90 kHz.
func (d *director) clock(now time.Time) uint32 {
	return uint32(now.Sub(d.began) * 9 / 100000)
}

// stage is what one conference shows. It belongs to the director's thread.
type stage struct {
	director   *director
	conference *conference
	room       layout.Room
	// contributions by source.
	contributions map[uint32]*contribution
	ids           map[uint32]string
	seatings      map[[16]byte]*seating
	compositions  map[compositionKey]*composition
	// wake is when somebody waits for a pane to become free; zero for never.
	wake time.Time
	// held are the frames that this beat draws, and now is its time.
	now  time.Time
	held map[uint32]*picture.Frame
}

// seating is who sits where in one view, shared by all legs with that view.
type seating struct {
	seats *layout.Seating
	used  bool
}

func newStage(d *director, c *conference) *stage {
	return &stage{director: d, conference: c, seatings: map[[16]byte]*seating{}, compositions: map[compositionKey]*composition{},
		contributions: map[uint32]*contribution{}, ids: map[uint32]string{}, held: map[uint32]*picture.Frame{}}
}

// arrange decides anew what each leg is shown.
func (s *stage) arrange(now time.Time) {
	members := s.conference.members()
	s.enter(members, now)
	s.welcome(now)
	s.wake = time.Time{}
	for _, k := range s.seatings {
		k.used = false
	}
	for _, c := range s.compositions {
		c.begin()
	}
	for _, l := range members {
		want := l.want.Load()
		if d := l.display[mainPicture].Load(); d != nil {
			s.showMain(l, want, d, now)
		}
		if d := l.display[presentation].Load(); d != nil {
			s.showPresentation(l, want, d, now)
		}
		if list := l.recorders.Load(); list != nil {
			for _, k := range *list {
				s.showSink(l, want, k, now)
			}
		}
	}
	for key, k := range s.seatings {
		if !k.used {
			delete(s.seatings, key)
		}
	}
	for key, c := range s.compositions {
		if c.end(now) {
			c.close()
			delete(s.compositions, key)
		}
	}
	s.decode(now)
	s.trade(now)
}

// enter notes who is there.
func (s *stage) enter(members []*leg, now time.Time) {
	want := s.conference.wanted()
	clear(s.contributions)
	clear(s.ids)
	s.room = layout.Room{Participants: s.room.Participants[:0], Speakers: s.conference.bus.Speakers(), Count: want.Participants,
		Message: want.Message, Recording: want.Recording, Streaming: want.Streaming}
	for _, l := range members {
		w := l.want.Load()
		if !participates(w) {
			continue
		}
		p := layout.Participant{Source: l.source, Leg: l.id, Name: w.Name, Importance: w.Importance, CameraOff: true,
			Muted: w.Audio != nil && w.Audio.Muted}
		if c := l.contribution[mainPicture].Load(); c != nil {
			p.Video, p.CameraOff = true, c.off(now)
			s.contributions[l.source] = c
		}
		s.ids[l.source] = l.id
		s.room.Participants = append(s.room.Participants, p)
		if c := l.contribution[presentation].Load(); c != nil {
			s.contributions[l.screen] = c
			s.ids[l.screen] = l.id
			if l.id == want.Presenter && !c.off(now) {
				s.room.Presentation = layout.Presentation{Source: l.screen, Presenter: l.source, Name: w.Name}
			}
		}
	}
}

// welcome notes the guests.
func (s *stage) welcome(now time.Time) {
	presenter := s.conference.wanted().Presenter
	for _, g := range s.conference.guests.Load().list {
		w := g.want.Load()
		c, screen := g.contribution[mainPicture], g.contribution[presentation]
		s.room.Participants = append(s.room.Participants, layout.Participant{Source: w.Source, Leg: w.ID, Name: w.Name,
			Importance: w.Importance, Video: w.Video, CameraOff: c.off(now), Muted: w.Muted})
		if w.Video {
			s.contributions[w.Source] = c
		}
		s.contributions[w.Screen] = screen
		s.ids[w.Source], s.ids[w.Screen] = w.ID, w.ID
		if w.ID == presenter && !screen.off(now) {
			s.room.Presentation = layout.Presentation{Source: w.Screen, Presenter: w.Source, Name: w.Name}
		}
	}
}

// seat returns who sits where in a view.
func (s *stage) seat(view *control.View, now time.Time) *layout.Seating {
	key := layout.Digest(view)
	k := s.seatings[key]
	if k == nil {
		k = &seating{}
		s.seatings[key] = k
	}
	if !k.used {
		k.used = true
		var again time.Time
		k.seats, again = layout.Seat(view, &s.room, k.seats, now)
		if !again.IsZero() && (s.wake.IsZero() || again.Before(s.wake)) {
			s.wake = again
		}
	}
	return k.seats
}

// offer is what a source's picture is at its best.
func (s *stage) offer(now time.Time) func(uint32) (offered, bool) {
	return func(source uint32) (offered, bool) {
		c := s.contributions[source]
		if c == nil {
			return offered{}, false
		}
		y, o := c.best(now)
		return o, y != nil
	}
}

func (s *stage) showMain(l *leg, want *control.Leg, d *display, now time.Time) {
	v := want.Video
	if v == nil || v.Blind {
		d.stop(now)
		return
	}
	seats := s.seat(&want.View, now)
	width, height, rate := limits(v)
	if d.slots() {
		scene := layout.Show(&want.View, &s.room, seats, l.source, width, height)
		d.fill(s, scene, now)
		return
	}
	key := layout.KeyOf(&want.View, &s.room, seats, l.source, width, height)
	c := s.compose(compositionKey{Key: key}, func() *layout.Scene {
		return layout.Show(&want.View, &s.room, seats, l.source, width, height)
	})
	source, ok := forwardable(c.scene, v, s.offer(now))
	d.direct = source
	if ok && d.fits(s.contributions[source], now) {
		d.forward(s, s.contributions[source], c.scene, now)
	} else {
		d.watch(c, encodeKeyOf(v, rate), key.Viewer != 0, now)
	}
	d.see(s, c.scene)
}

// showPresentation shows the second picture: to everybody but the presenter, as it comes where that can be.
func (s *stage) showPresentation(l *leg, want *control.Leg, d *display, now time.Time) {
	p := s.room.Presentation
	v := want.Presentation
	if p.Source == 0 || p.Presenter == l.source || v == nil || v.Blind {
		d.stop(now)
		return
	}
	c := s.contributions[p.Source]
	y, o := c.best(now)
	d.direct = 0
	if y != nil && takes(v, o) {
		d.direct = p.Source
		if d.fits(c, now) {
			d.forward(s, c, nil, now)
			return
		}
	}
	width, height, rate := limits(v)
	look := compositionKey{presentation: p.Source}
	look.Width, look.Height = width, height
	scene := s.compose(look, func() *layout.Scene {
		return &layout.Scene{Look: layout.Look{Width: width, Height: height},
			Panes: []layout.Pane{{Rect: layout.Rect{W: width, H: height}, Source: p.Source, Whole: true}}}
	})
	d.watch(scene, encodeKeyOf(v, rate), false, now)
}

func (s *stage) showSink(l *leg, want *control.Leg, k *sink, now time.Time) {
	seats := s.seat(&want.View, now)
	key := layout.KeyOf(&want.View, &s.room, seats, l.source, k.canvas.MaxWidth, k.canvas.MaxHeight)
	c := s.compose(compositionKey{Key: key}, func() *layout.Scene {
		return layout.Show(&want.View, &s.room, seats, l.source, k.canvas.MaxWidth, k.canvas.MaxHeight)
	})
	c.record(k, encodeKeyOf(k.canvas, k.canvas.MaxRate))
}

// compose returns the composition with a key, with its scene of this arrangement.
func (s *stage) compose(key compositionKey, show func() *layout.Scene) *composition {
	c := s.compositions[key]
	if c == nil {
		c = newComposition(s, key)
		s.compositions[key] = c
	}
	if !c.arranged {
		c.arranged = true
		if scene := show(); !scene.Equal(c.scene) {
			c.scene = scene
		}
	}
	return c
}

// decode has those sources decoded that a composition with viewers shows, from the layer that its largest pane wants.
func (s *stage) decode(now time.Time) {
	heights := map[uint32]int{}
	for _, c := range s.compositions {
		if !c.seen() {
			continue
		}
		for i := range c.scene.Panes {
			if p := &c.scene.Panes[i]; p.Source != 0 && !p.CameraOff {
				heights[p.Source] = max(heights[p.Source], p.Rect.H)
			}
		}
	}
	for source, c := range s.contributions {
		c.decode(heights[source], now)
	}
}

// review looks at what changes by itself: bandwidths, sizes, layers.
func (s *stage) review(now time.Time) {
	changed := false
	for _, c := range s.contributions {
		c.expire(now)
		changed = c.altered(now) || changed
	}
	for _, l := range s.conference.members() {
		for which := range pictures {
			if d := l.display[which].Load(); d != nil {
				changed = d.review(s, now) || changed
			}
		}
	}
	for _, c := range s.compositions {
		c.retire(now)
		changed = c.expired(now) || changed
	}
	if changed {
		s.conference.changed.Store(true)
	}
	s.trade(now)
}

// Latest gives the frame of a source for this beat ([picture.Frames]).
func (s *stage) Latest(source uint32) *picture.Frame {
	if f, ok := s.held[source]; ok {
		return f
	}
	var f *picture.Frame
	if c := s.contributions[source]; c != nil {
		f = c.frame(s.now)
	}
	s.held[source] = f
	return f
}

// render draws and encodes what is due.
func (s *stage) render(n uint64, now time.Time) {
	s.now = now
	for _, c := range s.compositions {
		c.render(n, now)
	}
	for source, f := range s.held {
		if f != nil {
			f.Release()
		}
		delete(s.held, source)
	}
}

func (s *stage) close() {
	for _, c := range s.compositions {
		c.close()
	}
	for _, c := range s.contributions {
		c.decode(0, time.Now())
	}
}
