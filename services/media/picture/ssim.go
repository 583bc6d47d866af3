package picture

// SSIM is the structural similarity of two frames of the same size, 1 for equal ones: the mean over windows of 8 × 8
// pixels of luma, four apart, as ffmpeg's filter of that name computes it.
func SSIM(a, b *Frame) float64 {
	width, height := min(a.Width, b.Width)&^3, min(a.Height, b.Height)&^3
	if width < 8 || height < 8 {
		return 0
	}
	// Sums of blocks of 4 × 4, two rows of them: a window is four blocks.
	type sums struct{ a, b, squares, product int64 }
	row := func(dst []sums, y int) {
		for x := range dst {
			var s sums
			for j := range 4 {
				pa, pb := a.Y[(4*y+j)*a.StrideY+4*x:], b.Y[(4*y+j)*b.StrideY+4*x:]
				for i := range 4 {
					va, vb := int64(pa[i]), int64(pb[i])
					s.a += va
					s.b += vb
					s.squares += va*va + vb*vb
					s.product += va * vb
				}
			}
			dst[x] = s
		}
	}
	above, below := make([]sums, width/4), make([]sums, width/4)
	row(above, 0)
	total, n := 0.0, 0
	for y := 1; y < height/4; y++ {
		row(below, y)
		for x := range width/4 - 1 {
			var w sums
			for _, s := range [4]sums{above[x], above[x+1], below[x], below[x+1]} {
				w.a += s.a
				w.b += s.b
				w.squares += s.squares
				w.product += s.product
			}
			const (
				pixels = 64
				c1     = 0.01 * 0.01 * 255 * 255 * pixels
				c2     = 0.03 * 0.03 * 255 * 255 * pixels * (pixels - 1)
			)
			mean := float64(w.a * w.b)
			means := float64(w.a*w.a + w.b*w.b)
			variances := float64(w.squares*pixels) - means
			covariance := float64(w.product*pixels) - mean
			total += (2*mean + c1) * (2*covariance + c2) / ((means + c1) * (variances + c2))
			n++
		}
		above, below = below, above
	}
	return total / float64(n)
}
