package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// recordings at a time, on either side: one alone is too little to measure.
const recordings = 10

// outlet is where recordings or pushes go.
type outlet struct {
	// sink is what the worker is told, arguments what ffmpeg is told, path where the result lies.
	sink      func(name string) control.Sink
	arguments func(name string) []string
	path      func(name string) string
}

func measureRecording(ctx context.Context, b *bench) ([]figures.Figure, error) {
	path := func(name string) string { return filepath.Join(b.dir, name+".mp4") }
	return b.outlet(ctx, "recording_cpu", "MP4 files", outlet{
		path:      path,
		sink:      func(name string) control.Sink { return control.Sink{ID: "file", File: path(name)} },
		arguments: func(name string) []string { return []string{"-y", path(name)} },
	})
}

func measurePush(ctx context.Context, b *bench) ([]figures.Figure, error) {
	server, err := b.startRTMP(ctx)
	if err != nil {
		return nil, err
	}
	defer server.stop(syscall.SIGKILL)
	return b.outlet(ctx, "push_cpu", "RTMP to nginx", outlet{
		path:      func(name string) string { return filepath.Join(server.dir, name+".flv") },
		sink:      func(name string) control.Sink { return control.Sink{ID: "push", URL: server.url(name)} },
		arguments: func(name string) []string { return []string{"-f", "flv", server.url(name)} },
	})
}

// outlet measures the part of a core that one 720p recording or push takes.
func (b *bench) outlet(ctx context.Context, name, what string, o outlet) ([]figures.Figure, error) {
	f, err := b.newFilm(0, filmWidth, filmHeight, filmBitrate)
	if err != nil {
		return nil, err
	}
	voice, err := newVoice(0, 0)
	if err != nil {
		return nil, err
	}
	checked := map[string]bool{}
	check := func(who string) error {
		if checked[who] {
			return nil
		}
		err := b.recorded(ctx, o.path(who+"-0"))
		checked[who] = err == nil
		return err
	}
	percent := func(u usage) float64 { return 100 * u.cores / recordings }
	values, err := b.alternate(ctx,
		side{"worker", func(ctx context.Context) (float64, error) {
			w, err := b.startWorker(ctx)
			if err != nil {
				return 0, err
			}
			defer w.close()
			for i := range recordings {
				name := "worker-" + strconv.Itoa(i)
				_ = os.Remove(o.path(name)) // of the round before: a recording is never written over
				far, err := w.put(ctx, control.Leg{ID: strconv.Itoa(i), Transports: []control.Transport{w.plain()},
					Audio: &control.Audio{Direction: control.ReceiveOnly, Receive: []control.Format{opus}},
					Video: &control.Video{Direction: control.ReceiveOnly, Receive: []control.Format{h264}, PLI: true, NACK: true},
					Sinks: []control.Sink{o.sink(name)}})
				if err != nil {
					return 0, err
				}
				b.perform(w.load, far, far, f, voice, i)
			}
			u, err := b.watch(ctx, w.process, w.load, 3*time.Second)
			if err != nil {
				return 0, err
			}
			for i := range recordings {
				if err := w.client.DeleteLeg(ctx, strconv.Itoa(i)); err != nil {
					return 0, err
				}
			}
			return percent(u), check("worker")
		}},
		side{"ffmpeg", func(ctx context.Context) (float64, error) {
			l, err := wire.Start(here)
			if err != nil {
				return 0, err
			}
			defer l.Close()
			var all processes
			defer func() { all.stop() }()
			for i := range recordings {
				p, port, err := b.startRecorder(i, f, o.arguments("ffmpeg-"+strconv.Itoa(i)))
				if err != nil {
					return 0, err
				}
				all = append(all, p)
				sound, pictures := &wire.Far{Remote: port(0)}, &wire.Far{Remote: port(2)}
				l.Add(sound)
				l.Add(pictures)
				b.perform(l, sound, pictures, f, voice, i)
			}
			// It looks at the streams for up to five seconds before it begins to write.
			u, err := b.watch(ctx, all, l, 6*time.Second)
			if err != nil {
				return 0, err
			}
			all.stop()
			return percent(u), check("ffmpeg")
		}})
	if err != nil {
		return nil, err
	}
	figure := figures.Figure{Name: name, Value: values[0], Unit: "% of a core", Goal: "<= 0.6x",
		Conditions: fmt.Sprintf("%s: 1280x720 H.264 of %d bit/s and Opus of %d bit/s by RTP, remuxed with AAC; %d at a time on both sides", what, filmBitrate, opusBitrate, recordings)}
	return []figures.Figure{figure.Against("ffmpeg 5.1 of Debian, -c:v copy -c:a aac", values[1])}, nil
}

// perform plays sound and pictures to a recorder.
func (b *bench) perform(l *wire.Load, sound, pictures *wire.Far, f *film, voice *wire.Clip, i int) {
	l.Play(sound, wire.TrackOptions{Clip: voice, PayloadType: opusType, SSRC: rtp.NewSSRC(), After: time.Duration(2*i) * time.Millisecond})
	l.Play(pictures, wire.TrackOptions{Clip: f.clip, PayloadType: h264Type, SSRC: rtp.NewSSRC(), After: time.Duration(3*i) * time.Millisecond})
}

// recorded checks what a recording shows and what it sounds like.
func (b *bench) recorded(ctx context.Context, path string) error {
	frames, err := decodeFile(ctx, path, filmWidth, filmHeight, 60)
	if err != nil {
		return err
	}
	seen := map[int]bool{}
	for _, f := range frames {
		if n, ok := readMark(f, pane{0, 0, filmWidth, filmHeight}); ok {
			seen[n] = true
		}
	}
	e := &ear{rate: voiceRate}
	if e.pcm, err = decodeSound(ctx, path); err != nil {
		return err
	}
	if level := e.tone(voiceTone(0)); len(seen) < 45 || level < 0.3 {
		return fmt.Errorf("%s shows %d frames of the film in its first 60 and has its tone at %.2f: want 45 or more and 0.3", filepath.Base(path), len(seen), level)
	}
	return nil
}

// processes are several that do the work of one.
type processes []*process

func (all processes) used() (total time.Duration, err error) {
	for _, p := range all {
		one, err := p.used()
		if err != nil {
			return 0, err
		}
		total += one
	}
	return total, nil
}

// stop has all complete their files.
func (all processes) stop() {
	for _, p := range all {
		_ = p.command.Process.Signal(syscall.SIGINT)
	}
	for _, p := range all {
		p.stop(syscall.SIGINT)
	}
}

// sprop is the parameter sets of a film as SDP has them, without which ffmpeg would wait for them.
func sprop(f *film) (string, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return "", fmt.Errorf("read parameter sets: %w", err)
	}
	var sets []string
	for _, unit := range strings.Split(string(text[:min(len(text), 4096)]), "\x00\x00\x00\x01") {
		if len(unit) > 0 && (unit[0]&31 == 7 || unit[0]&31 == 8) {
			sets = append(sets, base64.StdEncoding.EncodeToString([]byte(unit)))
		}
	}
	return strings.Join(sets, ","), nil
}
