package layout

// A picture may lose this part of its width or height at each of two opposite sides to fill its pane. An eighth is what a
// 4:3 camera loses in a 16:9 pane; a portrait picture would lose more than a third, and is shown whole between bars.
const cropLimit = 0.125

// Fit decides which part of a picture of width × height is drawn where in a pane: part is in pixels of the picture, place
// in pixels of the canvas. The picture fills the pane if it loses no more than an eighth at each side by that, and if it
// is not to be shown whole anyway; otherwise all of it is shown, in the middle, and place is smaller than the pane.
func Fit(width, height int, pane Rect, whole bool) (part, place Rect) {
	part = Rect{W: width &^ 1, H: height &^ 1}
	if width < 2 || height < 2 || pane.W < 2 || pane.H < 2 {
		return Rect{}, Rect{X: pane.X, Y: pane.Y}
	}
	// Compare width/height with pane.W/pane.H without division.
	wider, taller := width*pane.H, height*pane.W
	if !whole {
		switch {
		case wider > taller: // too wide: left and right are cut off
			keep := even(float64(height) * float64(pane.W) / float64(pane.H))
			if float64(keep) >= (1-2*cropLimit)*float64(width)-2 {
				part.W = min(keep, part.W)
				part.X = (width - part.W) / 2 &^ 1
				return part, pane
			}
		case wider < taller:
			keep := even(float64(width) * float64(pane.H) / float64(pane.W))
			if float64(keep) >= (1-2*cropLimit)*float64(height)-2 {
				part.H = min(keep, part.H)
				part.Y = (height - part.H) / 2 &^ 1
				return part, pane
			}
		}
	}
	place = pane
	switch {
	case wider > taller:
		place.H = min(max(even(float64(pane.W)*float64(height)/float64(width)), 2), pane.H)
		place.Y += (pane.H - place.H) / 2 &^ 1
	case wider < taller:
		place.W = min(max(even(float64(pane.H)*float64(width)/float64(height)), 2), pane.W)
		place.X += (pane.W - place.W) / 2 &^ 1
	}
	return part, place
}

// The nearest even number.
func even(v float64) int { return int(v/2+0.5) * 2 }
