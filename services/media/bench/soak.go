package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

const (
	soakSample = time.Second
	// soakChurn is how often somebody leaves, and comes back.
	soakChurn = 5 * time.Second
)

// measureSoak carries a meeting of nine in which people come and go, with a recording, and watches the worker's memory. What
// grows from the end of the first sixth to the last sixth of the time is a leak.
func measureSoak(ctx context.Context, b *bench, length time.Duration) ([]figures.Figure, error) {
	list, err := b.newFilms()
	if err != nil {
		return nil, err
	}
	v, err := newVoices()
	if err != nil {
		return nil, err
	}
	w, err := b.startWorker(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	m := meeting{people: 9, self: "self", slower: 1, sound: true}
	fars, err := w.attend(ctx, m, list, v)
	if err != nil {
		return nil, err
	}
	if _, err := w.client.PutLeg(ctx, control.Leg{ID: "recorder", Conference: "meeting", View: control.View{Layout: "allEqualNinths", SelfPane: "self"},
		Sinks: []control.Sink{{ID: "file", File: filepath.Join(b.dir, "soak.mp4"), Width: filmWidth, Height: filmHeight, Bitrate: filmBitrate}}}); err != nil {
		return nil, err
	}
	var resident []float64
	latest, changes := 0.0, 0
	began, changed := time.Now(), time.Now()
	for time.Since(began) < length {
		if err := sleep(ctx, soakSample); err != nil {
			return nil, err
		}
		bytes, err := w.resident()
		if err != nil {
			return nil, err
		}
		resident = append(resident, float64(bytes)/(1<<20))
		if time.Since(changed) >= soakChurn {
			changed = time.Now()
			// The first two stay: they are looked at.
			i := 2 + changes%(m.people-2)
			changes++
			if fars[i], err = w.comeBack(ctx, m, i, fars[i], list, v); err != nil {
				return nil, err
			}
			modules, err := w.client.Status(ctx)
			if err != nil {
				return nil, err
			}
			latest = max(latest, modules[0].Workers[0].TickLate)
		}
		if len(resident)%60 == 0 {
			fmt.Printf("  %d min: %.1f MiB resident\n", len(resident)/60, resident[len(resident)-1])
		}
	}
	if err := seen(ctx, w.load, fars[0]); err != nil {
		return nil, err
	}
	sixth := max(len(resident)/6, 1)
	first, last := figures.Median(resident[sixth:2*sixth]), figures.Median(resident[len(resident)-sixth:])
	return []figures.Figure{{Name: "soak_rss_growth", Value: 100 * (last - first) / first, Unit: "%", Peer: figures.None, Goal: "<= 2",
		Conditions: fmt.Sprintf("%v of a nine-way 720p30 meeting with Opus and a recording; %d times somebody left and came back; %.1f MiB in the second sixth of the time, %.1f in the last; tick at most %.1f ms late (p99.9 of 10 s)",
			length, changes, first, last, latest)}}, nil
}

// comeBack has somebody leave and join again.
func (w *worker) comeBack(ctx context.Context, m meeting, i int, far *wire.Far, list []*film, v *voices) (*wire.Far, error) {
	w.load.Remove(far)
	if err := w.client.DeleteLeg(ctx, strconv.Itoa(i)); err != nil {
		return nil, err
	}
	far, err := w.put(ctx, w.attendee(m, i))
	if err != nil {
		return nil, err
	}
	w.load.Play(far, wire.TrackOptions{Clip: list[i%len(list)].clip, PayloadType: h264Type, SSRC: rtp.NewSSRC()})
	v.play(w.load, far, i, i < 3)
	return far, nil
}
