package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// room is a meeting of voices.
type room struct {
	people, talking int
	// ours is how many such rooms the worker gets at a time, so that its core has something to do; theirs is how many
	// people the peer gets in its one room: what its core carries.
	ours, theirs int
}

func measureFewTalk(ctx context.Context, b *bench) ([]figures.Figure, error) {
	return b.audio(ctx, "audio_few_talk", ">= 8x", room{people: 100, talking: 3, ours: 4, theirs: 60})
}

func measureAllTalk(ctx context.Context, b *bench) ([]figures.Figure, error) {
	return b.audio(ctx, "audio_all_talk", ">= 4x", room{people: 60, talking: 60, ours: 4, theirs: 60})
}

func (b *bench) audio(ctx context.Context, name, goal string, r room) ([]figures.Figure, error) {
	v, err := newVoices()
	if err != nil {
		return nil, err
	}
	used := map[string]float64{}
	perCore := func(who string, people int, u usage) (float64, error) {
		used[who] = u.cores
		return float64(people) * u.served / u.cores, u.complete()
	}
	checked := map[string]bool{}
	values, err := b.alternate(ctx,
		side{"worker", func(ctx context.Context) (float64, error) {
			w, err := b.startWorker(ctx)
			if err != nil {
				return 0, err
			}
			defer w.close()
			var listener *wire.Far
			for n := range r.ours {
				for i := range r.people {
					far, err := w.voice(ctx, fmt.Sprintf("%d.%d", n, i), strconv.Itoa(n))
					if err != nil {
						return 0, err
					}
					v.play(w.load, far, i, i < r.talking)
					listener = far
				}
			}
			u, err := b.listen(ctx, w.process, w.load, listener, r, v, checked, "worker")
			if err != nil {
				return 0, err
			}
			return perCore("worker", r.ours*r.people, u)
		}},
		side{"janus", func(ctx context.Context) (float64, error) {
			j, err := b.startJanus(ctx, "audiobridge", `local_ip = "`+here.String()+`"; rtp_port_range = "30000-39999"`)
			if err != nil {
				return 0, err
			}
			defer j.close()
			if err := j.openBridge(ctx); err != nil {
				return 0, err
			}
			var listener *wire.Far
			for i := range r.theirs {
				far, err := j.voice(ctx, i)
				if err != nil {
					return 0, err
				}
				v.play(j.load, far, i, i < r.talking)
				listener = far
			}
			u, err := b.listen(ctx, j.process, j.load, listener, r, v, checked, "janus")
			if err != nil {
				return 0, err
			}
			return perCore("janus", r.theirs, u)
		}})
	if err != nil {
		return nil, err
	}
	f := figures.Figure{Name: name, Value: values[0], Unit: "participants/core", Goal: goal,
		Conditions: fmt.Sprintf("Opus 48 kHz, 20 ms, %d bit/s on both sides, complexity %d (peer %d, its least), RFC 6464 levels, plain RTP; worker: %d rooms of %d, %d talk, %.2f of a core; peer: one room of %d (what its core carries), %d talk, %.2f of a core",
			opusBitrate, opusComplexity, janusComplexity, r.ours, r.people, r.talking, used["worker"], r.theirs, min(r.talking, r.theirs), used["janus"])}
	return []figures.Figure{f.Against("Janus AudioBridge 1.1.2", values[1])}, nil
}

// listen measures a bridge that is full, and once a side what is heard there.
func (b *bench) listen(ctx context.Context, p *process, l *wire.Load, listener *wire.Far, r room, v *voices, checked map[string]bool, who string) (usage, error) {
	u, err := b.watch(ctx, p, l, 2*time.Second)
	if err != nil {
		return u, err
	}
	if err := u.serve(50, u.Received); err != nil {
		return u, err
	}
	if checked[who] {
		return u, nil
	}
	err = v.heard(ctx, l, listener, r.talking)
	checked[who] = err == nil
	return u, err
}

// voices are the clips that everybody speaks from.
type voices struct {
	speech []*wire.Clip
	quiet  *wire.Clip
}

// different voices; of more people some share one.
const different = 8

func newVoices() (*voices, error) {
	v := &voices{}
	for n := range different {
		clip, err := newVoice(n, 0)
		if err != nil {
			return nil, err
		}
		v.speech = append(v.speech, clip)
	}
	var err error
	v.quiet, err = newVoice(0, -72)
	return v, err
}

// play has participant i speak, or be silent. All send 50 packets a second, spread over the 20 ms.
func (v *voices) play(l *wire.Load, far *wire.Far, i int, speaks bool) {
	clip := v.quiet
	if speaks {
		clip = v.speech[i%different]
	}
	l.Play(far, wire.TrackOptions{Clip: clip, PayloadType: opusType, SSRC: rtp.NewSSRC(), Level: levelExtension,
		First: i * 37, After: time.Duration(i) * 7 * time.Millisecond % clip.Every})
}

// heard checks that a listener hears those who talk: each of a few, and somebody at all where everybody does.
func (v *voices) heard(ctx context.Context, l *wire.Load, listener *wire.Far, talking int) error {
	e, err := newEar()
	if err != nil {
		return err
	}
	defer e.decoder.Close()
	var h rtp.Header
	l.Do(func() {
		listener.Tap = func(packet []byte, _ time.Time) {
			if payload, err := h.Parse(packet); err == nil {
				e.hear(payload)
			}
		}
	})
	if err := sleep(ctx, 1500*time.Millisecond); err != nil {
		return err
	}
	l.Do(func() { listener.Tap = nil })
	// One tone among many is a small part of the whole; noise alone comes to less than a hundredth.
	audible := 0.15
	if talking > different {
		audible = 0.04
	}
	var levels []float64
	count := 0
	for n := range min(talking, different) {
		levels = append(levels, e.tone(voiceTone(n)))
		if levels[n] > audible {
			count++
		}
	}
	if want := min(talking, 3); count < want {
		return fmt.Errorf("%d voices are heard: want %d; levels %.2f in %d samples", count, want, levels, len(e.pcm))
	}
	return nil
}

// voice puts a leg with sound alone.
func (w *worker) voice(ctx context.Context, id, conference string) (*wire.Far, error) {
	send := opus
	send.Bitrate = opusBitrate
	return w.put(ctx, control.Leg{ID: id, Conference: conference, Transports: []control.Transport{w.plain()},
		Audio: &control.Audio{Send: send, Receive: []control.Format{opus}, LevelExtension: levelExtension}})
}

// openBridge makes the room.
func (j *janus) openBridge(ctx context.Context) error {
	handle, err := j.attach(ctx, "audiobridge")
	if err != nil {
		return err
	}
	_, err = j.tell(ctx, handle, map[string]any{"request": "create", "room": 1, "sampling_rate": voiceRate, "audiolevel_ext": true,
		"audiolevel_event": false, "allow_rtp_participants": true, "default_bitrate": opusBitrate, "default_expectedloss": 0}, "", "")
	return err
}

// voice joins a participant with plain RTP, without FEC. Quality is its word for Opus' complexity.
func (j *janus) voice(ctx context.Context, i int) (*wire.Far, error) {
	handle, err := j.attach(ctx, "audiobridge")
	if err != nil {
		return nil, err
	}
	a, err := j.tell(ctx, handle, map[string]any{"request": "join", "room": 1, "id": i + 1, "quality": janusComplexity, "bitrate": opusBitrate,
		"rtp": map[string]any{"ip": here, "port": j.load.Address().Port(), "payload_type": opusType, "audiolevel_ext": levelExtension, "fec": false}}, "", "")
	if err != nil {
		return nil, err
	}
	var joined struct {
		RTP struct {
			IP   netip.Addr
			Port uint16
		}
	}
	if err := json.Unmarshal(a.Plugindata.Data, &joined); err != nil || joined.RTP.Port == 0 {
		return nil, fmt.Errorf("join the bridge: %w: %s", err, a.Plugindata.Data)
	}
	far := &wire.Far{Remote: netip.AddrPortFrom(joined.RTP.IP, joined.RTP.Port)}
	j.load.Add(far)
	return far, nil
}
