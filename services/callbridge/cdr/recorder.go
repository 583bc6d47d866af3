package cdr

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/meeting"
)

// Options are what a Recorder needs.
type Options struct {
	// Control is listened to from [New] on.
	Control meeting.Control
	// Stats are the figures of a leg's media, asked for in the moment in which its end is told: they must be at hand. Nil for none.
	Stats func(leg meeting.ID) Figures
	// CallBridge is this Call Bridge's ID in a cluster, "" where there is none. Nil for none.
	CallBridge func() string
	// TLS is asked for at each new connection to a receiver. Nil, or an answer of nil, takes any certificate.
	TLS func() *tls.Config
	// Alarm is told when the first receiver does not take records and when all do again (cdrConnectionFailure), with the
	// failureReason of reference section 2.11. Nil for none. It must not wait.
	Alarm func(on bool, reason string)
	Log   *slog.Logger
	// Now is the clock of records; nil for the machine's.
	Now func() time.Time
}

// Recorder makes records and delivers them. It is safe for concurrent use.
type Recorder struct {
	o       Options
	log     *slog.Logger
	session string
	stop    func()
	pace    pace

	// mu guards what follows; nothing is waited for under it.
	mu        sync.Mutex
	next      uint64 // correlatorIndex
	calls     map[meeting.ID]*callBook
	legs      map[meeting.ID]*legBook
	sinks     map[meeting.ID]*Type // what ends each
	receivers []*receiver          // by number
	scratch   bytes.Buffer

	alarm alarm
}

// callBook is what is remembered of a call whose callStart was made.
type callBook struct {
	presenter meeting.ID
	legs      map[meeting.ID]*legBook
}

// legBook is what is remembered of a leg whose callLegStart was made.
type legBook struct {
	use usage
	// told is what the last record said, as callLegUpdate would.
	told []byte
	// joined says that state=connected was told.
	joined bool
}

// New makes a Recorder that listens from now on.
func New(o Options) *Recorder {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Recorder{o: o, log: o.Log, session: uuid.NewString(), pace: usualPace,
		calls: map[meeting.ID]*callBook{}, legs: map[meeting.ID]*legBook{}, sinks: map[meeting.ID]*Type{}}
	r.alarm.tell = o.Alarm
	_, r.stop = o.Control.Subscribe(r.hear)
	return r
}

// Session is this process's, the same for all receivers.
func (r *Recorder) Session() string { return r.session }

// Index is the correlatorIndex of the next record (system/status).
func (r *Recorder) Index() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// Now is the clock as records show it (system/status).
func (r *Recorder) Now() time.Time { return r.o.Now() }

// hear makes the records of one change.
func (r *Recorder) hear(c meeting.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	switch c.Kind {
	case meeting.CallBegan:
		if c.Call != nil && r.calls[c.Call.ID] == nil {
			r.calls[c.Call.ID] = &callBook{presenter: c.Call.Presenter, legs: map[meeting.ID]*legBook{}}
			r.make(callStart, &entry{at: now, call: c.Call})
		}
	case meeting.CallChanged:
		if c.Call != nil {
			r.presents(now, c.Call)
		}
	case meeting.CallOver:
		if c.Call == nil || r.calls[c.Call.ID] == nil {
			return
		}
		// Its last state may still have a presenter whose leg goes on elsewhere.
		r.presents(now, &meeting.CallInfo{ID: c.Call.ID})
		delete(r.calls, c.Call.ID)
		r.make(callEnd, &entry{at: now, call: c.Call})
	case meeting.LegBegan, meeting.LegChanged, meeting.LegOver:
		if c.Leg != nil {
			r.leg(now, c.Kind, c.Leg)
		}
	case meeting.RecordingBegan:
		r.sink(now, c, recordingStart, recordingEnd)
	case meeting.StreamingBegan:
		r.sink(now, c, streamingStart, streamingEnd)
	case meeting.RecordingOver, meeting.StreamingOver:
		if end := r.sinks[c.Sink.ID]; end != nil {
			delete(r.sinks, c.Sink.ID)
			r.make(end, &entry{at: now, sink: sink{id: c.Sink.ID}})
		}
	}
}

func (r *Recorder) sink(now time.Time, c meeting.Change, start, end *Type) {
	if r.sinks[c.Sink.ID] != nil {
		return
	}
	r.sinks[c.Sink.ID] = end
	s := c.Sink
	r.make(start, &entry{at: now, sink: sink{id: s.ID, call: s.Call, leg: s.Leg, path: s.Path, url: withoutPassword(s.URL), server: s.Server}})
}

// presents takes who presents in a call: the time of all its legs is counted anew from here.
func (r *Recorder) presents(now time.Time, c *meeting.CallInfo) {
	book := r.calls[c.ID]
	if book == nil || book.presenter == c.Presenter {
		return
	}
	book.presenter = c.Presenter
	for _, l := range book.legs {
		l.use.turn(now, l.use.leg, c.Presenter)
	}
}

func (r *Recorder) leg(now time.Time, kind meeting.Kind, info *meeting.LegInfo) {
	book := r.legs[info.ID]
	switch {
	case kind == meeting.LegBegan && book == nil:
		book = &legBook{}
		r.legs[info.ID] = book
		r.place(now, book, info)
		e := &entry{at: now, leg: info, use: &book.use}
		r.news(book, e)
		r.make(legStart, e)
		r.joins(book, e)
	case book == nil:
		// It began before anybody listened.
	case kind == meeting.LegOver:
		ended := now
		if !info.Ended.IsZero() && info.Ended.Before(now) {
			// It is told some time later on a busy machine.
			ended = info.Ended
		}
		r.place(ended, book, info)
		r.displace(book)
		delete(r.legs, info.ID)
		e := &entry{at: now, leg: info, use: &book.use}
		if r.o.Stats != nil {
			e.figures = r.o.Stats(info.ID)
		}
		r.make(legEnd, e)
	default:
		r.place(now, book, info)
		e := &entry{at: now, leg: info, use: &book.use}
		if r.joins(book, e) {
			return
		}
		if r.news(book, e) {
			r.make(legUpdate, e)
		}
	}
}

// joins makes the update of the moment in which a leg is connected.
func (r *Recorder) joins(book *legBook, e *entry) bool {
	if book.joined || e.leg.State != meeting.Connected {
		return false
	}
	book.joined = true
	r.news(book, e)
	e.joined = true
	r.make(legUpdate, e)
	return true
}

// place counts a leg's time and puts it where it now is.
func (r *Recorder) place(now time.Time, book *legBook, info *meeting.LegInfo) {
	if book.use.leg == nil || book.use.leg.Call != info.Call {
		r.displace(book)
		if c := r.calls[info.Call]; c != nil {
			c.legs[info.ID] = book
		}
	}
	var presenter meeting.ID
	if c := r.calls[info.Call]; c != nil {
		presenter = c.presenter
	}
	book.use.turn(now, info, presenter)
}

func (r *Recorder) displace(book *legBook) {
	if book.use.leg != nil {
		if c := r.calls[book.use.leg.Call]; c != nil {
			delete(c.legs, book.use.leg.ID)
		}
	}
}

// news says whether a callLegUpdate would say anything that no record has said. Most changes of legs, of layouts and mutes, are none.
func (r *Recorder) news(book *legBook, e *entry) bool {
	r.scratch.Reset()
	legUpdate.child(&r.scratch, e)
	if bytes.Equal(r.scratch.Bytes(), book.told) {
		return false
	}
	book.told = append(book.told[:0], r.scratch.Bytes()...)
	return true
}

// make numbers a record and gives it to all receivers.
func (r *Recorder) make(t *Type, e *entry) {
	index := r.next
	r.next++
	if len(r.receivers) == 0 {
		return
	}
	one := encode(t, e, index)
	for _, v := range r.receivers {
		v.put(one)
	}
}

// Place is one receiver.
type Place struct {
	ID meeting.ID
	// URI is used as it stands; with "" nothing is sent.
	URI string
}

// maxReceivers is how many a Call Bridge has (guide 3.1.6).
const maxReceivers = 4

// follow makes the receivers those that are wanted: new ones get records from now on, one with another URI keeps those that wait and
// counts from 1 again, and one that goes loses them. It returns those that must be started.
func (r *Recorder) follow(wanted []Place) (started []*receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted = slices.DeleteFunc(slices.Clone(wanted), func(p Place) bool { return p.URI == "" })
	wanted = wanted[:min(len(wanted), maxReceivers)]
	r.receivers = slices.DeleteFunc(r.receivers, func(v *receiver) bool {
		if slices.ContainsFunc(wanted, func(p Place) bool { return p.ID == v.id }) {
			return false
		}
		v.end()
		return true
	})
	for _, p := range wanted {
		at := slices.IndexFunc(r.receivers, func(v *receiver) bool { return v.id == p.ID })
		if at >= 0 && r.receivers[at].uri == p.URI {
			continue
		}
		number := 1
		if at >= 0 {
			number = r.receivers[at].number
		} else {
			for slices.ContainsFunc(r.receivers, func(v *receiver) bool { return v.number == number }) {
				number++
			}
		}
		v, err := r.receiver(p, number)
		if err != nil {
			// The API takes none of these.
			r.log.Error("a CDR receiver cannot be used", "receiver", number, "error", err)
			if at >= 0 {
				r.receivers[at].end()
				r.receivers = slices.Delete(r.receivers, at, at+1)
			}
			continue
		}
		if at >= 0 {
			r.receivers[at].end()
			v.inherit(r.receivers[at])
			r.receivers[at] = v
		} else {
			r.receivers = append(r.receivers, v)
		}
		started = append(started, v)
	}
	slices.SortFunc(r.receivers, func(a, b *receiver) int { return cmp.Compare(a.number, b.number) })
	return started
}
