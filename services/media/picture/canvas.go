package picture

import (
	"fmt"
	"image/color"
	"log/slog"
	"time"

	"rotunda/services/media/layout"
	"rotunda/services/media/text"
)

// Frames gives the latest frame of a source, nil if none has come. The frame has to stay as it is until Draw returns.
type Frames interface {
	Latest(source uint32) *Frame
}

// Composer is what the canvases of one worker share.
type Composer struct {
	pool        *Pool
	fonts       *text.Fonts
	backgrounds *backgrounds
}

// NewComposer returns a composer. Without fonts there is no text in pictures. Log takes what is wrong with background files.
func NewComposer(pool *Pool, fonts *text.Fonts, log *slog.Logger) *Composer {
	return &Composer{pool: pool, fonts: fonts, backgrounds: newBackgrounds(pool, func(err error) {
		log.Warn("a background is left out", "error", err)
	})}
}

// Close waits for files that are being read, and gives their frames back.
func (c *Composer) Close() { c.backgrounds.close() }

// Canvas is one composition. It is used by one goroutine at a time.
type Canvas struct {
	composer *Composer
	frame    *Frame
	letterer letterer
	scene    *layout.Scene
	panes    []pane
	// over are the sprites that do not belong to one pane: message, status, title.
	over []placed
	// The background file of the scene, and its frame when it has been read.
	background *background
	backdrop   *Frame
	colours    colours
}

type colours struct{ backdrop, pane, speaking, outline, bar yuv }

// pane is what has been drawn of a pane of the scene.
type pane struct {
	// serial is of the frame last drawn, 0 for none.
	serial uint64
	// above are the later panes that lie over this one, by bit.
	above       uint64
	name, label placed // without sprite if there is none
}

// Panes of a scene that are drawn: as many as fit the bits of above.
const maxPanes = 64

// NewCanvas returns a canvas of width × height, both even; it shows nothing yet.
func (c *Composer) NewCanvas(width, height int) (*Canvas, error) {
	f, err := c.pool.Get(width, height)
	if err != nil {
		return nil, fmt.Errorf("make canvas: %w", err)
	}
	m := matrixFor(height)
	v := &Canvas{composer: c, frame: f, letterer: letterer{fonts: c.fonts, matrix: m, height: height}}
	v.colours = colours{backdrop: m.of(backdropColour), pane: m.of(paneColour), speaking: m.of(speakingColour),
		outline: m.of(outlineColour), bar: m.of(color.RGBA{0, 0, 0, 255})}
	f.paint(f.all(), v.colours.backdrop)
	return v, nil
}

// Frame is the composed picture, the same frame at all times. It changes with the next Draw: whoever encodes it does so
// before.
func (v *Canvas) Frame() *Frame { return v.frame }

// Close gives the canvas's memory back.
func (v *Canvas) Close() {
	v.frame.Release()
	if v.backdrop != nil {
		v.backdrop.Release()
		v.backdrop = nil
	}
}

// Draw brings the picture up to date and reports whether anything changed. A scene that differs from the last one is drawn
// as a whole, which takes a millisecond more; otherwise only panes with a new frame are.
func (v *Canvas) Draw(scene *layout.Scene, frames Frames) (changed bool) {
	whole := false
	if scene != v.scene {
		if !scene.Equal(v.scene) {
			v.prepare(scene)
			whole = true
		}
		v.scene = scene
	}
	if v.background != nil && v.backdrop == nil && v.background.ready.Load() {
		v.backdrop = v.composer.backgrounds.take(v.background)
		whole = true
	}
	if whole {
		v.clear()
	}
	var latest time.Time
	under := uint64(0) // panes that lie over one that has been drawn
	for i := range v.panes {
		p := &scene.Panes[i]
		if p.Source == 0 {
			continue // the background is to be seen
		}
		var f *Frame
		serial := uint64(0)
		if p.Source != 0 && !p.CameraOff {
			if f = frames.Latest(p.Source); f != nil {
				serial = f.serial
			}
		}
		d := &v.panes[i]
		if !whole && serial == d.serial && under&(1<<i) == 0 {
			continue
		}
		if serial != d.serial && f != nil && f.Captured.After(latest) {
			latest = f.Captured
		}
		d.serial = serial
		under |= d.above
		changed = true
		v.drawPane(p, d, f)
		for j := range v.over {
			o := &v.over[j]
			v.frame.lay(o.sprite, o.x, o.y, p.Rect)
		}
	}
	if changed && !latest.IsZero() {
		v.frame.Captured = latest
	}
	if changed || whole {
		v.frame.smaller.drop() // copies of what it was
	}
	return changed || whole
}

// prepare makes what stays the same as long as the scene does. Sprites of panes that look the same as one of before are
// used again: a change of speaker changes two panes of twenty-five.
func (v *Canvas) prepare(scene *layout.Scene) {
	old, before := v.panes, v.scene
	v.panes = make([]pane, min(len(scene.Panes), maxPanes))
	for i := range v.panes {
		p, d := &scene.Panes[i], &v.panes[i]
		for j := i + 1; j < len(v.panes); j++ {
			if p.Rect.Overlaps(scene.Panes[j].Rect) {
				d.above |= 1 << j
			}
		}
		if p.Source == 0 {
			continue
		}
		if j := alike(before, len(old), p); j >= 0 {
			d.name, d.label = old[j].name.moved(before.Panes[j].Rect, p.Rect), old[j].label.moved(before.Panes[j].Rect, p.Rect)
			continue
		}
		d.name, _ = v.letterer.name(p)
		d.label, _ = v.letterer.label(p)
	}
	v.over = v.over[:0]
	if o, ok := v.letterer.status(scene); ok {
		v.over = append(v.over, o)
	}
	if scene.Still != layout.Meeting {
		v.over = append(v.over, v.letterer.title(scene)...)
	}
	if o, ok := v.letterer.message(scene); ok {
		v.over = append(v.over, o)
	}
	if before == nil || before.Background != scene.Background {
		if v.backdrop != nil {
			v.backdrop.Release()
		}
		v.backdrop, v.background = nil, nil
		if scene.Background != "" {
			v.background = v.composer.backgrounds.get(scene.Background, v.frame.Width, v.frame.Height)
		}
	}
}

// alike finds a pane of the scene before with the same lettering.
func alike(before *layout.Scene, n int, p *layout.Pane) int {
	if before == nil {
		return -1
	}
	for j := range n {
		o := &before.Panes[j]
		if o.Source != 0 && o.Name == p.Name && o.Label == p.Label && o.LabelTop == p.LabelTop && o.Muted == p.Muted &&
			o.Rect.W == p.Rect.W && o.Rect.H == p.Rect.H {
			return j
		}
	}
	return -1
}

func (p placed) moved(from, to layout.Rect) placed {
	p.x += to.X - from.X
	p.y += to.Y - from.Y
	return p
}

// clear draws the background and what lies over it.
func (v *Canvas) clear() {
	if v.backdrop != nil {
		stretch(v.frame, v.frame.all(), v.backdrop, v.backdrop.all())
	} else {
		v.frame.paint(v.frame.all(), v.colours.backdrop)
	}
	for i := range v.over {
		v.frame.lay(v.over[i].sprite, v.over[i].x, v.over[i].y, v.frame.all())
	}
}

func (f *Frame) all() layout.Rect { return layout.Rect{W: f.Width, H: f.Height} }

// drawPane draws one pane with its own lettering and border.
func (v *Canvas) drawPane(p *layout.Pane, d *pane, f *Frame) {
	if f == nil {
		v.frame.paint(p.Rect, v.colours.pane)
		if d.name.sprite != nil {
			v.frame.lay(d.name.sprite, d.name.x, d.name.y, p.Rect)
		}
	} else {
		v.drawFrame(p, f)
	}
	if d.label.sprite != nil && (f != nil || p.Muted) {
		v.frame.lay(d.label.sprite, d.label.x, d.label.y, p.Rect)
	}
	switch {
	case p.Speaking:
		v.border(p.Rect, max(v.frame.Height/180&^1, 2), v.colours.speaking)
	case p.Outline, p.Rect != v.frame.all():
		v.border(p.Rect, 2, v.colours.outline)
	}
}

// drawFrame scales a frame into a pane.
func (v *Canvas) drawFrame(p *layout.Pane, f *Frame) {
	part, place := layout.Fit(f.Width, f.Height, p.Rect, p.Whole)
	if place != p.Rect {
		v.bars(p.Rect, place)
	}
	f.into(v.frame, place, part, v.composer.pool)
}

// bars fills what a picture leaves of its pane.
func (v *Canvas) bars(all, place layout.Rect) {
	c := v.colours.bar
	v.frame.paint(layout.Rect{X: all.X, Y: all.Y, W: all.W, H: place.Y - all.Y}, c)
	v.frame.paint(layout.Rect{X: all.X, Y: place.Y + place.H, W: all.W, H: all.Y + all.H - place.Y - place.H}, c)
	v.frame.paint(layout.Rect{X: all.X, Y: place.Y, W: place.X - all.X, H: place.H}, c)
	v.frame.paint(layout.Rect{X: place.X + place.W, Y: place.Y, W: all.X + all.W - place.X - place.W, H: place.H}, c)
}

// border draws a frame of n pixels along the inside of a rectangle.
func (v *Canvas) border(r layout.Rect, n int, c yuv) {
	v.frame.paint(layout.Rect{X: r.X, Y: r.Y, W: r.W, H: n}, c)
	v.frame.paint(layout.Rect{X: r.X, Y: r.Y + r.H - n, W: r.W, H: n}, c)
	v.frame.paint(layout.Rect{X: r.X, Y: r.Y + n, W: n, H: r.H - 2*n}, c)
	v.frame.paint(layout.Rect{X: r.X + r.W - n, Y: r.Y + n, W: n, H: r.H - 2*n}, c)
}
