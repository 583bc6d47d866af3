package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"rotunda/services/media/bench/wire"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
)

// meeting is people with cameras on one worker.
type meeting struct {
	people int
	// self is the SelfPane: "self" shows all the same picture, "skip" each all but himself.
	self string
	// slower divides the rate of frames in both directions, and the bit rates with it: the work for a frame stays the same,
	// and a core can carry a meeting that it could not at full speed.
	slower int
	// sound has everybody send Opus, and three talk.
	sound bool
	// marked replaces what the first one sends.
	marked func(*worker, *wire.Far)
	// onSent is told when somebody's frame is sent.
	onSent func(person, unit int, at time.Time)
}

// bitrate is a little above a part of the film's, for the worker rounds down to steps of 512, 768 and 1,500 kbit/s.
func (m meeting) bitrate() int { return filmBitrate * 103 / 100 / m.slower }

// attend puts the legs of a meeting and has them play.
func (w *worker) attend(ctx context.Context, m meeting, list []*film, v *voices) ([]*wire.Far, error) {
	fars := make([]*wire.Far, m.people)
	for i := range fars {
		far, err := w.put(ctx, w.attendee(m, i))
		if err != nil {
			return nil, err
		}
		fars[i] = far
	}
	for i, far := range fars {
		if i == 0 && m.marked != nil {
			m.marked(w, far)
			continue
		}
		clip := list[i%len(list)].clip.Slower(m.slower)
		o := wire.TrackOptions{Clip: clip, PayloadType: h264Type, SSRC: rtp.NewSSRC(), After: clip.Every * time.Duration(i) / time.Duration(m.people)}
		if m.onSent != nil {
			o.OnSent = func(unit int, at time.Time) { m.onSent(i, unit, at) }
		}
		w.load.Play(far, o)
		if m.sound {
			v.play(w.load, far, i, i < 3 && m.marked == nil)
		}
	}
	return fars, nil
}

// attendee is the leg of one of the people.
func (w *worker) attendee(m meeting, i int) control.Leg {
	video := &control.Video{Send: h264, Receive: []control.Format{h264}, MaxWidth: filmWidth, MaxHeight: filmHeight,
		MaxRate: filmRate / m.slower, SendBitrate: m.bitrate(), PLI: true, NACK: true}
	leg := control.Leg{ID: strconv.Itoa(i), Conference: "meeting", Transports: []control.Transport{w.plain()}, Video: video,
		View: control.View{Layout: "allEqualNinths", SelfPane: m.self}}
	if m.sound {
		send := opus
		send.Bitrate = opusBitrate
		leg.Audio = &control.Audio{Send: send, Receive: []control.Format{opus}, LevelExtension: levelExtension}
	}
	return leg
}

// seen checks that all nine tiles of what a far end is sent show films that move.
func seen(ctx context.Context, l *wire.Load, far *wire.Far) error {
	tiles := ninths(filmWidth, filmHeight)
	var numbers [len(tiles)]map[int]bool
	for i := range numbers {
		numbers[i] = map[int]bool{}
	}
	frames := 0
	v := watchFar(l, far, func(f *picture.Frame) {
		frames++
		for i, t := range tiles {
			if n, ok := readMark(f, t); ok {
				numbers[i][n] = true
			}
		}
	})
	err := sleep(ctx, 2*time.Second)
	v.close()
	if err != nil {
		return err
	}
	shown := 0
	for _, n := range numbers {
		if len(n) > 5 {
			shown++
		}
	}
	if shown < len(tiles)-1 {
		return fmt.Errorf("%d of %d tiles show a film in %d frames (%d packets left out)", shown, len(tiles), frames, v.lost)
	}
	return nil
}
