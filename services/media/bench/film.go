package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"rotunda/services/media/bench/wire"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/stream"
)

const (
	filmWidth   = 1280
	filmHeight  = 720
	filmRate    = 30
	filmBitrate = 1_500_000
	filmFrames  = 120 // 4 s before the loop begins again, with the only key frame
	// films that are different; of more legs some send the same, out of step.
	films = 3
)

// film is somebody before a camera, drawn and encoded beforehand.
type film struct {
	clip *wire.Clip
	// path is the same as a file, in Annex B.
	path string
}

// newFilms makes the films.
func (b *bench) newFilms() ([]*film, error) {
	list := make([]*film, films)
	for n := range list {
		var err error
		if list[n], err = b.newFilm(n, filmWidth, filmHeight, filmBitrate); err != nil {
			return nil, fmt.Errorf("make a film: %w", err)
		}
	}
	return list, nil
}

// newFilm makes film number n.
func (b *bench) newFilm(n, width, height, bitrate int) (*film, error) {
	name := fmt.Sprintf("film-%d-%d.h264", n, height)
	return b.shoot(name, width, height, bitrate, filmFrames, newScene(n, width, height).draw)
}

// shoot encodes with x264, whichever encoder is measured: what comes from far ends is not ours. There is a key frame every
// so many frames.
func (b *bench) shoot(name string, width, height, bitrate, keyEvery int, draw func(*picture.Frame, int)) (*film, error) {
	f := &film{path: filepath.Join(b.dir, name), clip: &wire.Clip{Every: time.Second / filmRate, Step: 90000 / filmRate, Video: true}}
	pool := picture.NewPool()
	frame, err := pool.Get(width, height)
	if err != nil {
		return nil, err
	}
	defer frame.Release()
	e, err := codec.NewVideoEncoder(codec.VideoOptions{Codec: control.H264, Encoder: codec.X264, Width: width, Height: height, Rate: filmRate, Bitrate: bitrate})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	p, err := stream.NewPacketizer(control.H264, stream.PayloadSize(control.DefaultMTU, 32), 1)
	if err != nil {
		return nil, err
	}
	file, err := os.Create(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for i := range filmFrames {
		draw(frame, i)
		unit, _, err := e.Encode(nil, frame, i%keyEvery == 0)
		if err != nil {
			return nil, err
		}
		if _, err := file.Write(unit); err != nil {
			return nil, err
		}
		payloads, err := p.Split(unit)
		if err != nil {
			return nil, err
		}
		var u wire.Unit
		for _, payload := range payloads {
			u.Payloads = append(u.Payloads, append([]byte(nil), payload...))
		}
		f.clip.Units = append(f.clip.Units, u)
	}
	return f, nil
}

// scene is what the camera sees: a wall with texture in a colour of its own, a head that sways before it, the noise of a
// sensor, and over it all a bar that numbers the frames.
type scene struct {
	number        int
	width, height int
	wall          []byte
	noise         [4096]int8
}

func newScene(n, width, height int) *scene {
	s := &scene{number: n, width: width, height: height, wall: make([]byte, width*height)}
	random := rand.New(rand.NewPCG(uint64(n), 2))
	for i := range s.noise {
		s.noise[i] = int8(max(-3, min(3, math.Round(random.NormFloat64()))))
	}
	for y := range height {
		for x := range width {
			// Gradients, soft waves and a fine grain.
			wave := 14*math.Sin(float64(x)/37+float64(n)) + 10*math.Sin(float64(y)/23)
			s.wall[y*width+x] = byte(80 + x*50/width + y*30/height + int(wave) + int(s.noise[(x*31+y*57)&4095]))
		}
	}
	return s
}

// colours of the walls: difference of blue and of red.
var colours = [films][2]byte{{100, 150}, {150, 105}, {128, 90}}

// draw draws frame i of the loop.
func (s *scene) draw(f *picture.Frame, i int) {
	phase := 2 * math.Pi * float64(i) / filmFrames
	cx, cy := s.width/2+int(float64(s.width)*0.08*math.Sin(phase*2)), s.height/2+int(float64(s.height)*0.04*math.Cos(phase*3))
	rx, ry := s.width/8, s.height/3
	for y := range s.height {
		row := f.Y[y*f.StrideY:][:s.width]
		copy(row, s.wall[y*s.width:])
		if dy := y - cy; dy > -ry && dy < ry {
			half := int(float64(rx) * math.Sqrt(1-float64(dy*dy)/float64(ry*ry)))
			for x := max(0, cx-half); x < min(s.width, cx+half); x++ {
				dx := x - cx
				row[x] = byte(150 + dx*40/rx + dy*20/ry + int(8*s.waves(dx, dy)))
			}
		}
		shift := i*977 + y*131
		for x := range row {
			row[x] = byte(int(row[x]) + int(s.noise[(x+shift)&4095]))
		}
	}
	colour := colours[s.number%films]
	for y := range s.height / 2 {
		u, v := f.U[y*f.StrideC:][:s.width/2], f.V[y*f.StrideC:][:s.width/2]
		for x := range u {
			u[x], v[x] = colour[0], colour[1]
		}
	}
	mark(f, i)
}

// waves are hair, lips and eyes, as far as an encoder cares.
func (s *scene) waves(x, y int) float64 {
	return math.Sin(float64(x)/5) * math.Cos(float64(y)/7)
}

// The bar that numbers frames is at the top: cells of a sixteenth of the width, white for 1. The first two are 1 and 0, the
// last is the parity.
const (
	markCells = 16
	markBits  = markCells - 3
)

func markHeight(height int) int { return height / 15 &^ 1 }

func mark(f *picture.Frame, number int) {
	cells := 1 | number<<2
	parity := 0
	for bit := range markBits {
		parity ^= number >> bit & 1
	}
	cells |= parity << (markCells - 1)
	for y := range markHeight(f.Height) {
		row := f.Y[y*f.StrideY:][:f.Width]
		for x := range row {
			row[x] = 20
			if cells>>(x*markCells/f.Width)&1 != 0 {
				row[x] = 230
			}
		}
	}
}

// pane is a part of a picture.
type pane struct{ x, y, w, h int }

// readMark reads the number of a frame that is shown in a pane, of whatever size.
func readMark(f *picture.Frame, p pane) (number int, ok bool) {
	y := p.y + markHeight(p.h)/2
	cells := 0
	for cell := range markCells {
		x := p.x + (2*cell+1)*p.w/(2*markCells)
		switch v := f.Y[y*f.StrideY+x]; {
		case v > 160:
			cells |= 1 << cell
		case v > 100:
			return 0, false
		}
	}
	if cells&3 != 1 {
		return 0, false
	}
	number = cells >> 2 & (1<<markBits - 1)
	parity := 0
	for bit := range markBits {
		parity ^= number >> bit & 1
	}
	return number, parity == cells>>(markCells-1)
}

// ninths are the panes of three by three, as both sides lay them out.
func ninths(width, height int) (list [9]pane) {
	even := func(v float64) int { return int(v/2+0.5) * 2 }
	edge := func(i, side int) int { return even(float64(i) * float64(side) / 3) }
	for i := range list {
		x, y := i%3, i/3
		left, top := edge(x, width), edge(y, height)
		list[i] = pane{left, top, edge(x+1, width) - left, edge(y+1, height) - top}
	}
	return list
}
