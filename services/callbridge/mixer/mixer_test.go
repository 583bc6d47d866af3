package mixer

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// heard is a handler that passes everything on.
type heard struct {
	moved   chan control.LegState
	refused chan error
	events  chan control.Event
}

func newHeard() heard {
	return heard{make(chan control.LegState, 100), make(chan error, 100), make(chan control.Event, 100)}
}
func (h heard) Moved(s control.LegState) { h.moved <- s }
func (h heard) Refused(err error)        { h.refused <- err }
func (h heard) Event(e control.Event)    { h.events <- e }

func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

func open(t *testing.T) (*Mixer, *controltest.Engine) {
	t.Helper()
	e := controltest.New(control.WorkerStatus{Name: "0.0"})
	return New(Options{Service: e.Owner("bridge")}), e
}

func withTransport(l *control.Leg) {
	l.Transports = []control.Transport{{Local: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}
}

func TestSignallingAndMeetingWriteOneLeg(t *testing.T) {
	m, e := open(t)
	l := m.Leg("alice", nil)
	if _, there := l.State(); there {
		t.Error("the leg has a state before the engine knows it")
	}
	state, err := l.Put(t.Context(), withTransport)
	if err != nil || len(state.Transports) != 1 {
		t.Fatalf("want one transport, got %+v and %v", state, err)
	}
	l.Set(func(l *control.Leg) { l.Name = "Alice" })
	if _, err := l.Put(t.Context(), func(l *control.Leg) { l.Conference = "room" }); err != nil {
		t.Fatal(err)
	}
	got := e.Leg("bridge", "alice")
	if got.ID != "alice" || got.Name != "Alice" || got.Conference != "room" || len(got.Transports) != 1 {
		t.Errorf("want what both wrote, got %+v", got)
	}
}

func TestChangesThatWaitBehindOneAnotherArePutOnce(t *testing.T) {
	m, e := open(t)
	begun, goOn := make(chan struct{}, 1), make(chan struct{})
	var first atomic.Bool
	e.Refuse(func(ask, _ string) error {
		if ask == "putLeg" && first.CompareAndSwap(false, true) {
			begun <- struct{}{}
			<-goOn
		}
		return nil
	})
	l := m.Leg("alice", nil)
	l.Set(withTransport)
	wait(t, "the first put", begun)
	var order []int
	for i := range 100 {
		l.Set(func(l *control.Leg) { order = append(order, i); l.Importance = i })
	}
	close(goOn)
	if _, err := l.Put(t.Context(), func(l *control.Leg) { l.Name = "last" }); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(order) || len(order) != 100 {
		t.Errorf("want all changes in their order, got %v", order)
	}
	if got := e.Leg("bridge", "alice"); got.Importance != 99 || got.Name != "last" {
		t.Errorf("want the newest state, got %+v", got)
	}
	puts := 0
	for _, said := range e.Said() {
		if said == "putLeg alice" {
			puts++
		}
	}
	if puts > 3 {
		t.Errorf("101 changes while one put was under way took %d puts, want 3 at most", puts)
	}
}

func TestALegOfADeadWorkerIsPutAgainAndItsPromptsBeginAnew(t *testing.T) {
	m, e := open(t)
	h := newHeard()
	l := m.Leg("alice", h)
	if _, err := l.Put(t.Context(), withTransport); err != nil {
		t.Fatal(err)
	}
	id := l.Play(control.Play{Files: []string{"/waiting.wav"}, Loop: true})
	e.Await(t, "play "+id)
	e.Status.Name = "0.1"
	m.Event(control.Event{Event: control.EventLost, Legs: []string{"alice", "of somebody else"}, Worker: "0.0"})
	if s := wait(t, "Moved", h.moved); s.Worker != "0.1" {
		t.Errorf("want the state of worker 0.1, got %+v", s)
	}
	e.AwaitMore(t, "play "+id, 1)
	m.Event(control.Event{Event: control.EventPlayed, Leg: "alice", ID: id})
	if got := wait(t, "played", h.events); got.ID != id {
		t.Errorf("want %s to be over, got %+v", id, got)
	}
}

func TestALegOfTheOnlyWorkerWaitsForItToComeBack(t *testing.T) {
	m, e := open(t)
	h := newHeard()
	l := m.Leg("alice", h)
	if _, err := l.Put(t.Context(), withTransport); err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int32
	e.Refuse(func(ask, _ string) error {
		if ask == "putLeg" && tries.Add(1) < 4 {
			return &control.Error{Code: control.CodeCapacity, Text: "no media worker is registered"}
		}
		return nil
	})
	e.Status.Name = "0.1"
	m.Event(control.Event{Event: control.EventLost, Legs: []string{"alice"}, Worker: "0.0"})
	if s := wait(t, "Moved", h.moved); s.Worker != "0.1" || tries.Load() != 4 {
		t.Errorf("want it back at the fourth try, got %+v after %d", s, tries.Load())
	}
	if len(h.refused) != 0 {
		t.Error("the leg was told that it cannot be")
	}
}

func TestAPutThatWasLostOnTheWayIsAskedAgain(t *testing.T) {
	m, e := open(t)
	var tries atomic.Int32
	e.Refuse(func(ask, _ string) error {
		if ask == "putLeg" && tries.Add(1) < 3 {
			return &control.Error{Code: control.CodeLost, Text: "the worker went away"}
		}
		return nil
	})
	if _, err := m.Leg("alice", nil).Put(t.Context(), withTransport); err != nil || tries.Load() != 3 {
		t.Errorf("want the third try to succeed, got %v after %d", err, tries.Load())
	}
}

func TestWhatCannotBeHadIsToldAndWhatWasThereStays(t *testing.T) {
	m, e := open(t)
	h := newHeard()
	l := m.Leg("alice", h)
	if _, err := l.Put(t.Context(), withTransport); err != nil {
		t.Fatal(err)
	}
	full := &control.Error{Code: control.CodeCapacity, Text: "full"}
	e.Refuse(func(string, string) error { return full })
	if _, err := l.Put(t.Context(), func(l *control.Leg) { l.Units = 2000; l.Transports[0].MTU = 1400 }); control.CodeOf(err) != control.CodeCapacity {
		t.Errorf("want the refusal, got %v", err)
	}
	l.Set(func(l *control.Leg) { l.Units = 4000 })
	if err := wait(t, "Refused", h.refused); control.CodeOf(err) != control.CodeCapacity {
		t.Errorf("want the refusal, got %v", err)
	}
	e.Refuse(nil)
	if _, err := l.Put(t.Context(), func(l *control.Leg) { l.Name = "Alice" }); err != nil {
		t.Fatal(err)
	}
	if got := e.Leg("bridge", "alice"); got.Units != 0 || got.Transports[0].MTU != 0 || got.Name != "Alice" {
		t.Errorf("want what was refused forgotten, got %+v", got)
	}
	if len(h.moved) != 0 {
		t.Error("a leg that stayed was told to have moved")
	}
}

func TestAPromptThatCannotBeginIsOver(t *testing.T) {
	m, e := open(t)
	h := newHeard()
	l := m.Leg("alice", h)
	e.Refuse(func(ask, _ string) error {
		if ask == "play" {
			return &control.Error{Code: control.CodeInvalid, Text: "no such file"}
		}
		return nil
	})
	id := l.Play(control.Play{Files: []string{"/none.wav"}})
	if got := wait(t, "played", h.events); got.Event != control.EventPlayed || got.ID != id || !strings.Contains(got.Text, "no such file") {
		t.Errorf("want %s to be over, got %+v", id, got)
	}
	over := make(chan control.Event, 1)
	c := m.Conference("room", func(e control.Event) { over <- e })
	id = c.Play(control.Play{Tone: "join"})
	if got := wait(t, "played", over); got.ID != id || got.Conference != "room" {
		t.Errorf("want %s to be over, got %+v", id, got)
	}
}

func TestAClosedLegIsDeletedAndGivesUpWhatItWaitsFor(t *testing.T) {
	m, e := open(t)
	h := newHeard()
	l := m.Leg("alice", h)
	var lost atomic.Bool
	lost.Store(true)
	e.Refuse(func(ask, _ string) error {
		if ask == "putLeg" && lost.Load() {
			return &control.Error{Code: control.CodeLost, Text: "no worker"}
		}
		return nil
	})
	answer := make(chan error, 1)
	go func() {
		_, err := l.Put(context.Background(), withTransport)
		answer <- err
	}()
	l.Close()
	if err := wait(t, "the put's end", answer); !errors.Is(err, ErrClosed) {
		t.Errorf("want ErrClosed, got %v", err)
	}
	e.Await(t, "deleteLeg alice")
	if _, err := l.Put(t.Context(), withTransport); !errors.Is(err, ErrClosed) {
		t.Errorf("want ErrClosed, got %v", err)
	}
	m.Event(control.Event{Event: control.EventKey, Leg: "alice", Key: "1"})
	if len(h.events) != 0 {
		t.Error("a closed leg heard something")
	}
}

func TestTwoHandlersHearInTurnUntilTheyAreCancelled(t *testing.T) {
	m, _ := open(t)
	a, b := newHeard(), newHeard()
	l := m.Leg("alice", a)
	cancel := l.Handle(b)
	m.Event(control.Event{Event: control.EventKey, Leg: "alice", Key: "1"})
	cancel()
	m.Event(control.Event{Event: control.EventKey, Leg: "alice", Key: "2"})
	if len(a.events) != 2 || len(b.events) != 1 {
		t.Errorf("want 2 and 1 events, got %d and %d", len(a.events), len(b.events))
	}
}

func TestConferencesArePutAndPutAgain(t *testing.T) {
	m, e := open(t)
	c := m.Conference("room", nil)
	c.Set(func(c *control.Conference) { c.Message.Text = "hello" })
	c.Set(func(c *control.Conference) { c.Presenter = "alice" })
	e.Await(t, "putConference room")
	m.Event(control.Event{Event: control.EventLost, Conference: "room"})
	e.AwaitMore(t, "putConference room", 1)
	if got := e.Conference("bridge", "room"); got.ID != "room" || got.Message.Text != "hello" || got.Presenter != "alice" {
		t.Errorf("want what was set, got %+v", got)
	}
	c.Close()
	e.Await(t, "deleteConference room")
}

func TestFiguresOfManyLegsAreAskedInParts(t *testing.T) {
	m, e := open(t)
	var names []string
	var all sync.WaitGroup
	for i := range 2*control.MaxStats + 1 {
		l := m.Leg("leg"+string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10)), nil)
		names = append(names, l.ID())
		all.Go(func() {
			if _, err := l.Put(context.Background(), withTransport); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := m.Stats(t.Context(), names...)
	if err != nil || len(got) != len(names) {
		t.Fatalf("want %d figures, got %d and %v", len(names), len(got), err)
	}
	if said := strings.Join(e.Said(), ","); !strings.Contains(said, "stats 100,stats 100,stats 1") {
		t.Errorf("want three requests, got %s", said[strings.Index(said, "stats"):])
	}
}
