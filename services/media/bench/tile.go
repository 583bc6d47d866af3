package main

import (
	"context"
	"fmt"
	"path/filepath"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/codec"
	"rotunda/services/media/picture"
)

// tileFrames are compared on each side, out of so many; before that encoders find their rate.
const (
	tileFrames = 8
	tileEvery  = 10
	tileSettle = 45
	// tileBorder is left out on all sides: the worker draws a line between tiles there.
	tileBorder = 8
)

// measureTile compares what is left of a film in a tile of three by three with the film itself, averaged over the area of
// each pixel of the tile.
func measureTile(ctx context.Context, b *bench) ([]figures.Figure, error) {
	list, err := b.newFilms()
	if err != nil {
		return nil, err
	}
	var values []float64
	for _, encoder := range []string{codec.X264, codec.OpenH264} {
		j := newJudge()
		if err := b.judgeWorker(ctx, j, list, encoder); err != nil {
			return nil, err
		}
		v, err := j.verdict()
		if err != nil {
			return nil, fmt.Errorf("worker with %s: %w", encoder, err)
		}
		values = append(values, v)
	}
	path := filepath.Join(b.dir, "composed.h264")
	if _, err := compose(ctx, list, codec.DefaultPreset, tileSettle+tileFrames*tileEvery, leg{"-f", "h264", path}); err != nil {
		return nil, err
	}
	frames, err := decodeFile(ctx, path, filmWidth, filmHeight, tileSettle+tileFrames*tileEvery)
	if err != nil {
		return nil, err
	}
	j := newJudge()
	for _, f := range frames {
		j.see(f)
	}
	peer, err := j.verdict()
	if err != nil {
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	f := figures.Figure{Name: "tile_ssim", Value: values[0], Unit: "SSIM", Goal: ">= 0.99x",
		Conditions: fmt.Sprintf("nine 720p films in 3x3 of 720p, %d bit/s, x264 %s zerolatency on both sides, against the films averaged to the size of the tile, 8 pixels at its borders left out; the worker with openh264, its default: %.4f",
			filmBitrate, codec.DefaultPreset, values[1])}
	return []figures.Figure{f.Against("ffmpeg 5.1 of Debian, scale and xstack, libx264", peer)}, nil
}

// judgeWorker shows a judge what a worker composes.
func (b *bench) judgeWorker(ctx context.Context, j *judge, list []*film, encoder string) error {
	with := *b
	with.encoder = encoder
	w, err := with.startWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	var fars []*wire.Far
	if fars, err = w.attend(ctx, meeting{people: 9, self: "self", slower: 1}, list, nil); err != nil {
		return err
	}
	if err := sleep(ctx, settleVideo); err != nil {
		return err
	}
	v := watchFar(w.load, fars[0], j.see)
	err = sleep(ctx, (tileSettle+tileFrames*tileEvery)*list[0].clip.Every)
	v.close()
	return err
}

// judge compares tiles with what they should show.
type judge struct {
	pool   *picture.Pool
	scenes [films]*scene
	whole  *picture.Frame
	frames int
	tiles  int
	sum    float64
}

func newJudge() *judge {
	j := &judge{pool: picture.NewPool()}
	for n := range j.scenes {
		j.scenes[n] = newScene(n, filmWidth, filmHeight)
	}
	j.whole, _ = j.pool.Get(filmWidth, filmHeight) // a failure shows in the verdict
	return j
}

// see judges the tiles of every tenth frame.
func (j *judge) see(f *picture.Frame) {
	if j.frames++; j.whole == nil || j.frames <= tileSettle || j.frames%tileEvery != 0 {
		return
	}
	for _, p := range ninths(f.Width, f.Height) {
		number, ok := readMark(f, p)
		n := filmOf(f, p)
		if !ok || n < 0 {
			continue
		}
		j.scenes[n].draw(j.whole, number)
		reference, err := j.pool.Get(p.w, p.h)
		if err != nil {
			continue
		}
		average(reference, j.whole)
		inner := pane{tileBorder, tileBorder, p.w - 2*tileBorder, p.h - 2*tileBorder}
		j.sum += picture.SSIM(crop(f, pane{p.x + inner.x, p.y + inner.y, inner.w, inner.h}), crop(reference, inner))
		j.tiles++
		reference.Release()
	}
}

func (j *judge) verdict() (float64, error) {
	if want := 9 * (tileFrames - 2); j.tiles < want {
		return 0, fmt.Errorf("%d tiles were legible in %d frames: want %d", j.tiles, j.frames, want)
	}
	return j.sum / float64(j.tiles), nil
}

// filmOf tells which film a pane shows by the colour of the wall, −1 for none.
func filmOf(f *picture.Frame, p pane) int {
	at := (p.y+p.h/4)/2*f.StrideC + (p.x+p.w/8)/2
	for n, c := range colours {
		if near(f.U[at], c[0]) && near(f.V[at], c[1]) {
			return n
		}
	}
	return -1
}

func near(a, b byte) bool { return max(a, b)-min(a, b) < 10 }

// crop is a pane of a frame, which must stay.
func crop(f *picture.Frame, p pane) *picture.Frame {
	c := p.y/2*f.StrideC + p.x/2
	return picture.Wrap(p.w, p.h, f.Y[p.y*f.StrideY+p.x:], f.U[c:], f.V[c:], f.StrideY, f.StrideC, func(*picture.Frame) {})
}

// average makes a smaller luma plane: each pixel is the mean of the area that it covers, parts of pixels included.
func average(to, from *picture.Frame) {
	for y := range to.Height {
		for x := range to.Width {
			to.Y[y*to.StrideY+x] = areaMean(from, x, y, to.Width, to.Height)
		}
	}
}

// areaMean counts in units of 1/width and 1/height of a source pixel, so that all is whole numbers.
func areaMean(f *picture.Frame, x, y, width, height int) byte {
	sum := 0
	left, right, top, bottom := x*f.Width, (x+1)*f.Width, y*f.Height, (y+1)*f.Height
	for row := top / height; row*height < bottom; row++ {
		high := min(bottom, (row+1)*height) - max(top, row*height)
		for column := left / width; column*width < right; column++ {
			wide := min(right, (column+1)*width) - max(left, column*width)
			sum += high * wide * int(f.Y[row*f.StrideY+column])
		}
	}
	area := f.Width * f.Height
	return byte((sum + area/2) / area)
}
