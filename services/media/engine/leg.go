package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"rotunda/services/media/audio"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// leg is the media of one far end. Control threads change it under ops; the threads that carry packets read what is atomic
// and never wait for a change.
type leg struct {
	owner  *owner
	engine *Engine
	id     string
	// source is the number of its sound and main picture, screen that of its presentation. They are random, so that they
	// are unique on the machine: of a thousand numbers two are equal once in 8,000 times.
	source, screen uint32

	want         atomic.Pointer[control.Leg]
	conference   atomic.Pointer[conference]
	sound        atomic.Pointer[sound]
	contribution [pictures]atomic.Pointer[contribution]
	display      [pictures]atomic.Pointer[display]
	// transports are the flows, for the reporter.
	transports atomic.Pointer[[]*flow]
	// layout is the name of the layout that it is shown.
	layout atomic.Pointer[string]
	// recorders are the sinks that want a composition, for the director; takers those that want what comes.
	recorders, takers atomic.Pointer[[]*sink]

	ops    sync.Mutex // one change at a time
	alone  *conference
	flows  []*flow
	sinks  map[string]*sink
	closed bool

	counted control.Traffic // of what [traffic.look] has seen, which guards it
}

// The two pictures of a leg.
const (
	mainPicture = iota
	presentation
	pictures
)

var pictureNames = [pictures]string{"main", "presentation"}

var errGone = control.Errorf(control.CodeUnknown, "the leg is being deleted")

func newLeg(o *owner, id string) *leg {
	l := &leg{owner: o, engine: o.engine, id: id, source: rtp.NewSSRC(), screen: rtp.NewSSRC(), sinks: map[string]*sink{}}
	l.want.Store(&control.Leg{ID: id})
	return l
}

// sources are the numbers of its pictures.
func (l *leg) sources() [pictures]uint32 { return [pictures]uint32{l.source, l.screen} }

// muted tells that nobody is to see a picture of the leg.
func (l *leg) muted(which int) bool {
	v := pictureOf(l.want.Load(), which)
	return v == nil || v.Muted
}

// guest is what the leg is to the other workers of its conference; nil for a recorder, who is no participant.
func (l *leg) guest() *control.Guest {
	w := l.want.Load()
	if w.Conference == "" || !participates(w) {
		return nil
	}
	return &control.Guest{ID: l.id, Worker: l.engine.c.Name, Name: w.Name, Importance: w.Importance, Source: l.source, Screen: l.screen,
		Muted: w.Audio != nil && w.Audio.Muted, Video: l.contribution[mainPicture].Load() != nil, VideoMuted: l.muted(mainPicture),
		Presentation: l.contribution[presentation].Load() != nil && !l.muted(presentation)}
}

// participates tells a participant from a recorder.
func participates(w *control.Leg) bool { return w.Audio != nil || w.Video != nil }

func (l *leg) wanted() control.Leg { return *l.want.Load() }

func (l *leg) emit(e control.Event) {
	e.Leg = l.id
	l.engine.c.Emit(l.owner.name, e)
}

// put brings the leg to the wanted state. What may fail comes first, beside what is there: ports, pictures, encoders of
// sound. After an error the leg is as it was, but for ports that it has more; a sink that cannot be opened is the one thing
// that fails alone.
func (l *leg) put(want control.Leg) (control.LegState, error) {
	l.ops.Lock()
	defer l.ops.Unlock()
	if l.closed {
		return control.LegState{}, errGone
	}
	if err := l.putFlows(want.Transports); err != nil {
		return control.LegState{}, err
	}
	displays, err := l.makeDisplays(&want)
	if err != nil {
		return control.LegState{}, err
	}
	if l.conference.Load() == nil {
		l.putConference(want.Conference)
	}
	if err := l.putSound(&want); err != nil {
		for _, d := range displays {
			if d != nil {
				d.close()
			}
		}
		return control.LegState{}, err
	}
	l.putConference(want.Conference)
	l.putPictures(&want, displays)
	l.want.Store(&want)
	for i, f := range l.flows {
		f.setRoutes(&want, i)
	}
	failed := l.putSinks(&want)
	// A flow that is no longer wanted goes last, when nothing sends on it any more.
	for len(l.flows) > len(want.Transports) {
		last := l.flows[len(l.flows)-1]
		l.flows = l.flows[:len(l.flows)-1]
		last.close()
	}
	flows := slices.Clone(l.flows)
	l.transports.Store(&flows)
	l.changed()
	return l.state(), failed
}

// changed has the director look at the conference again.
func (l *leg) changed() {
	if c := l.conference.Load(); c != nil {
		c.changed.Store(true)
	}
}

func (l *leg) putFlows(want []control.Transport) error {
	for i, t := range want {
		if i < len(l.flows) {
			if err := l.flows[i].endpoint.Update(t); err != nil {
				return control.Errorf(control.CodeInvalid, "leg %s: transports[%d]: %v", l.id, i, err)
			}
			continue
		}
		f, err := openFlow(l, i, t)
		if err != nil {
			return control.Errorf(control.CodeCapacity, "leg %s: transports[%d]: %v", l.id, i, err)
		}
		l.flows = append(l.flows, f)
	}
	return nil
}

// putConference moves the leg; alone it has a conference of its own, which is in no list.
func (l *leg) putConference(id string) {
	from := l.conference.Load()
	if from != nil && from.id == id && from.open() {
		return
	}
	var to *conference
	if id == "" {
		if l.alone == nil {
			l.alone = newConference(l.owner, "")
			l.alone.stays = true
		}
		to = l.alone
		to.join(l)
	} else {
		for {
			if to = l.owner.conference(id); to.join(l) {
				break
			}
		}
	}
	l.conference.Store(to)
	if s := l.sound.Load(); s != nil {
		s.move(to.bus)
	}
	for _, k := range l.sinks {
		if err := k.move(to); err != nil {
			k.fail(err)
		}
	}
	if from == nil {
		return
	}
	from.part(l)
	if from == l.alone {
		l.alone.close()
		l.alone = nil
	}
}

// leave takes the leg out of a conference that is deleted, unless it has gone meanwhile.
func (l *leg) leave(c *conference) {
	l.ops.Lock()
	defer l.ops.Unlock()
	if l.closed || l.conference.Load() != c {
		return
	}
	want := l.wanted()
	want.Conference = ""
	l.want.Store(&want)
	l.putConference("")
}

// close ends the leg. The order is that of the packets, backwards: first nothing is made for it any more.
func (l *leg) close() {
	l.ops.Lock()
	defer l.ops.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.engine.traffic.look(l)
	l.transports.Store(nil)
	if c := l.conference.Load(); c != nil {
		c.part(l)
		if c == l.alone {
			defer c.close()
		}
	}
	l.recorders.Store(nil)
	l.takers.Store(nil)
	for _, f := range l.flows {
		f.goodbye()
	}
	for i := range pictures {
		if d := l.display[i].Swap(nil); d != nil {
			d.close()
		}
	}
	if s := l.sound.Swap(nil); s != nil {
		s.close()
	}
	for _, f := range l.flows {
		f.close()
	}
	l.flows = nil
	for i := range pictures {
		if c := l.contribution[i].Swap(nil); c != nil {
			c.close()
		}
	}
	// What is written to a slow disk or server is finished last: nothing else waits for it.
	for id, k := range l.sinks {
		k.close()
		delete(l.sinks, id)
	}
}

// state is the local half.
func (l *leg) state() control.LegState {
	s := control.LegState{ID: l.id, Worker: l.engine.c.Name, CNAME: l.engine.cname, Guest: l.guest()}
	for _, f := range l.flows {
		s.Transports = append(s.Transports, f.endpoint.Local())
	}
	if a := l.sound.Load(); a != nil {
		s.AudioSSRC = a.ssrc
	}
	if d := l.display[mainPicture].Load(); d != nil {
		for _, k := range d.lanes {
			s.VideoSSRC = append(s.VideoSSRC, k.ssrc)
			if k.rtx != 0 {
				s.VideoRTX = append(s.VideoRTX, k.rtx)
			}
		}
	}
	if d := l.display[presentation].Load(); d != nil {
		s.PresentationSSRC, s.PresentationRTX = d.lanes[0].ssrc, d.lanes[0].rtx
	}
	return s
}

// stream is the wanted state of one of the two pictures.
func pictureOf(want *control.Leg, which int) *control.Video {
	if which == presentation {
		return want.Presentation
	}
	return want.Video
}

// sends and receives tell the directions of a stream that is there.
func sends(v *control.Video) bool {
	return v != nil && (v.Direction == control.SendReceive || v.Direction == control.SendOnly)
}

func receives(v *control.Video) bool {
	return v != nil && (v.Direction == control.SendReceive || v.Direction == control.ReceiveOnly)
}

// makeDisplays makes the displays that the wanted state needs and the leg has not.
func (l *leg) makeDisplays(want *control.Leg) (made [pictures]*display, err error) {
	for which := range pictures {
		v := pictureOf(want, which)
		if d := l.display[which].Load(); !sends(v) || d != nil && d.suits(v) {
			continue
		}
		if made[which], err = newDisplay(l, which, v); err != nil {
			for _, d := range made[:which] {
				if d != nil {
					d.close()
				}
			}
			return made, fmt.Errorf("%s: %w", pictureNames[which], err)
		}
	}
	return made, nil
}

// putPictures puts new displays into place, and makes and ends what comes.
func (l *leg) putPictures(want *control.Leg, made [pictures]*display) {
	for which := range pictures {
		v := pictureOf(want, which)
		if old := l.display[which].Load(); old != nil && (made[which] != nil || !sends(v)) {
			l.display[which].Store(nil)
			old.close()
		}
		if made[which] != nil {
			l.display[which].Store(made[which])
		}
		if d := l.display[which].Load(); d != nil && v.NACK && v.Send.RTX == 0 {
			// A packet sent again is the same to the last byte.
			d.flow.endpoint.AllowRepeats()
		}
		c := l.contribution[which].Load()
		if c != nil && !receives(v) {
			l.contribution[which].Store(nil)
			c.close()
		} else if receives(v) && c == nil {
			l.contribution[which].Store(newContribution(l.engine, l, which, l.sources()[which]))
		}
	}
}

func (l *leg) putSound(want *control.Leg) error {
	s := l.sound.Load()
	if want.Audio == nil {
		if s != nil {
			l.sound.Store(nil)
			s.close()
		}
		return nil
	}
	if s == nil {
		s = newSound(l)
		s.flow.Store(l.flows[want.Audio.Transport])
		if err := s.update(want.Audio); err != nil {
			s.close()
			return control.Errorf(control.CodeInvalid, "leg %s: audio: %v", l.id, err)
		}
		l.sound.Store(s)
		return nil
	}
	s.flow.Store(l.flows[want.Audio.Transport])
	if err := s.update(want.Audio); err != nil {
		return control.Errorf(control.CodeInvalid, "leg %s: audio: %v", l.id, err)
	}
	return nil
}

func (l *leg) putSinks(want *control.Leg) error {
	var over []*sink
	for id, k := range l.sinks {
		if !slices.ContainsFunc(want.Sinks, func(s control.Sink) bool { return s == k.want }) {
			over = append(over, k)
			delete(l.sinks, id)
		}
	}
	l.listSinks()
	for _, k := range over {
		k.close()
	}
	var all error
	for _, s := range want.Sinks {
		if l.sinks[s.ID] != nil {
			continue
		}
		k, err := newSink(l, s)
		if err != nil {
			all = errors.Join(all, control.Errorf(control.CodeInvalid, "leg %s: sink %s: %v", l.id, s.ID, err))
			continue
		}
		l.sinks[s.ID] = k
	}
	l.listSinks()
	return all
}

// listSinks has the threads that carry pictures know the sinks.
func (l *leg) listSinks() {
	var recorders, takers []*sink
	for _, k := range l.sinks {
		if k.canvas != nil {
			recorders = append(recorders, k)
		} else {
			takers = append(takers, k)
		}
	}
	l.recorders.Store(&recorders)
	l.takers.Store(&takers)
	if c := l.contribution[mainPicture].Load(); c != nil {
		c.keep(len(takers) > 0)
	}
}

// play plays a prompt to the leg: alone, where it hears itself only; in a conference, over what it hears.
func (l *leg) play(p audio.Play) error {
	if s := l.sound.Load(); s != nil {
		if listener := s.listener.Load(); listener != nil {
			return listener.Play(p)
		}
	}
	return errors.New("the leg has no sound to send")
}

func (l *leg) stop(id string) {
	if s := l.sound.Load(); s != nil {
		if listener := s.listener.Load(); listener != nil {
			listener.Stop(id)
		}
	}
}

func (l *leg) sendKeys(keys string) error {
	var queue *keyQueue
	if s := l.sound.Load(); s != nil {
		queue = s.keys.Load()
	}
	if queue == nil {
		return control.Errorf(control.CodeInvalid, "leg %s has no telephone-event to send keys with", l.id)
	}
	if err := queue.add(keys); err != nil {
		return control.Errorf(control.CodeInvalid, "leg %s: %v", l.id, err)
	}
	return nil
}

// keyFrame makes the next picture that the leg is sent a key frame (guide chapter 16.3).
func (l *leg) keyFrame(name string) error {
	which := slices.Index(pictureNames[:], name)
	if which < 0 {
		return control.Errorf(control.CodeInvalid, "stream %q: want main or presentation", name)
	}
	d := l.display[which].Load()
	if d == nil {
		return control.Errorf(control.CodeUnknown, "leg %s is sent no %s picture", l.id, name)
	}
	d.requestKey()
	return nil
}
