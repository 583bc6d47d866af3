package layout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"rotunda/services/media/control"
)

func show(view control.View, room *Room, viewer uint32, width, height int) *Scene {
	s, _ := Seat(&view, room, nil, start)
	return Show(&view, room, s, viewer, width, height)
}

func TestLayoutsHaveTheirPanes(t *testing.T) {
	for _, c := range []struct {
		layout string
		people int
		want   string // the layout in use
		panes  int
		first  Rect
	}{
		{SpeakerOnly, 30, SpeakerOnly, 1, Rect{0, 0, 1280, 720}},
		{Telepresence, 30, Telepresence, 7, Rect{0, 0, 1280, 720}},
		{Telepresence, 2, Telepresence, 2, Rect{0, 0, 1280, 720}},
		{Stacked, 30, Stacked, 6, Rect{128, 0, 1024, 576}},
		{Stacked, 1, Stacked, 1, Rect{0, 0, 1280, 720}},
		{AllEqual, 1, AllEqual, 1, Rect{0, 0, 1280, 720}},
		{AllEqual, 2, AllEqual, 2, Rect{0, 180, 640, 360}},
		{AllEqual, 4, AllEqual, 4, Rect{0, 0, 640, 360}},
		{AllEqual, 5, AllEqual, 5, Rect{0, 120, 426, 240}},
		{AllEqual, 9, AllEqual, 9, Rect{0, 0, 426, 240}},
		{AllEqual, 16, AllEqual, 16, Rect{0, 0, 320, 180}},
		{AllEqual, 17, AllEqual, 17, Rect{0, 72, 256, 144}},
		{AllEqual, 100, AllEqual, 25, Rect{0, 0, 256, 144}},
		{AllEqualQuarters, 1, AllEqualQuarters, 4, Rect{0, 0, 640, 360}},
		{AllEqualNinths, 30, AllEqualNinths, 9, Rect{0, 0, 426, 240}},
		{AllEqualSixteenths, 30, AllEqualSixteenths, 16, Rect{0, 0, 320, 180}},
		{AllEqualTwentyFifths, 30, AllEqualTwentyFifths, 25, Rect{0, 0, 256, 144}},
		{OnePlusFive, 1, OnePlusFive, 6, Rect{0, 0, 854, 480}},
		{OnePlusSeven, 30, OnePlusSeven, 8, Rect{0, 0, 960, 540}},
		{OnePlusNine, 30, OnePlusNine, 10, Rect{0, 0, 1024, 576}},
		{OnePlusN, 1, OnePlusN, 1, Rect{0, 0, 1280, 720}},
		{OnePlusN, 4, OnePlusN, 4, Rect{0, 0, 854, 480}},
		{OnePlusN, 8, OnePlusN, 8, Rect{0, 0, 960, 540}},
		{OnePlusN, 30, OnePlusN, 10, Rect{0, 0, 1024, 576}},
		{Automatic, 2, SpeakerOnly, 1, Rect{0, 0, 1280, 720}},
		{Automatic, 3, AllEqual, 3, Rect{0, 0, 640, 360}},
		{Automatic, 6, OnePlusN, 6, Rect{0, 0, 854, 480}},
		{"", 30, OnePlusN, 10, Rect{0, 0, 1024, 576}},
	} {
		s := show(control.View{Layout: c.layout}, roomOf(c.people), 0, 1280, 720)
		if s.Layout != c.want || len(s.Panes) != c.panes || s.Panes[0].Rect != c.first {
			t.Errorf("%q with %d people: want %s with %d panes, the first at %v; got %s with %d, %v", c.layout, c.people, c.want, c.panes,
				c.first, s.Layout, len(s.Panes), s.Panes[0].Rect)
		}
		for i, p := range s.Panes {
			for j := range i {
				if c.layout != Telepresence && p.Rect.Overlaps(s.Panes[j].Rect) {
					t.Errorf("%q: panes %d and %d overlap: %v, %v", c.layout, j, i, s.Panes[j].Rect, p.Rect)
				}
			}
		}
	}
}

func TestPanesFillOddCanvases(t *testing.T) {
	for _, size := range [][2]int{{1280, 720}, {1920, 1080}, {640, 360}, {352, 288}, {176, 144}, {854, 480}, {720, 1280}, {1024, 768}} {
		for _, name := range Names {
			s := show(control.View{Layout: name}, roomOf(25), 0, size[0], size[1])
			for i, p := range s.Panes {
				r := p.Rect
				if r.X%2+r.Y%2+r.W%2+r.H%2 != 0 || r.X < 0 || r.Y < 0 || r.W < 2 || r.H < 2 || r.X+r.W > size[0] || r.Y+r.H > size[1] {
					t.Errorf("%s on %v: pane %d is %v", name, size, i, r)
				}
			}
		}
	}
}

func TestPresentationInThePictureTakesTheMainPane(t *testing.T) {
	room := roomOf(4).spoke(3)
	room.Presentation = Presentation{Source: 50, Presenter: 2, Name: "slides"}
	for _, c := range []struct {
		layout string
		viewer uint32
		want   []uint32
	}{
		{Automatic, 1, []uint32{50, 3, 4, 2}}, // the viewer's pane goes to the last in the row
		{AllEqual, 0, []uint32{50, 1, 2, 3, 4}},
		{OnePlusFive, 0, []uint32{50, 3, 2, 1, 4, 0}},
		{SpeakerOnly, 1, []uint32{50}},
		{Automatic, 2, []uint32{3, 4, 1}}, // the presenter has it before him
	} {
		got := show(control.View{Layout: c.layout, PresentationIn: true}, room, c.viewer, 1280, 720)
		if s := got.Sources(nil); len(s) != len(c.want) || s[0] != c.want[0] {
			t.Errorf("%s for viewer %d: want %v, got %v", c.layout, c.viewer, c.want, s)
		}
		if c.want[0] == 50 && !got.Panes[0].Whole {
			t.Errorf("%s: want the presentation uncropped", c.layout)
		}
	}
	if s := show(control.View{Layout: AllEqual}, room, 0, 1280, 720); s.Has(50) {
		t.Error("want no presentation in the picture of a leg with a second stream, got one")
	}
}

func TestTemplates(t *testing.T) {
	panes := []control.Pane{{X: 0, Y: 0, W: 2500, H: 2500}, {X: 2500, Y: 0, W: 7500, H: 7500},
		{X: 0, Y: 7500, W: 5000, H: 2500, Participant: "leg2"}}
	s := show(control.View{Template: panes}, roomOf(5).spoke(4), 0, 1280, 720)
	if want := []uint32{1, 4, 2}; !slices.Equal(s.Sources(nil), want) || s.Layout != Template {
		t.Errorf("want the speaker in the largest pane and the reserved one kept, %v; got %v in %s", want, s.Sources(nil), s.Layout)
	}
	if want := (Rect{320, 0, 960, 540}); s.Panes[1].Rect != want {
		t.Errorf("want the main pane at %v, got %v", want, s.Panes[1].Rect)
	}
	s = show(control.View{Template: panes}, roomOf(5).spoke(4), 2, 1280, 720)
	if s.Has(2) {
		t.Error("want a viewer not to see himself in his reserved pane, but he does")
	}
}

func TestWhatIsWrittenOverThePicture(t *testing.T) {
	room := roomOf(12)
	room.Message = control.Message{Text: "all", Position: "top"}
	room.Recording, room.Streaming = true, true
	s := show(control.View{Layout: AllEqualQuarters, Counter: "auto", Labels: true}, room, 0, 1280, 720)
	if s.Message != "all" || s.MessagePosition != Top || !s.Recording || !s.Streaming || s.Counter != 12 || !s.Panes[0].Label || s.Panes[0].Name != "name1" {
		t.Errorf("want message, icons, count and labels; got %+v", s)
	}
	s = show(control.View{Layout: AllEqual, Counter: "auto", Message: control.Message{Text: "you", Position: "bottom"}}, room, 3, 1280, 720)
	if s.Message != "you" || s.MessagePosition != Bottom || s.Counter != 0 || s.Panes[0].Label {
		t.Errorf("want the leg's own message, no count where all are visible, no labels; got %+v", s)
	}
	if s = show(control.View{Counter: "always"}, room, 0, 1280, 720); s.Counter != 12 {
		t.Errorf("want a count of 12, got %d", s.Counter)
	}
	room.Count = 40
	if s = show(control.View{Counter: "always"}, room, 0, 1280, 720); s.Counter != 40 {
		t.Errorf("want the conference's own count of 40, got %d", s.Counter)
	}
	s = show(control.View{Screen: "lobby", Title: "Weekly", TitlePosition: "top"}, room, 0, 1280, 720)
	if s.Still != Lobby || s.Title != "Weekly" || s.TitlePosition != Top || len(s.Panes) != 0 || s.Recording {
		t.Errorf("want a lobby with its title and nothing of the meeting, got %+v", s)
	}
	room.Participants[0].Importance = 1
	for _, layout := range []string{AllEqual, OnePlusFive} {
		for _, mark := range []bool{true, false} {
			s := show(control.View{Layout: layout, HighestImportance: 1, MarkSpeaker: mark}, room.spoke(5), 0, 1280, 720)
			for _, p := range s.Panes {
				if p.Speaking != (mark && p.Source == 5) {
					t.Errorf("%s with placed panes, marks %t: the pane of %d is marked %t", layout, mark, p.Source, p.Speaking)
				}
			}
		}
	}
	room.Participants[0].Importance = 0
	if s = show(control.View{Layout: AllEqual}, room.spoke(5), 0, 1280, 720); !s.Panes[4].Speaking || s.Panes[3].Speaking {
		t.Error("want a border around the speaker among equal panes")
	}
	long := roomOf(1).with(1, func(p *Participant) { p.Name = strings.Repeat("ä", 5<<20) })
	if name := show(control.View{}, long, 0, 1280, 720).Panes[0].Name; len(name) > maxName || !utf8.ValidString(name) {
		t.Errorf("want a name of at most %d bytes, got %d", maxName, len(name))
	}
}

func TestViewersWithEqualKeysHaveEqualScenes(t *testing.T) {
	room := roomOf(40).spoke(30, 2)
	for _, name := range Names {
		for _, self := range []string{"skip", "self", "blank"} {
			view := &control.View{Layout: name, SelfPane: self, Labels: true, Counter: "auto"}
			s, _ := Seat(view, room, nil, start)
			scenes := map[Key]*Scene{}
			for viewer := range uint32(41) {
				k := KeyOf(view, room, s, viewer, 1280, 720)
				scene := Show(view, room, s, viewer, 1280, 720)
				if known := scenes[k]; known != nil && !known.Equal(scene) {
					t.Fatalf("%s, %s: viewer %d shares a key with another scene", name, self, viewer)
				}
				scenes[k] = scene
			}
			// As many as are visible, and one for all the others.
			want := len(s.Seats) + 1
			if self == "self" {
				want = 1
			}
			if len(scenes) != want {
				t.Errorf("%s, %s: want %d compositions for 41 viewers, got %d", name, self, want, len(scenes))
			}
		}
	}
	a, b := Digest(&control.View{Title: "a"}), Digest(&control.View{Title: "b"})
	if a == b {
		t.Error("want views with different titles to differ")
	}
}

func TestScenesCompare(t *testing.T) {
	a := show(control.View{Layout: AllEqual}, roomOf(25), 0, 1280, 720)
	b := show(control.View{Layout: AllEqual}, roomOf(25), 0, 1280, 720)
	if !a.Equal(b) {
		t.Error("want scenes of equal rooms to be equal")
	}
	b.Panes[24].Muted = true
	if a.Equal(b) || a.Equal(nil) {
		t.Error("want scenes that differ not to be equal")
	}
}

func TestFit(t *testing.T) {
	wide := Rect{100, 50, 640, 360}
	for _, c := range []struct {
		name          string
		width, height int
		pane          Rect
		whole         bool
		part, place   Rect
	}{
		{"the same shape fills", 1280, 720, wide, false, Rect{0, 0, 1280, 720}, wide},
		{"4:3 loses an eighth at the top and at the bottom", 640, 480, wide, false, Rect{0, 60, 640, 360}, wide},
		{"21:9 loses an eighth at the left and at the right", 1680, 720, wide, false, Rect{200, 0, 1280, 720}, wide},
		{"portrait is shown whole between bars", 720, 1280, wide, false, Rect{0, 0, 720, 1280}, Rect{318, 50, 202, 360}},
		{"a presentation of 4:3 is shown whole", 1024, 768, wide, true, Rect{0, 0, 1024, 768}, Rect{180, 50, 480, 360}},
		{"a very wide picture is shown whole", 1280, 400, wide, false, Rect{0, 0, 1280, 400}, Rect{100, 130, 640, 200}},
		{"an odd size loses a line", 1279, 719, Rect{0, 0, 640, 360}, false, Rect{0, 0, 1278, 718}, Rect{0, 0, 640, 360}},
		{"no picture has no place", 0, 0, wide, false, Rect{}, Rect{X: 100, Y: 50}},
	} {
		part, place := Fit(c.width, c.height, c.pane, c.whole)
		if part != c.part || place != c.place {
			t.Errorf("%s: want %v in %v, got %v in %v", c.name, c.part, c.place, part, place)
		}
	}
}

func FuzzFit(f *testing.F) {
	f.Add(1280, 720, 640, 360, false)
	f.Add(1, 4096, 2, 2, true)
	f.Fuzz(func(t *testing.T, width, height, w, h int, whole bool) {
		width, height, w, h = width&4095, height&4095, w&4094, h&4094
		pane := Rect{2, 4, w, h}
		part, place := Fit(width, height, pane, whole)
		if part.X < 0 || part.Y < 0 || part.X+part.W > width || part.Y+part.H > height || part.X%2+part.Y%2+part.W%2+part.H%2 != 0 {
			t.Errorf("part %v of %d × %d", part, width, height)
		}
		if place.X < pane.X || place.Y < pane.Y || place.X+place.W > pane.X+pane.W || place.Y+place.H > pane.Y+pane.H ||
			place.X%2+place.Y%2+place.W%2+place.H%2 != 0 {
			t.Errorf("place %v in pane %v", place, pane)
		}
	})
}

func TestParseTemplates(t *testing.T) {
	list, err := ParseTemplates([]byte(`{"templates":[{"panes":[{"x":0,"y":0,"w":10000,"h":10000}]},{"name":"two","panes":[{"x":0,"y":0,"w":5000,"h":5000},{"x":5000,"y":5000,"w":5000,"h":5000}]}]}`))
	if err != nil || len(list) != 2 || len(list[1]) != 2 || list[1][1] != (control.Pane{X: 5000, Y: 5000, W: 5000, H: 5000}) {
		t.Fatalf("want two templates, got %v, %v", list, err)
	}
	for n, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 2} {
		if got := PickTemplate(list, n); len(got) != want {
			t.Errorf("for %d people: want the template of %d panes, got %d", n, want, len(got))
		}
	}
	for document, want := range map[string]string{
		``:                             "unexpected end",
		`[]`:                           "cannot unmarshal",
		`{}`:                           "0 layout templates",
		`{"templates":[]}`:             "0 layout templates",
		`{"templates":[{"panes":[]}]}`: "layout template 1: 0 panes",
		`{"templates":[{"panes":[{"x":0,"y":0,"w":100,"h":5000}]}]}`:                                  "pane 1 is 100 × 5000",
		`{"templates":[{"panes":[{"x":6000,"y":0,"w":5000,"h":5000}]}]}`:                              "not inside",
		`{"templates":[{"panes":[{"x":-1,"y":0,"w":5000,"h":5000}]}]}`:                                "not inside",
		`{"templates":[{"panes":[{"x":9223372036854775807,"y":0,"w":5000,"h":5000}]}]}`:               "not inside",
		`{"templates":[{"panes":[{"x":0.5,"y":0,"w":5000,"h":5000}]}]}`:                               "cannot unmarshal",
		`{"templates":[{"panes":[` + strings.Repeat(`{"w":5000,"h":5000},`, 25) + `{"w":9,"h":9}]}]}`: "26 panes",
		strings.Repeat(" ", TemplateSize+1):                                                           "at most",
	} {
		if _, err := ParseTemplates([]byte(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: want an error with %q, got %v", document, want, err)
		}
	}
}

func FuzzParseTemplates(f *testing.F) {
	f.Add([]byte(`{"templates":[{"panes":[{"x":0,"y":0,"w":10000,"h":10000,"participant":"leg1"}]}]}`))
	f.Add([]byte(`{"templates":[{"panes":[{"x":1,"y":2,"w":300,"h":300},{"x":9800,"y":9800,"w":200,"h":200}]}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		list, err := ParseTemplates(document)
		if err != nil {
			return
		}
		for _, panes := range list {
			s := show(control.View{Template: panes}, roomOf(30).spoke(7), 3, 640, 360)
			for i, p := range s.Panes {
				if r := p.Rect; r.X < 0 || r.Y < 0 || r.W < 2 || r.H < 2 || r.X+r.W > 640 || r.Y+r.H > 360 {
					t.Fatalf("pane %d of %v is at %v", i, panes, r)
				}
			}
		}
	})
}

func ExampleParseTemplates() {
	list, err := ParseTemplates([]byte(`{"templates":[{"panes":[{"x":0,"y":0,"w":20000,"h":10000}]}]}`))
	fmt.Println(len(list), err)
	// Output: 0 layout template 1: pane 1 at 0,0 of 20000 × 10000: not inside of the canvas of 10000 × 10000
}
