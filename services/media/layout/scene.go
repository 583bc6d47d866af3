package layout

import "slices"

// Rect is a rectangle of pixels; all four numbers are even, since chroma has one sample for two by two of them.
type Rect struct{ X, Y, W, H int }

// Overlaps reports whether two rectangles have a pixel in common.
func (r Rect) Overlaps(o Rect) bool {
	return r.X < o.X+o.W && o.X < r.X+r.W && r.Y < o.Y+o.H && o.Y < r.Y+r.H
}

// Position is where a text stands.
type Position uint8

// The positions.
const (
	Middle Position = iota
	Top
	Bottom
)

// Still is a picture that stands in place of the meeting.
type Still uint8

// The stills.
const (
	Meeting Still = iota
	Welcome
	Lobby
)

// Pane is one picture of a scene.
type Pane struct {
	Rect Rect
	// Source is whose picture; 0 leaves the background to be seen.
	Source uint32
	// Whole pictures are never cropped: presentations.
	Whole bool
	// CameraOff panes show Name in the middle instead of a picture.
	CameraOff bool
	// Name is the participant's; Label says whether it is written over the picture.
	Name string
	// at the lower edge, or at the upper one where other panes lie over the lower.
	Label, LabelTop bool
	// Muted draws the muted microphone.
	Muted bool
	// Speaking draws the border of the active speaker, Outline a thin one that lifts a pane off the picture below.
	Speaking bool
	Outline  bool
}

// Scene is everything that one composed picture shows, apart from the frames themselves. It is not changed once made.
// Panes are drawn in their order: a later one lies over an earlier one.
type Scene struct {
	Look
	Panes []Pane
}

// Look is the part of a scene beside the panes.
type Look struct {
	Width, Height int
	// Layout is the name of the layout in use, "automatic" resolved.
	Layout string
	// Background is a file with a picture, or empty.
	Background string
	Still      Still
	// Message is text in a bar over the picture, Title the heading of a still.
	Message         string
	MessagePosition Position
	Title           string
	TitlePosition   Position
	// Counter is the number of participants to show, 0 for none.
	Counter              int
	Recording, Streaming bool
}

// Equal reports whether two scenes look the same. It takes under a microsecond: whoever keeps the old scene when the new
// one is equal can compare pointers from then on.
func (s *Scene) Equal(o *Scene) bool {
	return s == o || s != nil && o != nil && s.Look == o.Look && slices.Equal(s.Panes, o.Panes)
}

// Sources appends whose pictures the scene shows, in the order of the panes, 0 for an empty one.
func (s *Scene) Sources(dst []uint32) []uint32 {
	for i := range s.Panes {
		dst = append(dst, s.Panes[i].Source)
	}
	return dst
}

// Has reports whether a source is visible.
func (s *Scene) Has(source uint32) bool {
	return source != 0 && slices.ContainsFunc(s.Panes, func(p Pane) bool { return p.Source == source })
}
