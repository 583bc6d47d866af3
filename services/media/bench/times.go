package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
)

const (
	// timesWindow is longer than the ten seconds that TickLate looks back on.
	timesWindow = 13 * time.Second
	flashEvery  = filmRate // frames: once a second
	flashFrames = 6
	beepLevel   = 2000 // of 32767; others are silent
)

// measureTimes is a meeting of nine with sound at full speed, in which frames are numbered and the first one flashes and
// beeps once a second, both at one time.
func measureTimes(ctx context.Context, b *bench) ([]figures.Figure, error) {
	list, err := b.newFilms()
	if err != nil {
		return nil, err
	}
	v, err := newVoices()
	if err != nil {
		return nil, err
	}
	flash, err := b.shoot("flash.h264", filmWidth, filmHeight, filmBitrate, flashEvery, drawFlash)
	if err != nil {
		return nil, err
	}
	beep, err := newBeep()
	if err != nil {
		return nil, err
	}
	w, err := b.startWorker(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	o := &observer{worker: w, marks: newMarks()}
	fars, err := w.attend(ctx, meeting{people: 9, self: "self", slower: 1, sound: true, onSent: o.sent,
		marked: func(w *worker, far *wire.Far) {
			w.load.Play(far, wire.TrackOptions{Clip: flash.clip, PayloadType: h264Type, SSRC: rtp.NewSSRC(), Steady: true, After: time.Second})
			w.load.Play(far, wire.TrackOptions{Clip: beep, PayloadType: opusType, SSRC: rtp.NewSSRC(), Level: levelExtension, Steady: true, After: time.Second})
		}}, list, v)
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, settleVideo); err != nil {
		return nil, err
	}
	if err := o.observe(ctx, fars[8], "8"); err != nil {
		return nil, err
	}
	used, err := w.used()
	if err != nil {
		return nil, err
	}
	modules, err := w.client.Status(ctx)
	if err != nil {
		return nil, err
	}
	if len(o.latencies) < 500 || len(o.marks.skews) < 5 {
		return nil, fmt.Errorf("%d frames and %d flashes with beeps were recognised: want 500 and 5", len(o.latencies), len(o.marks.skews))
	}
	slices.Sort(o.latencies)
	load := fmt.Sprintf("nine-way 720p30 with shared encode and Opus, %.2f of a core used", used.Seconds()/(timesWindow+settleVideo).Seconds())
	return []figures.Figure{
		{Name: "frame_latency_ms", Value: quantile(o.latencies, 0.95), Unit: "ms", Peer: figures.None, Goal: "<= 80",
			Conditions: fmt.Sprintf("p95 from the last packet of a frame to the last packet of the first composed one that shows it; median %.0f, p99 %.0f of %d; %s",
				quantile(o.latencies, 0.5), quantile(o.latencies, 0.99), len(o.latencies), load)},
		{Name: "av_skew_ms", Value: math.Abs(figures.Median(o.marks.skews)), Unit: "ms", Peer: figures.None, Goal: "<= 40",
			Conditions: fmt.Sprintf("flash and beep sent at one time, difference of their times by sender reports, median of %d; largest %.0f; by arrival %.0f (picture after sound); %s",
				len(o.marks.skews), largest(o.marks.skews), figures.Median(o.marks.arrivals), load)},
		{Name: "tick_late_ms", Value: modules[0].Workers[0].TickLate, Unit: "ms", Peer: figures.None, Goal: "<= 5",
			Conditions: "p99.9 of the last 10 s; " + load},
	}, nil
}

func quantile(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }

func largest(values []float64) (most float64) {
	for _, v := range values {
		if math.Abs(v) > math.Abs(most) {
			most = v
		}
	}
	return most
}

// observer looks at what one far end is sent.
type observer struct {
	worker *worker
	marks  *marks

	mu        sync.Mutex
	departed  [9][filmFrames]time.Time
	shown     [9]int
	latencies []float64 // ms
}

// sent is told each frame that leaves.
func (o *observer) sent(person, unit int, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.departed[person][unit] = at
}

func (o *observer) observe(ctx context.Context, far *wire.Far, id string) error {
	e, err := newEar()
	if err != nil {
		return err
	}
	defer e.decoder.Close()
	v := watchFar(o.worker.load, far, func(f *picture.Frame) { o.see(f, id) })
	o.worker.load.Do(func() {
		far.Report = o.marks.report
		pictures := far.Tap
		var h rtp.Header
		far.Tap = func(packet []byte, at time.Time) {
			pictures(packet, at)
			if payload, err := h.Parse(packet); err == nil && h.PayloadType == opusType {
				e.pcm = e.pcm[:0]
				e.hear(payload)
				o.marks.hear(e.pcm, h.SSRC, h.Timestamp, at)
			}
		}
	})
	err = sleep(ctx, timesWindow)
	v.close()
	o.marks.match()
	return err
}

// see notes which frames a composed one shows for the first time.
func (o *observer) see(f *picture.Frame, id string) {
	for i, p := range ninths(f.Width, f.Height) {
		person, err := strconv.Atoi(o.worker.pane(id, i))
		if err != nil {
			continue
		}
		if person == 0 {
			o.marks.see(f.Y[(p.y+p.h/2)*f.StrideY+p.x+p.w/2], f.Timestamp, f.Captured)
			continue
		}
		number, ok := readMark(f, p)
		if !ok || number >= filmFrames {
			continue
		}
		o.mu.Lock()
		if at := o.departed[person][number]; number != o.shown[person] && !at.IsZero() {
			o.shown[person] = number
			o.latencies = append(o.latencies, float64(f.Captured.Sub(at))/1e6)
		}
		o.mu.Unlock()
	}
}

// drawFlash is black, and white for a fifth of each second.
func drawFlash(f *picture.Frame, i int) {
	luma := byte(30)
	if i%flashEvery < flashFrames {
		luma = 220
	}
	for y := range f.Height {
		row := f.Y[y*f.StrideY:][:f.Width]
		for x := range row {
			row[x] = luma
		}
	}
	for y := range f.Height / 2 {
		for x := range f.Width / 2 {
			f.U[y*f.StrideC+x], f.V[y*f.StrideC+x] = 128, 128
		}
	}
}

// newBeep is a tone for as long as the flash, and silence.
func newBeep() (*wire.Clip, error) {
	e, err := codec.NewAudioEncoder(control.Opus, codec.AudioOptions{Bitrate: opusBitrate, Complexity: opusComplexity})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	clip := &wire.Clip{Every: 20 * time.Millisecond, Step: voiceFrame}
	pcm, packet := make([]int16, voiceFrame), make([]byte, codec.MaxAudioPacket)
	for frame := range voiceFrames {
		level := int8(-70)
		for i := range pcm {
			pcm[i] = 0
			if frame%50 < 50*flashFrames/flashEvery {
				level = -12
				pcm[i] = int16(12000 * math.Sin(2*math.Pi*1000*float64(i)/voiceRate))
			}
		}
		size, err := e.Encode(packet, pcm)
		if err != nil {
			return nil, fmt.Errorf("encode a beep: %w", err)
		}
		clip.Units = append(clip.Units, wire.Unit{Payloads: [][]byte{append([]byte(nil), packet[:size]...)}, Level: level})
	}
	return clip, nil
}
