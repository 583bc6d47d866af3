package meeting

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// objects is one store for all tests of the package: a database for each would take longer than the tests. Each test makes objects of its own.
var objects *store.Store

// wholeRun is a testing.TB that lasts as long as the process.
type wholeRun struct {
	testing.TB
	folders []string
	last    []func()
}

func (w *wholeRun) Helper()                      {}
func (w *wholeRun) Cleanup(f func())             { w.last = append(w.last, f) }
func (w *wholeRun) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (w *wholeRun) Logf(string, ...any)          {}
func (w *wholeRun) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (w *wholeRun) TempDir() string {
	d, err := os.MkdirTemp("", "meeting")
	if err != nil {
		panic(err)
	}
	w.folders = append(w.folders, d)
	return d
}

func TestMain(m *testing.M) {
	w := &wholeRun{}
	s, err := store.Open(context.Background(), store.Options{Client: databasetest.Start(w), Machine: uuid.New()})
	if err != nil {
		panic(err)
	}
	objects = s
	code := m.Run()
	s.Close()
	for _, f := range slices.Backward(w.last) {
		f()
	}
	for _, d := range w.folders {
		os.RemoveAll(d)
	}
	os.Exit(code)
}

// fields of an object.
type fields = map[string]string

// put makes an object.
func put(t testing.TB, o *schema.Object, parent ID, f fields) *store.Record {
	t.Helper()
	var id ID
	err := objects.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.New(o, parent)
		if o.Singleton {
			d = tx.Edit(tx.Only(o))
		}
		id = d.ID()
		for name, v := range f {
			d.Set(name, v)
		}
		return tx.Put(d)
	})
	if err != nil {
		t.Fatalf("put %s: %v", o.Name, err)
	}
	return objects.Get(o, id)
}

// profile makes a callLegProfile and returns its ID as text.
func profile(t testing.TB, f fields) string {
	return put(t, schema.CallLegProfile, ID{}, f).ID().String()
}

func callProfileOf(t testing.TB, f fields) string {
	return put(t, schema.CallProfile, ID{}, f).ID().String()
}

func space(t testing.TB, f fields) *store.Record {
	t.Helper()
	g := fields{"name": "weekly"}
	maps.Copy(g, f)
	return put(t, schema.CoSpace, ID{}, g)
}

// fakeClock moves when it is told.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
}

type fakeTimer struct {
	at   time.Time
	f    func()
	over bool
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &fakeTimer{at: c.now.Add(d), f: f}
	c.timers = append(c.timers, t)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.over = true
	}
}

// pass lets time pass; timers run one after the other at their time.
func (c *fakeClock) pass(d time.Duration, between func()) {
	c.mu.Lock()
	until := c.now.Add(d)
	for {
		c.timers = slices.DeleteFunc(c.timers, func(t *fakeTimer) bool { return t.over })
		var next *fakeTimer
		for _, t := range c.timers {
			if !t.at.After(until) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
		next.over = true
		if next.at.After(c.now) {
			c.now = next.at
		}
		c.mu.Unlock()
		next.f()
		between()
		c.mu.Lock()
	}
	c.now = until
	c.mu.Unlock()
}

// fakeLine remembers what it was told.
type fakeLine struct {
	mu     sync.Mutex
	told   []string
	media  *mixer.Leg
	rights *profiles.Effective
	dial   Dial
	caller Caller
	// films is the line whose camera the far end moves.
	films Line
}

func (l *fakeLine) CameraOf(other Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.films = other
}

func (l *fakeLine) moves() Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.films
}

func (l *fakeLine) say(f string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, fmt.Sprintf(f, args...))
}

func (l *fakeLine) Ring()                    { l.say("ring") }
func (l *fakeLine) Accept()                  { l.say("accept") }
func (l *fakeLine) Hangup(r Reason)          { l.say("hangup %s", r) }
func (l *fakeLine) GrantFloor()              { l.say("grant") }
func (l *fakeLine) RevokeFloor()             { l.say("revoke") }
func (l *fakeLine) ShowPresentation(on bool) { l.say("show %t", on) }
func (l *fakeLine) Hold(on bool)             { l.say("hold %t", on) }
func (l *fakeLine) Refer(to string)          { l.say("refer %s", to) }
func (l *fakeLine) Camera(pan, tilt, zoom, focus string) {
	l.say("camera %s%s%s%s", pan, tilt, zoom, focus)
}
func (l *fakeLine) Adjust(r profiles.Effective) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rights = &r
}

// fakePrompts has every prompt as a file of its name.
type fakePrompts struct{}

func (fakePrompts) Prepare(prompt.Kind, string) {}
func (fakePrompts) Files(_ prompt.Kind, location string, names ...prompt.Name) []string {
	var l []string
	for _, n := range names {
		l = append(l, location+"/"+n.File())
	}
	return l
}
func (fakePrompts) Background(prompt.Kind, string) string { return "" }

// engine is one without media that remembers prompts.
type engine struct {
	control.Service
	mu    sync.Mutex
	plays map[string]control.Play // that run
	said  []string                // leg or conference: files
	keys  map[string]string
	gone  map[string]bool
}

func (e *engine) Play(ctx context.Context, p control.Play) error {
	e.mu.Lock()
	e.plays[p.ID] = p
	what := p.Tone
	for _, f := range p.Files {
		what += strings.TrimSuffix(f[strings.LastIndex(f, "/")+1:], ".wav") + " "
	}
	e.said = append(e.said, p.Leg+p.Conference+": "+strings.TrimSpace(what))
	e.mu.Unlock()
	return e.Service.Play(ctx, p)
}

func (e *engine) SendKeys(ctx context.Context, leg, keys string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys[leg] += keys
	return nil
}

func (e *engine) DeleteLeg(ctx context.Context, id string) error {
	e.mu.Lock()
	e.gone[id] = true
	e.mu.Unlock()
	return e.Service.DeleteLeg(ctx, id)
}

// world is a Call Bridge's meetings with everything around them.
type world struct {
	t       testing.TB
	calls   *Calls
	engine  *engine
	test    *controltest.Engine
	mixer   *mixer.Mixer
	clock   *fakeClock
	licence LicenceEffects
	// strangers: nobody vouches for those who arrive.
	strangers bool

	mu      sync.Mutex
	changes []Change
	dials   []*fakeLine
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, clock: &fakeClock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}}
	w.test = controltest.New(control.WorkerStatus{Name: "0.0"})
	w.engine = &engine{Service: w.test.Owner("bridge"), plays: map[string]control.Play{}, keys: map[string]string{}, gone: map[string]bool{}}
	w.mixer = mixer.New(mixer.Options{Service: w.engine})
	w.calls = New(Options{Mixer: w.mixer, Dialer: w, Clock: w.clock, View: func() store.View { return objects }, Prompts: fakePrompts{},
		Licence: func() LicenceEffects { w.mu.Lock(); defer w.mu.Unlock(); return w.licence }})
	w.calls.Subscribe(func(c Change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, c)
	})
	return w
}

// Dial implements Dialer.
func (w *world) Dial(_ context.Context, d Dial, c Caller) (Line, *mixer.Leg) {
	l := &fakeLine{dial: d, caller: c}
	l.media = w.mixer.Leg(d.Leg.String(), nil)
	l.media.Set(streams)
	w.mu.Lock()
	w.dials = append(w.dials, l)
	w.mu.Unlock()
	return l, l.media
}

// streams are those that signalling agreed on.
func streams(l *control.Leg) {
	l.Transports = []control.Transport{{Local: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}
	l.Audio = &control.Audio{Send: control.Format{Codec: control.PCMA}}
	l.Video = &control.Video{Send: control.Format{Codec: control.H264}}
	l.Presentation = &control.Video{Send: control.Format{Codec: control.H264}}
}

// settle waits until everybody has heard everything.
func (w *world) settle() {
	w.calls.lines.settle()
	w.calls.tells.settle()
	w.calls.lines.settle()
	w.calls.tells.settle()
}

// far is a far end.
type far struct {
	w *world
	*fakeLine
	leg *Leg
}

var full = MediaInfo{Audio: true, Video: true, Presentation: true, Camera: true}

// arrives is a call that comes in.
func (w *world) arrives(who string, t Target) *far {
	f := &far{w: w, fakeLine: &fakeLine{}}
	f.media = w.mixer.Leg(uuid.NewString(), nil)
	f.media.Set(streams)
	f.leg = w.calls.Arrive(Arrival{Vouched: !w.strangers, Line: f.fakeLine, Media: f.media, Identity: Identity{Name: who, Address: who + "@example.com", SIPID: who,
		From: netip.MustParseAddrPort("192.0.2.1:5060")}, Kind: "sip", Called: "weekly@example.com", Offer: full}, t).(*Leg)
	w.settle()
	return f
}

// joins is a call that comes in and is answered.
func (w *world) joins(who string, s *store.Record) *far {
	return w.joinsBy(who, Entry{Space: s})
}

func (w *world) joinsBy(who string, e Entry) *far {
	w.t.Helper()
	f := w.arrives(who, Target{Entries: []Entry{e}})
	f.answers()
	return f
}

// answers is the media's being up.
func (f *far) answers() { f.answersWith(full) }

func (f *far) answersWith(m MediaInfo) {
	f.leg.Answered(Identity{}, m)
	f.w.settle()
}

func (f *far) hangsUp() {
	f.leg.Ended(RemoteTeardown, true)
	f.w.settle()
}

func (f *far) presses(keys string) {
	for _, k := range keys {
		f.leg.Key(k)
		f.w.settle()
	}
}

// info is the leg as the API has it.
func (f *far) info() LegInfo {
	f.w.t.Helper()
	f.leg.c.lock()
	defer f.leg.c.unlock()
	return f.leg.info()
}

func (f *far) participant() ParticipantInfo {
	f.w.t.Helper()
	p, ok := f.w.calls.Participant(f.info().Participant)
	if !ok {
		f.w.t.Fatalf("%s is no participant", f.leg.name)
	}
	return p
}

// put is the leg as the engine has it.
func (f *far) put() control.Leg {
	f.w.t.Helper()
	// A put that waits for its answer comes after all that were asked before.
	if _, err := f.media.Put(f.w.t.Context(), func(*control.Leg) {}); err != nil {
		f.w.t.Fatal(err)
	}
	return f.w.test.Leg("bridge", f.media.ID())
}

// does checks and forgets what the line was told.
func (f *far) does(want ...string) {
	f.w.t.Helper()
	f.w.settle()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.told, want) && len(f.told)+len(want) > 0 {
		f.w.t.Errorf("%s: want the line to be told %q, got %q", f.leg.name, want, f.told)
	}
	f.told = nil
}

// dialled is the last call out.
func (w *world) dialled() *far {
	w.t.Helper()
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.dials) == 0 {
		w.t.Fatal("nobody was called")
	}
	l := w.dials[len(w.dials)-1]
	return &far{w: w, fakeLine: l, leg: l.caller.(*Leg)}
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.settle()
	w.clock.pass(d, w.settle)
	w.settle()
}

// barrier waits until the engine has done all that was asked of the leg so far.
func (f *far) barrier() {
	if _, err := f.media.Put(f.w.t.Context(), func(*control.Leg) {}); err != nil {
		return // closed
	}
	// A put may overtake prompts; what is asked later of other kinds does not.
	mark := "mark" + uuid.NewString()
	f.media.StopPlay(mark)
	f.w.test.Await(f.w.t, "stopPlay "+mark)
}

// heard is what a leg was played so far.
func (f *far) heard() []string {
	w := f.w
	w.settle()
	f.barrier()
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	var l []string
	for _, s := range w.engine.said {
		if who, what, _ := strings.Cut(s, ": "); who == f.media.ID() {
			l = append(l, what)
		}
	}
	return l
}

// played tells that all prompts of the leg are through, those that follow too; what loops goes on.
func (f *far) played() {
	f.w.t.Helper()
	for {
		f.heard()
		f.w.engine.mu.Lock()
		var id string
		for _, p := range f.w.engine.plays {
			if p.Leg == f.media.ID() && !p.Loop {
				id = p.ID
			}
		}
		delete(f.w.engine.plays, id)
		f.w.engine.mu.Unlock()
		if id == "" {
			return
		}
		f.w.mixer.Event(control.Event{Event: control.EventPlayed, Leg: f.media.ID(), ID: id})
		f.w.settle()
	}
}

// hears checks the last prompts of a leg.
func (f *far) hears(want ...string) {
	f.w.t.Helper()
	got := f.heard()
	if len(got) < len(want) || !slices.Equal(got[len(got)-len(want):], want) {
		f.w.t.Errorf("%s: want to hear %q last, got %q", f.leg.name, want, got)
	}
}

// kinds lists changes since the last call.
func (w *world) kinds() []Kind {
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	var l []Kind
	for _, c := range w.changes {
		l = append(l, c.Kind)
	}
	w.changes = nil
	return l
}

// only is the only call there is.
func (w *world) only() CallInfo {
	w.t.Helper()
	list := w.calls.Calls()
	if len(list) != 1 {
		w.t.Fatalf("want one call, got %+v", list)
	}
	return list[0]
}

func (w *world) conference() control.Conference {
	w.t.Helper()
	w.settle()
	id := w.only().ID
	w.calls.mu.Lock()
	k := w.calls.calls[id]
	w.calls.mu.Unlock()
	// What is asked later is done later.
	mark := "mark" + uuid.NewString()
	k.conference.StopPlay(mark)
	w.test.Await(w.t, "stopPlay "+mark)
	return w.test.Conference("bridge", id.String())
}
