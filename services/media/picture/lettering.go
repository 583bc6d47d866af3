package picture

import (
	"strconv"

	"rotunda/services/media/layout"
	"rotunda/services/media/text"
)

// placed is a sprite and where it lies.
type placed struct {
	*sprite
	x, y int
}

// letterer makes the sprites of a scene: sizes are parts of the canvas, so that a wall screen and a telephone show the same.
type letterer struct {
	fonts  *text.Fonts // nil for none: bars and icons only
	matrix *matrix
	height int // of the canvas
}

func (l *letterer) render(s string, style text.Style) *text.Bitmap {
	if l.fonts == nil {
		return &text.Bitmap{}
	}
	return l.fonts.Render(s, style)
}

// Height of letters on a label: a fourteenth of the pane, but no more than a thirtieth of the canvas, and legible.
func (l *letterer) labelSize(pane layout.Rect) int {
	return max(min(pane.H/14, l.height/30), 11)
}

// label is the name in a bar at the lower (or upper) left corner of the pane, with the muted microphone before it. There
// is none if there is nothing to say.
func (l *letterer) label(p *layout.Pane) (placed, bool) {
	size := l.labelSize(p.Rect)
	padding, margin := size/2, max(size/2, 4)
	room := p.Rect.W - 2*margin - 2*padding
	picture := 0
	if p.Muted {
		picture = size + size/3
	}
	// A pane too small for three letters has no bar.
	if room < picture+2*size {
		return placed{}, false
	}
	b := &text.Bitmap{}
	if p.Label && p.Name != "" {
		b = l.render(p.Name, text.Style{Size: size, MaxWidth: room - picture})
	}
	if b.Width == 0 && !p.Muted {
		return placed{}, false
	}
	if b.Width == 0 {
		picture = size
	}
	// The bar has one height for all scripts; letters stand on one line, and what reaches beyond is allowed to.
	w, h := picture+b.Width+2*padding, size*8/5
	d := newDrawing(w, h)
	d.box(0, 0, float32(w), float32(h), float32(size)/3, barColour)
	if p.Muted {
		mutedIcon(d, float32(padding), float32(h-size)/2, float32(size))
	}
	d.letters(b, padding+picture, h*7/10-b.Baseline, textColour)
	x, y := p.Rect.X+margin, p.Rect.Y+p.Rect.H-margin-d.Rect.Dy()
	if p.LabelTop {
		y = p.Rect.Y + margin
	}
	return placed{newSprite(d.RGBA, l.matrix), x &^ 1, y &^ 1}, true
}

// name is what a pane without a picture shows in its middle.
func (l *letterer) name(p *layout.Pane) (placed, bool) {
	size := max(min(p.Rect.H/8, l.height/14), 11)
	b := l.render(p.Name, text.Style{Size: size, MaxWidth: p.Rect.W * 9 / 10, Lines: 2, Centred: true})
	if b.Width == 0 {
		return placed{}, false
	}
	d := newDrawing(b.Width, b.Height)
	d.letters(b, 0, 0, textColour)
	return l.centre(d, p.Rect), true
}

func (l *letterer) centre(d drawing, in layout.Rect) placed {
	return placed{newSprite(d.RGBA, l.matrix), (in.X + (in.W-d.Rect.Dx())/2) &^ 1, (in.Y + (in.H-d.Rect.Dy())/2) &^ 1}
}

// status is the cluster of icons and the participant count at the upper right.
func (l *letterer) status(s *layout.Scene) (placed, bool) {
	size := max(l.height/26, 14)
	gap, margin := size/2, max(l.height/40, 6)
	var icons []icon
	if s.Recording {
		icons = append(icons, recordingIcon)
	}
	if s.Streaming {
		icons = append(icons, streamingIcon)
	}
	b := &text.Bitmap{}
	if s.Counter > 0 {
		icons = append(icons, peopleIcon)
		b = l.render(strconv.Itoa(s.Counter), text.Style{Size: size})
	}
	if len(icons) == 0 {
		return placed{}, false
	}
	w, h := gap+len(icons)*(size+gap), size*8/5
	if b.Width > 0 {
		w += b.Width + gap/2
	}
	d := newDrawing(w, h)
	d.box(0, 0, float32(w), float32(h), float32(h)/2, barColour)
	x := gap
	for _, draw := range icons {
		draw(d, float32(x), float32(h-size)/2, float32(size))
		x += size + gap
	}
	d.letters(b, x-gap/2, h*7/10-b.Baseline, textColour)
	return placed{newSprite(d.RGBA, l.matrix), (s.Width - margin - d.Rect.Dx()) &^ 1, margin &^ 1}, true
}

// message is the on-screen text, in a bar of at most four lines.
func (l *letterer) message(s *layout.Scene) (placed, bool) {
	size := max(s.Height/22, 12)
	b := l.render(s.Message, text.Style{Size: size, MaxWidth: s.Width * 4 / 5, Lines: 4, Centred: true})
	if b.Width == 0 {
		return placed{}, false
	}
	dark := barColour
	dark.A = 185
	d := newDrawing(b.Width+2*size, b.Height+size*2/3)
	d.box(0, 0, float32(d.Rect.Dx()), float32(d.Rect.Dy()), float32(size)/2, dark)
	d.letters(b, size, size/3, textColour)
	at := s.MessagePosition
	if s.Still != layout.Meeting && at == layout.Middle {
		// The middle of a still is taken by its emblem or heading.
		if at = layout.Bottom; s.TitlePosition == layout.Bottom {
			at = layout.Top
		}
	}
	return l.stand(d, s, at, s.Height/12), true
}

// title is the heading of a still, and its picture.
func (l *letterer) title(s *layout.Scene) []placed {
	var list []placed
	size := max(s.Height/12, 14)
	side := max(s.Height/5, 16)
	emblem := newDrawing(side, side)
	if s.Still == layout.Lobby {
		waitingIcon(emblem, 0, 0, float32(side))
	} else {
		rotundaIcon(emblem, 0, 0, float32(side))
	}
	b := l.render(s.Title, text.Style{Size: size, MaxWidth: s.Width * 9 / 10, Lines: 2, Centred: true})
	all := layout.Rect{W: s.Width, H: s.Height}
	if b.Width > 0 && s.TitlePosition == layout.Middle {
		all.H -= side // the picture above the heading, both in the middle
		all.Y -= size / 2
	}
	// A background file is the owner's own picture and needs none of ours.
	if s.Background == "" {
		list = append(list, l.centre(emblem, all))
	}
	if b.Width == 0 {
		return list
	}
	d := newDrawing(b.Width, b.Height)
	if s.Background != "" {
		d = newDrawing(b.Width+2*size, b.Height+size/2)
		d.box(0, 0, float32(d.Rect.Dx()), float32(d.Rect.Dy()), float32(size)/3, barColour)
	}
	d.letters(b, (d.Rect.Dx()-b.Width)/2, (d.Rect.Dy()-b.Height)/2, textColour)
	p := l.stand(d, s, s.TitlePosition, s.Height/10)
	if s.Background == "" && s.TitlePosition == layout.Middle {
		p.y = min(p.y+side/2, s.Height-d.Rect.Dy()) &^ 1
	}
	return append(list, p)
}

// stand puts a drawing in the middle of the width, at the top, middle or bottom.
func (l *letterer) stand(d drawing, s *layout.Scene, at layout.Position, margin int) placed {
	p := l.centre(d, layout.Rect{W: s.Width, H: s.Height})
	switch at {
	case layout.Top:
		p.y = margin &^ 1
	case layout.Bottom:
		p.y = max(s.Height-margin-d.Rect.Dy(), 0) &^ 1
	}
	return p
}
