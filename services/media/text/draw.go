package text

import (
	"image"
	"image/draw"
	"slices"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
	"golang.org/x/text/unicode/bidi"
)

// Limits of a bitmap.
const (
	// MaxSize is the largest letter height, MaxSide the longest side of a bitmap in pixels.
	MaxSize = 256
	MaxSide = 4096
	// MaxLines is how many lines a text may have.
	MaxLines = 32
)

// Style says how a text is drawn. Values beyond the limits are cut to them.
type Style struct {
	// Size is the height of an em in pixels; a capital letter is about seven tenths of it.
	Size int
	// MaxWidth is the width in pixels at which lines are broken or cut off with an ellipsis; 0 means MaxSide.
	MaxWidth int
	// Lines is how many there may be at most; 0 means one.
	Lines int
	// Centred lines stand in the middle of the bitmap, others at the side where reading begins.
	Centred bool
}

// Bitmap is how much of each pixel is covered by letters, row by row without gaps between rows. It is shared and not to
// be written to.
type Bitmap struct {
	Width, Height int
	// Baseline is how far the foot of the first line's letters lies below the upper edge.
	Baseline int
	Alpha    []byte
}

// Render draws a text. The bitmap is as wide as the longest line and as high as the lines; it has no pixels if there is
// nothing to draw.
func (f *Fonts) Render(s string, style Style) *Bitmap {
	style.Size = min(max(style.Size, 4), MaxSize)
	style.Lines = min(max(style.Lines, 1), MaxLines)
	if style.MaxWidth <= 0 || style.MaxWidth > MaxSide {
		style.MaxWidth = MaxSide
	}
	// Cut before it becomes a key of the cache: four bytes are the most a character takes, and as many again may be dropped.
	if most := 8 * MaxRunes; len(s) > most {
		s = s[:most]
	}
	k := key{s, style}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.files) == 0 {
		return &Bitmap{}
	}
	if b := f.cache.get(k); b != nil {
		return b
	}
	b := f.render(s, style)
	f.cache.put(k, b)
	return b
}

// drawer is what is used again for each text.
type drawer struct {
	runes     []rune
	segmenter shaping.Segmenter
	shaper    shaping.HarfbuzzShaper
	wrapper   shaping.LineWrapper
	glyphs    sfnt.Buffer
	raster    vector.Rasterizer
}

// line is one line of shaped runs from left to right.
type line struct {
	runs  []shaping.Output
	width fixed.Int26_6
	right bool // reading begins at the right
}

func (f *Fonts) render(s string, style Style) *Bitmap {
	f.draw.runes = clean(f.draw.runes[:0], s, MaxRunes, style.Lines > 1)
	var lines []line
	rest := f.draw.runes
	for len(rest) > 0 && len(lines) < style.Lines {
		paragraph := rest
		if i := slices.Index(rest, '\n'); i >= 0 {
			paragraph, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		lines = append(lines, f.wrap(paragraph, style, style.Lines-len(lines), len(rest) > 0)...)
	}
	return f.paint(lines, style)
}

// wrap shapes one paragraph and breaks it into at most limit lines.
func (f *Fonts) wrap(paragraph []rune, style Style, limit int, more bool) []line {
	if len(paragraph) == 0 {
		return []line{{}}
	}
	// Runs keep slices of the text: it has to outlive them.
	paragraph = slices.Clone(paragraph)
	right := rightToLeft(paragraph)
	in := shaping.Input{Text: paragraph, RunEnd: len(paragraph), Direction: di.DirectionLTR,
		Size: fixed.I(style.Size), Language: language.DefaultLanguage()}
	if right {
		in.Direction = di.DirectionRTL
	}
	var shaped []shaping.Output
	for _, part := range f.draw.segmenter.Split(in, f) {
		shaped = append(shaped, inked(f.draw.shaper.Shape(part), paragraph))
	}
	dots := shaping.Input{Text: []rune("…"), RunEnd: 1, Direction: in.Direction, Face: f.ResolveFace('…'), Size: in.Size,
		Script: language.Common, Language: in.Language}
	config := shaping.WrapConfig{Direction: in.Direction, TruncateAfterLines: limit, TextContinues: more,
		Truncator: inked(f.draw.shaper.Shape(dots), dots.Text)}
	if limit == 1 {
		config.BreakPolicy = shaping.Always // a name is cut in the middle of a word rather than before it
	}
	wrapped, _ := f.draw.wrapper.WrapParagraph(config, style.MaxWidth-2*margin, paragraph, shaping.NewSliceIterator(shaped))
	lines := make([]line, 0, len(wrapped))
	for _, w := range wrapped {
		l := line{runs: slices.Clone(w), right: right}
		slices.SortStableFunc(l.runs, func(a, b shaping.Output) int { return int(a.VisualIndex - b.VisualIndex) })
		for i := range l.runs {
			l.width += l.runs[i].Advance
		}
		lines = append(lines, l)
	}
	return lines
}

// inked marks the glyphs that are not blanks. The line breaker tells the two apart by the width of the outline, which the
// shaper does not know here, and would let the last letter of each line hang over the edge.
func inked(run shaping.Output, text []rune) shaping.Output {
	for i := range run.Glyphs {
		if text[run.Glyphs[i].TextIndex()] != ' ' {
			run.Glyphs[i].Width = 1
		}
	}
	return run
}

// Whether the first letter with a direction is one of a script that runs from right to left (UAX #9, rules P2 and P3).
func rightToLeft(text []rune) bool {
	for _, r := range text {
		switch p, _ := bidi.LookupRune(r); p.Class() {
		case bidi.L:
			return false
		case bidi.R, bidi.AL:
			return true
		}
	}
	return false
}

// ResolveFace implements [shaping.Fontmap]: the first font that has a letter, otherwise the first font with its empty box.
func (f *Fonts) ResolveFace(r rune) *font.Face {
	for _, one := range f.files {
		if one.covers(r) {
			if one.load(); one.face != nil {
				return one.face
			}
		}
	}
	return f.files[0].face
}

func (f *Fonts) outline(face *font.Face) *sfnt.Font {
	for _, one := range f.files {
		if one.face == face {
			return one.outline
		}
	}
	return nil
}

// Room that letters of the first font need above and below the baseline in parts of the size. Other scripts may need more,
// and get it up to the limit: Thai and Burmese pile up, a trick text would pile up without end.
const (
	ascent, descent = 0.95, 0.28
	mostExtra       = 0.6
	// margin in pixels at each side for letters that reach over their advance.
	margin = 1
)

func (f *Fonts) paint(lines []line, style Style) *Bitmap {
	width := fixed.Int26_6(0)
	for _, l := range lines {
		width = max(width, l.width)
	}
	if width <= 0 {
		return &Bitmap{}
	}
	size := float64(style.Size)
	up, down := pixels(ascent*size), pixels(descent*size)
	limit := pixels(mostExtra * size)
	for _, l := range lines {
		for i := range l.runs {
			b := l.runs[i].LineBounds
			// Fonts promise more room than their letters take; a third of what is beyond ours has proved to be enough.
			up = max(up, min(up+limit, up+(b.Ascent.Ceil()-up)/3))
			down = max(down, min(down+limit, down+(-b.Descent.Floor()-down)/3))
		}
	}
	step := up + down
	b := &Bitmap{Width: min(width.Ceil()+2*margin, style.MaxWidth), Height: min(step*len(lines), MaxSide), Baseline: up}
	b.Alpha = make([]byte, b.Width*b.Height)
	f.draw.raster.Reset(b.Width, b.Height)
	f.draw.raster.DrawOp = draw.Src
	for i, l := range lines {
		x := fixed.I(margin)
		switch {
		case style.Centred:
			x += (width - l.width) / 2
		case l.right:
			x += width - l.width
		}
		y := fixed.I(up + i*step)
		for j := range l.runs {
			x = f.trace(&l.runs[j], x, y)
		}
	}
	mask := &image.Alpha{Pix: b.Alpha, Stride: b.Width, Rect: image.Rect(0, 0, b.Width, b.Height)}
	f.draw.raster.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	return b
}

// trace adds the outlines of a run and returns where the next one begins.
func (f *Fonts) trace(run *shaping.Output, x, y fixed.Int26_6) fixed.Int26_6 {
	outline := f.outline(run.Face)
	if outline == nil {
		return x + run.Advance
	}
	z := &f.draw.raster
	w, h := float32(z.Size().X), float32(z.Size().Y)
	for i := range run.Glyphs {
		g := &run.Glyphs[i]
		left, base := float(x+g.XOffset), float(y-g.YOffset)
		x += g.Advance
		// What is far outside has no pixel, and costs time in the rasteriser.
		if reach := 4 * float(run.Size); left < -reach || left > w+reach || base < -reach || base > h+reach {
			continue
		}
		segments, err := outline.LoadGlyph(&f.draw.glyphs, sfnt.GlyphIndex(g.GlyphID), run.Size, nil)
		if err != nil {
			continue // a letter without outline, a colour picture for example: it stays blank
		}
		open := false
		for _, s := range segments {
			a, b, c := s.Args[0], s.Args[1], s.Args[2]
			switch s.Op {
			case sfnt.SegmentOpMoveTo:
				if open {
					z.ClosePath()
				}
				open = true
				z.MoveTo(left+float(a.X), base+float(a.Y))
			case sfnt.SegmentOpLineTo:
				z.LineTo(left+float(a.X), base+float(a.Y))
			case sfnt.SegmentOpQuadTo:
				z.QuadTo(left+float(a.X), base+float(a.Y), left+float(b.X), base+float(b.Y))
			case sfnt.SegmentOpCubeTo:
				z.CubeTo(left+float(a.X), base+float(a.Y), left+float(b.X), base+float(b.Y), left+float(c.X), base+float(c.Y))
			}
		}
		if open {
			z.ClosePath()
		}
	}
	return x
}

func float(v fixed.Int26_6) float32 { return float32(v) / 64 }

func pixels(v float64) int { return int(v + 0.5) }
