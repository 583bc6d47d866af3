package layout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/control"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// roomOf has participants 1..n with video.
func roomOf(n int) *Room {
	r := &Room{}
	for i := range n {
		id := uint32(i + 1)
		r.Participants = append(r.Participants, Participant{Source: id, Leg: fmt.Sprint("leg", id), Name: fmt.Sprint("name", id), Video: true})
	}
	return r
}

// spoke returns a room in which these are the speakers, the latest first.
func (r *Room) spoke(speakers ...uint32) *Room {
	c := *r
	c.Participants = slices.Clone(r.Participants)
	c.Speakers = speakers
	return &c
}

func (r *Room) with(source uint32, change func(*Participant)) *Room {
	c := r.spoke(r.Speakers...)
	change(c.source(source))
	return c
}

func (r *Room) without(source uint32) *Room {
	c := r.spoke(r.Speakers...)
	c.Participants = slices.DeleteFunc(c.Participants, func(p Participant) bool { return p.Source == source })
	return c
}

func important(n int) func(*Participant) { return func(p *Participant) { p.Importance = n } }
func cameraOff(p *Participant)           { p.CameraOff = true }

// step is a room some time after the start, and who then sits where.
type step struct {
	after time.Duration
	room  *Room
	want  []uint32
	again time.Duration // when Seat asks to be called again, 0 for not
}

func TestSeatsChangeNoMoreThanTheyMust(t *testing.T) {
	six, nine := roomOf(6), roomOf(9)
	view := func(layout string) control.View { return control.View{Layout: layout} }
	for _, c := range []struct {
		name  string
		view  control.View
		steps []step
	}{
		{"the speaker takes the main pane by changing places", view(OnePlusFive), []step{
			{0, six, []uint32{1, 2, 3, 4, 5, 6}, 0},
			{10 * time.Second, six.spoke(4), []uint32{4, 2, 3, 1, 5, 6}, 0},
			{20 * time.Second, six.spoke(2, 4), []uint32{2, 4, 3, 1, 5, 6}, 0},
		}},
		{"an interjection does not switch the main pane back and forth", view(OnePlusFive), []step{
			{0, six.spoke(1), []uint32{1, 2, 3, 4, 5, 6}, 0},
			{10 * time.Second, six.spoke(2, 1), []uint32{2, 1, 3, 4, 5, 6}, 0},
			{10500 * time.Millisecond, six.spoke(1, 2), []uint32{2, 1, 3, 4, 5, 6}, 12 * time.Second},
			{12 * time.Second, six.spoke(1, 2), []uint32{1, 2, 3, 4, 5, 6}, 0},
		}},
		{"a speaker from outside takes the main pane, and its holder the seat of the longest silent", view(OnePlusFive), []step{
			{0, nine.spoke(1, 2, 3, 4, 5), []uint32{1, 2, 3, 4, 5, 6}, 0},
			{10 * time.Second, nine.spoke(9, 1, 2, 3, 4, 5), []uint32{9, 2, 3, 4, 5, 1}, 0},
		}},
		{"in equal panes a newcomer replaces the longest silent, nobody else moves", view(AllEqualQuarters), []step{
			{0, six.spoke(2, 1, 4, 3), []uint32{1, 2, 3, 4}, 0},
			{10 * time.Second, six.spoke(6, 2, 1, 4, 3), []uint32{1, 2, 6, 4}, 0},
			{11 * time.Second, six.spoke(3, 6, 2, 1, 4), []uint32{1, 2, 6, 3}, 0},
		}},
		{"in equal panes a new speaker who is visible changes nothing", view(AllEqualQuarters), []step{
			{0, six.spoke(1, 2, 3, 4), []uint32{1, 2, 3, 4}, 0},
			{10 * time.Second, six.spoke(3, 1, 2, 4), []uint32{1, 2, 3, 4}, 0},
		}},
		{"a pane that has just changed is left alone for a while", view(SpeakerOnly), []step{
			{0, six.spoke(1), []uint32{1}, 0},
			{time.Second, six.spoke(2, 1), []uint32{1}, 2 * time.Second},
			{2 * time.Second, six.spoke(2, 1), []uint32{2}, 0},
		}},
		{"who is pinned comes at once and stays", control.View{Layout: SpeakerOnly, Pinned: "leg5"}, []step{
			{0, six.spoke(1), []uint32{5}, 0},
			{time.Minute, six.spoke(2, 1), []uint32{5}, 0},
			{2 * time.Minute, six.without(5).spoke(2, 1), []uint32{2}, 0},
		}},
		{"importance precedes speaking, and comes at once", view(OnePlusFive), []step{
			{0, nine.spoke(1), []uint32{1, 2, 3, 4, 5, 6}, 0},
			{time.Second, nine.spoke(1).with(8, important(5)), []uint32{8, 2, 3, 4, 5, 1}, 0},
			{time.Minute, nine.spoke(3, 1).with(8, important(5)), []uint32{8, 2, 3, 4, 5, 1}, 0},
		}},
		{"one picture moves when somebody leaves", view(AllEqual), []step{
			{0, six, []uint32{1, 2, 3, 4, 5, 6}, 0},
			{time.Second, six.without(2), []uint32{1, 6, 3, 4, 5}, 0},
		}},
		{"who waits takes the seat of who leaves", view(AllEqualQuarters), []step{
			{0, six, []uint32{1, 2, 3, 4}, 0},
			{time.Second, six.without(2), []uint32{1, 5, 3, 4}, 0},
		}},
		{"a speaker takes a main pane at once whose holder has left", view(OnePlusFive), []step{
			{0, six.spoke(1, 4), []uint32{1, 2, 3, 4, 5, 6}, 0},
			{time.Second, six.without(1).spoke(4), []uint32{4, 2, 3, 6, 5}, 0},
		}},
		{"cameras that are on have small panes before those that are off", view(AllEqualQuarters), []step{
			{0, six.with(2, cameraOff), []uint32{1, 3, 4, 5}, 0},
			{time.Second, six.with(2, cameraOff).with(4, cameraOff), []uint32{1, 3, 4, 5}, 5 * time.Second},
			{5 * time.Second, six.with(2, cameraOff).with(4, cameraOff), []uint32{1, 3, 6, 5}, 0},
		}},
		{"a speaker is in the main pane without a camera too", view(SpeakerOnly), []step{
			{0, six.with(2, cameraOff).spoke(2), []uint32{2}, 0},
		}},
		{"without video there is no pane", view(AllEqual), []step{
			{0, six.with(3, func(p *Participant) { p.Video = false }), []uint32{1, 2, 4, 5, 6}, 0},
		}},
		{"pane placement puts importance N to 1 in order, keeps free what nobody has, and others after", control.View{
			Layout: AllEqualNinths, HighestImportance: 3}, []step{
			{0, six.with(4, important(3)).with(2, important(1)).with(6, important(9)), []uint32{4, 0, 2, 1, 3, 5, 6}, 0},
		}},
		{"pane placement gives a place that several may have to the latest speaker", control.View{
			Layout: OnePlusFive, HighestImportance: 2}, []step{
			{0, six.with(4, important(2)).with(5, important(2)).spoke(5), []uint32{5, 0, 1, 2, 3, 4}, 0},
			{time.Second, six.with(4, important(2)).with(5, important(2)).spoke(4, 5), []uint32{5, 0, 1, 2, 3, 4}, 2 * time.Second},
			{2 * time.Second, six.with(4, important(2)).with(5, important(2)).spoke(4, 5), []uint32{4, 0, 1, 2, 3, 5}, 0},
		}},
		{"a template's reserved pane is nobody else's", control.View{Template: []control.Pane{
			{W: 5000, H: 5000}, {X: 5000, W: 5000, H: 5000, Participant: "leg1"}}}, []step{
			{0, six, []uint32{2}, 0},
		}},
		{"a room without anybody has no seats", view(Automatic), []step{{0, roomOf(0), nil, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s *Seating
			for i, step := range c.steps {
				var again time.Time
				s, again = Seat(&c.view, step.room, s, start.Add(step.after))
				if !slices.Equal(s.Seats, step.want) {
					t.Fatalf("step %d: want seats %v, got %v", i, step.want, s.Seats)
				}
				if want := step.again; want != 0 && !again.Equal(start.Add(want)) || want == 0 && !again.IsZero() {
					t.Fatalf("step %d: want to be asked again at %v, got %v", i, want, again)
				}
			}
		})
	}
}

func TestEqualRoomsGiveTheSameSeating(t *testing.T) {
	view := &control.View{Layout: OnePlusN}
	a, _ := Seat(view, roomOf(7).spoke(3), nil, start)
	b, _ := Seat(view, roomOf(7).spoke(3), a, start.Add(time.Hour))
	if a != b {
		t.Errorf("want the seating of before when nothing changed, got another one: %v and %v", a.Seats, b.Seats)
	}
}

func TestEveryViewerSeesTheOthers(t *testing.T) {
	room := roomOf(8).spoke(2, 5)
	for _, c := range []struct {
		name   string
		view   control.View
		viewer uint32
		want   []uint32
	}{
		{"the speaker sees the speaker before him", control.View{Layout: SpeakerOnly}, 2, []uint32{5}},
		{"everybody else sees the speaker", control.View{Layout: SpeakerOnly}, 3, []uint32{2}},
		{"the speaker's main pane goes to the speaker before him, whose pane goes to the next", control.View{Layout: OnePlusFive}, 2,
			[]uint32{5, 1, 3, 4, 7, 6}},
		{"a listener's own pane goes to who comes next", control.View{Layout: OnePlusFive}, 3, []uint32{2, 1, 7, 4, 5, 6}},
		{"who is in no pane sees them all", control.View{Layout: OnePlusFive}, 8, []uint32{2, 1, 3, 4, 5, 6}},
		{"a recorder sees them all", control.View{Layout: OnePlusFive}, 0, []uint32{2, 1, 3, 4, 5, 6}},
		{"growing panes close up from the end", control.View{Layout: AllEqual}, 3, []uint32{1, 2, 8, 4, 5, 6, 7}},
		{"the own pane is left blank", control.View{Layout: AllEqual, SelfPane: "blank"}, 3, []uint32{1, 2, 0, 4, 5, 6, 7, 8}},
		{"the own pane shows oneself", control.View{Layout: AllEqual, SelfPane: "self"}, 3, []uint32{1, 2, 3, 4, 5, 6, 7, 8}},
	} {
		s, _ := Seat(&c.view, room, nil, start)
		if got := s.For(&c.view, c.viewer); !slices.Equal(got, c.want) {
			t.Errorf("%s: want %v, got %v (all seats %v)", c.name, c.want, got, s.Seats)
		}
		wantPersonal := !slices.Equal(c.want, s.Seats)
		if got := s.Personal(&c.view, room, c.viewer); got != wantPersonal {
			t.Errorf("%s: want a scene of one's own %v, got %v", c.name, wantPersonal, got)
		}
	}
}

// Whatever happens, nobody has two seats, nobody is seated who is not there, no seat is free while somebody waits, and
// nobody but those who must changes his seat.
func TestSeatingHoldsItsInvariants(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		view := &control.View{Layout: Names[round%len(Names)]}
		if round%5 == 0 {
			view.HighestImportance = random.IntN(4)
		}
		room := roomOf(random.IntN(30))
		var s *Seating
		now := start
		next := uint32(100)
		for range 40 {
			now = now.Add(time.Duration(random.IntN(4000)) * time.Millisecond)
			switch n := len(room.Participants); {
			case random.IntN(4) == 0:
				next++
				room = room.spoke(room.Speakers...)
				room.Participants = append(room.Participants, Participant{Source: next, Video: random.IntN(8) > 0})
			case n > 0 && random.IntN(4) == 0:
				room = room.without(room.Participants[random.IntN(n)].Source)
			case n > 0 && random.IntN(3) == 0:
				room = room.with(room.Participants[random.IntN(n)].Source, func(p *Participant) { p.CameraOff = !p.CameraOff })
			case n > 0 && random.IntN(5) == 0:
				room = room.with(room.Participants[random.IntN(n)].Source, important(random.IntN(4)))
			case n > 0:
				who := room.Participants[random.IntN(n)].Source
				list := slices.DeleteFunc(slices.Clone(room.Speakers), func(s uint32) bool { return s == who })
				room = room.spoke(append([]uint32{who}, list...)...)
			}
			var again time.Time
			s, again = Seat(view, room, s, now)
			check(t, view, room, s)
			if !again.IsZero() && !again.After(now) {
				t.Fatalf("want to be asked again in the future, got %v before", now.Sub(again))
			}
			settled, _ := Seat(view, room, s, now)
			if settled != s {
				t.Fatalf("want a second call to change nothing, got %v after %v", settled.Seats, s.Seats)
			}
			viewer := uint32(random.IntN(30))
			if len(room.Participants) > 0 && random.IntN(2) == 0 {
				viewer = room.Participants[random.IntN(len(room.Participants))].Source
			}
			checkScene(t, view, room, s, viewer)
		}
	}
}

func check(t *testing.T, view *control.View, room *Room, s *Seating) {
	t.Helper()
	seen := map[uint32]bool{}
	for i, source := range s.Seats {
		p := room.source(source)
		switch {
		case source == 0 && i >= s.placed:
			t.Fatalf("%s: seat %d is free without being reserved: %v", view.Layout, i, s.Seats)
		case source == 0:
		case p == nil || !p.Video:
			t.Fatalf("%s: seat %d is given to %d who is not there: %v", view.Layout, i, source, s.Seats)
		case seen[source]:
			t.Fatalf("%s: %d has two seats: %v", view.Layout, source, s.Seats)
		}
		seen[source] = true
	}
	if len(s.Seats) < s.seats {
		for _, p := range room.Participants {
			if p.Video && !seen[p.Source] {
				t.Fatalf("%s: %d has no seat while there are %d of %d: %v", view.Layout, p.Source, len(s.Seats), s.seats, s.Seats)
			}
		}
	}
}

func checkScene(t *testing.T, view *control.View, room *Room, s *Seating, viewer uint32) {
	t.Helper()
	scene := Show(view, room, s, viewer, 1280, 720)
	if viewer != 0 && scene.Has(viewer) {
		t.Fatalf("%s: viewer %d sees himself: %v", view.Layout, viewer, scene.Sources(nil))
	}
	seen := map[uint32]bool{}
	for i, p := range scene.Panes {
		r := p.Rect
		if r.X%2+r.Y%2+r.W%2+r.H%2 != 0 || r.X < 0 || r.Y < 0 || r.W < 2 || r.H < 2 ||
			r.X+r.W > 1280 || r.Y+r.H > 720 {
			t.Fatalf("%s: pane %d is at %v: want an even rectangle inside of the canvas", view.Layout, i, r)
		}
		if p.Source != 0 && seen[p.Source] {
			t.Fatalf("%s: source %d is in two panes: %v", view.Layout, p.Source, scene.Sources(nil))
		}
		seen[p.Source] = true
	}
	if len(s.For(view, viewer)) > 0 && len(scene.Panes) == 0 {
		t.Fatalf("%s: nobody is shown of %v", view.Layout, s.Seats)
	}
}

func BenchmarkSeat(b *testing.B) {
	view := &control.View{Layout: OnePlusN}
	room := roomOf(100).spoke(3, 70, 1, 9, 50)
	s, _ := Seat(view, room, nil, start)
	for b.Loop() {
		s, _ = Seat(view, room, s, start.Add(time.Hour))
	}
}

func BenchmarkShow(b *testing.B) {
	view := &control.View{Layout: AllEqual, Labels: true, Counter: "auto"}
	room := roomOf(100).spoke(3, 70, 1, 9, 50)
	s, _ := Seat(view, room, nil, start)
	for b.Loop() {
		Show(view, room, s, 7, 1280, 720)
	}
}
