package engine

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

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
		parts         = 4
		slices, least = 5, 10 * time.Millisecond
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
	// The time of this thread alone counts, and of several slices the fastest: a worker that is started on a busy machine is to measure
	// its core and not its neighbours, or it would refuse the very calls that it has lost. A hypervisor that takes the core away for
	// a moment, and caches that others have filled, still count as the thread's time.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var perSecond float64
	for n := range slices {
		began, encoded := threadTime(), 0
		for threadTime()-began < least {
			if unit, _, err = e.Encode(unit[:0], frames[(n+encoded)%len(frames)], false); err != nil {
				return 0, fmt.Errorf("calibrate: %w", err)
			}
			encoded++
		}
		perSecond = max(perSecond, float64(encoded)/(threadTime()-began).Seconds())
	}
	return int(1.5 * control.Units720p30 * perSecond / (parts * beatsASecond)), nil
}

// threadTime is how long this thread has run.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux since 2.6.12 has it
	}
	return time.Duration(t.Nano())
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
