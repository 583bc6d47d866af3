package engine

import (
	"fmt"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
)

// Calibrate measures how many load units this core carries, in about 60 ms. The measure is the encoder, which is most of the
// work of a call with pictures: a core that encodes n pictures of 720p30 in real time carries n calls in which every leg
// has an encode of its own, and about twice as many where legs share one; capacity is between, at one and a half. What a
// meeting needs beyond that costs frames a second, never sound.
func Calibrate(encoder string) (units int, err error) {
	const (
		width, height = 640, 360
		// A 720p picture is four of these; small ones give enough rounds in a short time.
		parts = 4
		least = 50 * time.Millisecond
	)
	pool := picture.NewPool()
	e, err := codec.NewVideoEncoder(codec.VideoOptions{Codec: control.H264, Width: width, Height: height, Rate: beatsASecond, Bitrate: 800_000, Encoder: encoder})
	if err != nil {
		return 0, fmt.Errorf("calibrate: %w", err)
	}
	defer e.Close()
	var frames [4]*picture.Frame
	for i := range frames {
		if frames[i], err = pool.Get(width, height); err != nil {
			return 0, fmt.Errorf("calibrate: %w", err)
		}
		defer frames[i].Release()
		testCard(frames[i], i)
	}
	unit := make([]byte, 0, 1<<18)
	// The first picture is a key frame and makes the encoder's tables.
	if unit, _, err = e.Encode(unit[:0], frames[0], false); err != nil {
		return 0, fmt.Errorf("calibrate: %w", err)
	}
	began := time.Now()
	n := 0
	for time.Since(began) < least {
		n++
		if unit, _, err = e.Encode(unit[:0], frames[n%len(frames)], false); err != nil {
			return 0, fmt.Errorf("calibrate: %w", err)
		}
	}
	perSecond := float64(n) / time.Since(began).Seconds()
	return int(1.5 * control.Units720p30 * perSecond / (parts * beatsASecond)), nil
}

// testCard is a picture with edges and gradients that moves by two pixels a step, about as hard to encode as people who talk.
func testCard(f *picture.Frame, step int) {
	for y := range f.Height {
		row := f.Y[y*f.StrideY:]
		for x := range f.Width {
			u := x + 2*step
			v := byte(16 + (u*3+y*2)&127)
			if (u/40+y/40)%2 == 0 {
				v += byte((u ^ y) & 31)
			}
			row[x] = v
		}
	}
	for y := range f.Height / 2 {
		for x := range f.Width / 2 {
			f.U[y*f.StrideC+x] = byte(96 + (x+step)>>2&63)
			f.V[y*f.StrideC+x] = byte(96 + (y+step)>>2&63)
		}
	}
}
