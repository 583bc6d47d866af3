package manager

import (
	"slices"
	"testing"

	"rotunda/services/media/control"
)

// sound is a leg that takes some units.
func sound(id, conference string, units int) control.Leg {
	return control.Leg{ID: id, Name: "name of " + id, Conference: conference, Units: units, Audio: &control.Audio{}}
}

func guests(c control.Conference) (ids []string) {
	for _, g := range c.Guests {
		ids = append(ids, g.ID)
	}
	return ids
}

// crowd is a conference of three legs on two workers of three: 1 and 2 at home, 3 at the other.
func crowd(t *testing.T) (c *control.Client, events <-chan control.Event, home, other *fakeWorker, d *desk) {
	t.Helper()
	d = open(t, anywhere, anywhere, 3)
	workers := map[string]*fakeWorker{}
	for i := range 3 {
		w := hire(t, d.workers, 0, i, 2000)
		workers[w.Status.Name] = w
	}
	c, events = bridge(t, d.clients)
	if err := c.PutConference(t.Context(), control.Conference{ID: "weekly", Recording: true}); err != nil {
		t.Fatal(err)
	}
	first := put(t, c, sound("1", "weekly", 900))
	if got := put(t, c, sound("2", "weekly", 900)); got != first {
		t.Fatalf("second leg: want worker %s, got %s", first, got)
	}
	if got := workers[first].Conference("bridge", "weekly"); got.Mix != 0 || len(got.Others)+len(got.Guests) != 0 {
		t.Errorf("a conference on one worker: want nothing of others, got %+v", got)
	}
	second := put(t, c, sound("3", "weekly", 900))
	if second == first {
		t.Fatalf("third leg: want another worker than %s", first)
	}
	return c, events, workers[first], workers[second], d
}

func TestAConferenceThatOutgrowsItsWorkerSpansTwo(t *testing.T) {
	c, _, home, other, _ := crowd(t)
	a, b := home.Conference("bridge", "weekly"), other.Conference("bridge", "weekly")
	if a.Mix == 0 || b.Mix == 0 || a.Mix == b.Mix {
		t.Errorf("numbers of the mixes: want two that differ, got %d and %d", a.Mix, b.Mix)
	}
	want := control.Other{Worker: other.Status.Name, Exchange: other.Status.Exchange, Mix: b.Mix}
	if len(a.Others) != 1 || a.Others[0] != want {
		t.Errorf("others at the first worker: want [%+v], got %+v", want, a.Others)
	}
	if !slices.Equal(guests(a), []string{"3"}) || !slices.Equal(guests(b), []string{"1", "2"}) || !b.Recording {
		t.Errorf("guests: want [3] and [1 2] in a conference that is recorded, got %v and %v, recorded: %v", guests(a), guests(b), b.Recording)
	}
	if g := b.Guests[0]; g.Worker != home.Status.Name || g.Name != "name of 1" || g.Source == 0 {
		t.Errorf("guest 1: want its worker, name and number, got %+v", g)
	}
	// The new worker knows the conference before it gets the leg, so that it announces nobody who is there already.
	said := other.Said()
	if at := slices.Index(said, "putConference weekly"); at < 0 || at > slices.Index(said, "putLeg 3") {
		t.Errorf("the new worker: want the conference before the leg, got %q", said)
	}

	// Changes reach everybody; what is as it was is not told again.
	muted := sound("1", "weekly", 900)
	muted.Audio.Muted = true
	put(t, c, muted)
	if g := other.Conference("bridge", "weekly").Guests[0]; !g.Muted {
		t.Errorf("a guest that was muted: got %+v", g)
	}
	before := len(other.Said())
	put(t, c, muted)
	if got := other.Said()[before:]; len(got) != 0 {
		t.Errorf("a leg put again as it was: want nothing told to the other worker, got %q", got)
	}
	if err := c.PutConference(t.Context(), control.Conference{ID: "weekly", Streaming: true, Mix: 7, Guests: []control.Guest{{ID: "eve", Source: 1, Screen: 2}}}); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*fakeWorker{home, other} {
		got := w.Conference("bridge", "weekly")
		if !got.Streaming || got.Recording || got.Mix == 7 || slices.Contains(guests(got), "eve") {
			t.Errorf("worker %s: want what the owner may say, and not what it may not, got %+v", w.Status.Name, got)
		}
	}
	if s, err := c.PutLeg(t.Context(), muted); err != nil || s.Guest != nil {
		t.Errorf("what is for the manager: want it kept from clients, got %+v, %v", s.Guest, err)
	}

	// When the other worker's legs go the conference is on one again.
	if err := c.DeleteLeg(t.Context(), "3"); err != nil {
		t.Fatal(err)
	}
	if got := home.Conference("bridge", "weekly"); got.Mix != 0 || len(got.Others)+len(got.Guests) != 0 {
		t.Errorf("on one worker again: want nothing of others, got %+v", got)
	}
	if got := other.Conferences("bridge"); len(got) != 0 {
		t.Errorf("where no leg is left: want no conference, got %v", got)
	}
}

func TestGuestsOfAWorkerThatDiesVanishAtOnce(t *testing.T) {
	c, events, home, other, _ := crowd(t)
	told := func() int {
		n := 0
		for _, said := range other.Said() {
			if said == "putConference weekly" {
				n++
			}
		}
		return n
	}
	before := told()
	home.kill()
	e := next(t, events)
	slices.Sort(e.Legs)
	if e.Event != control.EventLost || !slices.Equal(e.Legs, []string{"1", "2"}) {
		t.Fatalf("want legs 1 and 2 lost, got %+v", e)
	}
	other.AwaitMore(t, "putConference weekly", before)
	if got := other.Conference("bridge", "weekly"); got.Mix != 0 || len(got.Others)+len(got.Guests) != 0 || !got.Recording {
		t.Errorf("after the other worker died: want the conference without guests, got %+v", got)
	}
	// They are put again: first where the conference still is, then at the third worker.
	if got := put(t, c, sound("1", "weekly", 900)); got != other.Status.Name {
		t.Errorf("leg 1 again: want worker %s, got %s", other.Status.Name, got)
	}
	if got := put(t, c, sound("2", "weekly", 900)); got == other.Status.Name || got == home.Status.Name {
		t.Errorf("leg 2 again: want the third worker, got %s", got)
	}
	if got := guests(other.Conference("bridge", "weekly")); !slices.Equal(got, []string{"2"}) {
		t.Errorf("guests: want [2], got %v", got)
	}
}

func TestAPromptToAConferencePlaysOnAllItsWorkersAndEndsOnce(t *testing.T) {
	c, events, home, other, _ := crowd(t)
	if err := c.Play(t.Context(), control.Play{ID: "p", Conference: "weekly", Tone: "join"}); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*fakeWorker{home, other} {
		if !slices.Contains(w.Said(), "play p") {
			t.Errorf("worker %s: want the prompt played, got %q", w.Status.Name, w.Said())
		}
	}
	played := control.Event{Event: control.EventPlayed, ID: "p", Conference: "weekly"}
	home.dispatcher.Emit("bridge", played)
	home.dispatcher.Emit("bridge", control.Event{Event: control.EventAlarm, Alarm: "after the first"})
	if e := next(t, events); e.Alarm != "after the first" {
		t.Errorf("through on one of two workers: want no event, got %+v", e)
	}
	other.dispatcher.Emit("bridge", played)
	if e := next(t, events); e.Event != control.EventPlayed || e.ID != "p" {
		t.Errorf("through on both: want it told, got %+v", e)
	}

	if err := c.Play(t.Context(), control.Play{ID: "q", Conference: "weekly", Tone: "join"}); err != nil {
		t.Fatal(err)
	}
	other.dispatcher.Emit("bridge", control.Event{Event: control.EventPlayed, ID: "q", Conference: "weekly"})
	other.dispatcher.Emit("bridge", control.Event{Event: control.EventAlarm, Alarm: "a mark"})
	if e := next(t, events); e.Alarm != "a mark" {
		t.Errorf("want no event before the last worker is through, got %+v", e)
	}
	home.kill()
	if e := next(t, events); e.Event != control.EventPlayed || e.ID != "q" {
		t.Errorf("when the last worker that plays dies: want it told, got %+v", e)
	}
}

func TestAnotherManagerKeepsAConferenceOnItsWorkers(t *testing.T) {
	c, _, home, other, d := crowd(t)
	a, b := home.Conference("bridge", "weekly"), other.Conference("bridge", "weekly")
	saidHome, saidOther := len(home.Said()), len(other.Said())
	d.stop()
	again := open(t, d.workers, d.clients, 3)
	again.report(t, "media module status 1 (1/1) 1/1 (full media capacity)")
	put(t, c, sound("3", "weekly", 900))
	// The client that comes back says what it has.
	if got := home.Said()[saidHome:]; !slices.Equal(got, []string{"sync [1 2] [weekly]"}) {
		t.Errorf("the first worker: want nothing told by the new manager, got %q", got)
	}
	if got := other.Said()[saidOther:]; !slices.Equal(got, []string{"sync [3] [weekly]", "putLeg 3"}) {
		t.Errorf("the other worker: want only leg 3 told, got %q", got)
	}
	put(t, c, sound("4", "weekly", 900))
	a2, b2 := home.Conference("bridge", "weekly"), other.Conference("bridge", "weekly")
	if a2.Mix != a.Mix || b2.Mix != b.Mix {
		t.Errorf("numbers of the mixes: want them kept, got %d and %d for %d and %d", a2.Mix, b2.Mix, a.Mix, b.Mix)
	}
	if !slices.Equal(guests(a2), []string{"3", "4"}) || !slices.Equal(guests(b2), []string{"1", "2"}) {
		t.Errorf("guests: want [3 4] and [1 2], got %v and %v", guests(a2), guests(b2))
	}
}

func TestADeletedConferenceGoesFromAllItsWorkers(t *testing.T) {
	c, _, home, other, _ := crowd(t)
	if err := c.DeleteConference(t.Context(), "weekly"); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*fakeWorker{home, other} {
		if got := w.Conferences("bridge"); len(got) != 0 {
			t.Errorf("worker %s: want no conference, got %v", w.Status.Name, got)
		}
		if got := w.Legs("bridge"); len(got) == 0 {
			t.Errorf("worker %s: want its legs left, each alone, got none", w.Status.Name)
		}
	}
}

func TestTheGuestsPicturesAreInTheLoad(t *testing.T) {
	d := open(t, anywhere, anywhere, 2)
	for i := range 2 {
		hire(t, d.workers, 0, i, 4000)
	}
	c, _ := bridge(t, d.clients)
	film := func(id string) control.Leg {
		return control.Leg{ID: id, Conference: "weekly", Video: &control.Video{}}
	}
	first := put(t, c, film("1"))
	for _, id := range []string{"2", "3", "4"} {
		if got := put(t, c, film(id)); got != first {
			t.Fatalf("leg %s: want worker %s, got %s", id, first, got)
		}
	}
	// The fifth one's worker has to decode the four others as well: 1000 and 4 × 500 and one leg's sound.
	second := put(t, c, film("5"))
	if second == first {
		t.Fatal("leg 5: want the other worker")
	}
	if _, err := c.PutLeg(t.Context(), film("6")); control.CodeOf(err) != control.CodeCapacity {
		t.Errorf("a leg for which the guests leave no room: want code %s, got %v", control.CodeCapacity, err)
	}
	if got := put(t, c, sound("7", "weekly", 900)); got != second {
		t.Errorf("a leg that fits beside the guests: want worker %s, got %s", second, got)
	}
}

func TestOnlyWorkersOfOneMachineShareAConference(t *testing.T) {
	d := open(t, anywhere, anywhere, 2)
	hire(t, d.workers, 0, 0, 1000)
	far := hire(t, d.workers, 0, 1, 1000)
	d.report(t, "media module status 1 (1/1) 1/1 (full media capacity)")
	d.Manager.mu.Lock()
	d.Manager.workers[far.Status.Name].host = "192.0.2.1"
	d.Manager.mu.Unlock()
	c, _ := bridge(t, d.clients)
	put(t, c, sound("1", "weekly", 900))
	if _, err := c.PutLeg(t.Context(), sound("2", "weekly", 900)); control.CodeOf(err) != control.CodeCapacity {
		t.Errorf("want code %s, got %v", control.CodeCapacity, err)
	}
}
