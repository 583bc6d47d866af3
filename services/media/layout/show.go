package layout

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"rotunda/services/media/control"
)

// Longest texts of a scene in bytes. Names come from the net; the drawing of a text is bounded again by its pane.
const (
	maxName    = 256
	maxMessage = 2048
)

// Key tells compositions apart: viewers with equal keys have equal scenes at any time, and can share one composed and
// encoded picture. It stays the same while the scene behind it changes.
type Key struct {
	// View is a digest of the view.
	View          [16]byte
	Width, Height int
	// Viewer is 0 for all who are not visible in what they watch.
	Viewer uint32
}

// KeyOf returns the key of what a viewer is shown. Viewer is the source of the participant who watches, 0 for nobody's
// (a recorder); seating is what [Seat] gave for the view.
func KeyOf(view *control.View, room *Room, seating *Seating, viewer uint32, width, height int) Key {
	k := Key{View: Digest(view), Width: width, Height: height}
	if seating.Personal(view, room, viewer) {
		k.Viewer = viewer
	}
	return k
}

// Digest tells views apart: views with equal digests are shown the same seats. It is cryptographic since titles and messages
// come from the net, and two views with one digest would show one the other's text.
func Digest(view *control.View) [16]byte {
	b, err := json.Marshal(view)
	if err != nil {
		panic("layout: a view is always JSON: " + err.Error()) // strings, numbers and booleans only
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// Personal reports whether a viewer's scene differs from that of those who are not in it: because his own picture is left
// out, or the presentation that he gives himself.
func (s *Seating) Personal(view *control.View, room *Room, viewer uint32) bool {
	if viewer == 0 || view.Screen != "" {
		return false
	}
	if s.shared && room.Presentation.Presenter == viewer {
		return true
	}
	if selfPane(view) == selfShown {
		return false
	}
	if slices.Contains(s.Seats, viewer) {
		return true
	}
	who := room.source(viewer)
	return who != nil && reserved(view.Template, who.Leg)
}

// For returns who has which seat before the eyes of one viewer, 0 for a seat that is empty. The result is not to be
// written to.
func (s *Seating) For(view *control.View, viewer uint32) []uint32 {
	at := slices.Index(s.Seats, viewer)
	if viewer == 0 || at < 0 || selfPane(view) == selfShown {
		return s.Seats
	}
	seats := slices.Clone(s.Seats)
	if selfPane(view) == selfBlank {
		seats[at] = 0
		return seats
	}
	if s.placed > 0 {
		// Everybody after the viewer moves up, for the order is the order of importance.
		seats = slices.Delete(seats, at, at+1)
		if s.reserve != 0 {
			seats = append(seats, s.reserve)
		}
		return seats
	}
	if at == 0 && s.main && s.runnerUp != 0 {
		seats[0] = s.runnerUp
		at = slices.Index(s.Seats, s.runnerUp)
		if at < 0 {
			return seats
		}
	}
	if s.reserve != 0 {
		seats[at] = s.reserve
		return seats
	}
	last := len(seats) - 1
	seats[at] = seats[last]
	return seats[:last]
}

// Show makes the scene of one viewer on a canvas of width × height, both even.
func Show(view *control.View, room *Room, seating *Seating, viewer uint32, width, height int) *Scene {
	scene := &Scene{Look: Look{Width: width, Height: height, Layout: seating.name, Background: view.Background,
		Recording: room.Recording, Streaming: room.Streaming}}
	message := view.Message
	if message.Text == "" {
		message = room.Message
	}
	scene.Message, scene.MessagePosition = clip(message.Text, maxMessage), position(message.Position)
	if view.Screen != "" {
		scene.Still = Welcome
		if view.Screen == "lobby" {
			scene.Still = Lobby
		}
		scene.Layout, scene.Recording, scene.Streaming = "", false, false
		scene.Title, scene.TitlePosition = clip(view.Title, maxName), position(view.TitlePosition)
		return scene
	}

	seats := seating.For(view, viewer)
	presentation := seating.shared && room.Presentation.Presenter != viewer
	n := len(seats)
	if presentation {
		n++
	}
	name := seating.name
	var rects []Rect
	var free []int // panes that are nobody's own, the main one first
	if name == Template {
		rects = canvas{width, height}.template(view.Template)
		free = unreserved(view.Template)
	} else {
		rects = rectangles(name, n, width, height)
		for i := range rects {
			free = append(free, i)
		}
	}
	scene.Panes = make([]Pane, len(rects))
	if presentation && len(free) > 0 {
		scene.Panes[free[0]] = Pane{Source: room.Presentation.Source, Whole: true, Name: clip(room.Presentation.Name, maxName)}
		free = free[1:]
	}
	for i := range min(len(free), len(seats)) {
		if who := room.source(seats[i]); who != nil {
			scene.Panes[free[i]] = pane(who, view, seating)
		}
	}
	if name == Template {
		for i, p := range view.Template {
			if who := room.leg(p.Participant); who != nil && who.Video && (who.Source != viewer || selfPane(view) == selfShown) {
				scene.Panes[i] = pane(who, view, seating)
			}
		}
	}
	for i := range scene.Panes {
		scene.Panes[i].Rect = rects[i]
		if name == Telepresence {
			scene.Panes[i].Outline = i > 0
			scene.Panes[i].LabelTop = i == 0
		}
	}
	scene.Counter = counter(view, room, scene)
	return scene
}

func pane(who *Participant, view *control.View, seating *Seating) Pane {
	return Pane{Source: who.Source, CameraOff: who.CameraOff, Name: clip(who.Name, maxName), Label: view.Labels,
		Muted: who.Muted, Speaking: who.Source == seating.dominant && marks(view, seating)}
}

// marks says whether a border tells the active speaker from the others. The main pane does that by itself, unless its place goes by importance.
func marks(view *control.View, seating *Seating) bool {
	if view.HighestImportance > 0 {
		return view.MarkSpeaker
	}
	return !seating.main
}

// The participant count: "auto" shows it when there are more than one sees.
func counter(view *control.View, room *Room, scene *Scene) int {
	count := room.count()
	switch view.Counter {
	case "always":
		return count
	case "auto":
		hidden := count
		if selfPane(view) != selfShown {
			hidden-- // the viewer
		}
		for i := range scene.Panes {
			if s := scene.Panes[i].Source; s != 0 && s != room.Presentation.Source {
				hidden--
			}
		}
		if hidden > 0 {
			return count
		}
	}
	return 0
}

func position(name string) Position {
	switch name {
	case "top":
		return Top
	case "bottom":
		return Bottom
	}
	return Middle
}

// The beginning of a text, at most n bytes, whole letters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
