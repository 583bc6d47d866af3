package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/wire"
)

const (
	// composedFrames that the peer makes in a round, beyond the one that its start is measured with.
	composedFrames = 60
	// defaultPreset of x264 is what ffmpeg does when it is told nothing. With sameQuality, the preset of package codec, its pictures are
	// at this bit rate as good as those of openh264, which the worker uses; somebody who tunes ffmpeg for speed would take it.
	defaultPreset, sameQuality = "medium", "superfast"
	// settleVideo is until all send, all are seen, and encoders have found their rate.
	settleVideo = 2500 * time.Millisecond
)

// measureNine is a meeting of nine, in which all see the same or each sees the others. The peer makes the same picture for
// all in either case.
func measureNine(ctx context.Context, b *bench) ([]figures.Figure, error) {
	list, err := b.newFilms()
	if err != nil {
		return nil, err
	}
	shared, personal := meeting{people: 9, self: "self", slower: 1}, meeting{people: 9, self: "skip", slower: 3}
	reports := map[string]usage{}
	values, err := b.alternate(ctx,
		b.meets("shared", shared, list, nil, reports),
		b.meets("personal", personal, list, nil, reports),
		side{"ffmpeg", func(ctx context.Context) (float64, error) { return composes(ctx, list, defaultPreset) }},
		side{"ffmpeg tuned", func(ctx context.Context) (float64, error) { return composes(ctx, list, sameQuality) }})
	if err != nil {
		return nil, err
	}
	peer := func(preset string) string {
		return fmt.Sprintf("ffmpeg 5.1 of Debian: 9 files decoded, scale and xstack, one libx264 %s a leg, RTP, without a deadline", preset)
	}
	common := fmt.Sprintf("each sends 1280x720 H.264 of %d bit/s and is sent 3x3 in 1280x720 at the same bit rate, no sound; ", filmBitrate)
	same := figures.Figure{Name: "video_shared_9", Value: values[0], Unit: "legs/core",
		Conditions: common + "30 frames/s, SelfPane self; " + reports["shared"].terms()}
	own := figures.Figure{Name: "video_personal_9", Value: values[1], Unit: "legs/core",
		Conditions: common + "at a third of the speed (10 frames/s, a third of the bit rate), counted as 3 legs, SelfPane skip; " + reports["personal"].terms()}
	tuned := func(f figures.Figure) figures.Figure {
		f.Name += "_tuned"
		return f.Against(peer(sameQuality), values[3])
	}
	sharedTuned, ownTuned := tuned(same), tuned(own)
	same.Goal, own.Goal = ">= 5x", ">= 1.6x"
	return []figures.Figure{same.Against(peer(defaultPreset), values[2]), own.Against(peer(defaultPreset), values[2]), sharedTuned, ownTuned}, nil
}

// measureHundred is a large meeting of which nine are seen.
func measureHundred(ctx context.Context, b *bench) ([]figures.Figure, error) {
	list, err := b.newFilms()
	if err != nil {
		return nil, err
	}
	v, err := newVoices()
	if err != nil {
		return nil, err
	}
	reports := map[string]usage{}
	m := meeting{people: 100, self: "self", slower: 3, sound: true}
	values, err := b.alternate(ctx, b.meets("hundred", m, list, v, reports))
	if err != nil {
		return nil, err
	}
	return []figures.Figure{{Name: "video_100", Value: values[0], Unit: "legs/core", Peer: figures.None, Goal: ">= 30",
		Conditions: fmt.Sprintf("100 legs with 1280x720 H.264 in both directions, 9 seen, SelfPane self, at a third of the speed (10 frames/s, %d bit/s), counted as 33.3 legs; with Opus at full speed, 3 talk; %s",
			filmBitrate/m.slower, reports["hundred"].terms())}}, nil
}

// terms are the circumstances of the last round.
func (u usage) terms() string {
	return fmt.Sprintf("%.2f of a core used, %.1f %% of the frames in time", u.cores, 100*u.served)
}

// meets is a meeting on the worker; the result is legs at full speed per core. What is seen is checked the first time.
func (b *bench) meets(name string, m meeting, list []*film, v *voices, reports map[string]usage) side {
	checked := false
	return side{name, func(ctx context.Context) (float64, error) {
		w, err := b.startWorker(ctx)
		if err != nil {
			return 0, err
		}
		defer w.close()
		fars, err := w.attend(ctx, m, list, v)
		if err != nil {
			return 0, err
		}
		u, err := b.watch(ctx, w.process, w.load, settleVideo)
		if err != nil {
			return 0, err
		}
		rate := float64(filmRate) / float64(m.slower)
		if m.sound {
			u.Streams = m.people // of pictures; sound has no markers but at the beginning
		}
		if err := u.serve(rate, u.Frames); err != nil {
			return 0, err
		}
		reports[name] = u
		if !checked {
			class := "shared"
			if m.self == "skip" {
				class = "personal"
			}
			if err := w.classes(ctx, class); err != nil {
				return 0, err
			}
			if err := seen(ctx, w.load, fars[len(fars)-1]); err != nil {
				return 0, err
			}
			checked = true
		}
		return float64(m.people) / float64(m.slower) * u.served / u.cores, u.complete()
	}}
}

// composes is the peer's way; the result is legs per core. Starting nine decoders and nine encoders is left out. Cameras by
// RTP in real time instead of files cost it the same within what rounds differ, and twenty seconds a round until it is in
// step with nine of them.
func composes(ctx context.Context, list []*film, preset string) (float64, error) {
	to, err := wire.Start(here)
	if err != nil {
		return 0, err
	}
	defer to.Close()
	legs := slices.Repeat([]leg{toLoad(to)}, 9)
	start, err := compose(ctx, list, preset, 1, legs...)
	if err != nil {
		return 0, err
	}
	whole, err := compose(ctx, list, preset, 1+composedFrames, legs...)
	if err != nil {
		return 0, err
	}
	return 9 * composedFrames / filmRate / (whole - start).Seconds(), nil
}
