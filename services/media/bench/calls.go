package main

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/wire"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

const (
	// callers in rooms, of whom so many talk in each.
	callCount, callRooms, callTalkers = 200, 20, 3
	// callWindow has three periods of the worker's figure, which is of ten seconds each; the one that began before counts for nothing.
	callWindow, callPeriod = 42 * time.Second, 11 * time.Second
	audioMedia             = "m=audio PORT RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=rtcp-mux\r\n"
)

// measureCalls is 200 calls of SIP with G.711 on all cores, a worker on each as on the appliance; load and signalling share the first.
func measureCalls(ctx context.Context, b *bench) ([]figures.Figure, error) {
	cores := make([]int, runtime.NumCPU())
	for i := range cores {
		cores[i] = i
	}
	h, err := b.openHouse(ctx, cores...)
	if err != nil {
		return nil, err
	}
	defer h.close()
	for i := range callRooms {
		if _, err := h.ask(ctx, "POST", "coSpaces", url.Values{"name": {fmt.Sprint("Room ", i)}, "uri": {fmt.Sprint("room", i)}}); err != nil {
			return nil, err
		}
	}
	clips, err := phoneVoices()
	if err != nil {
		return nil, err
	}
	var listener *wire.Far
	for n := range callCount {
		far, err := h.dial(ctx, n, fmt.Sprint("room", n%callRooms), audioMedia)
		if err != nil {
			return nil, err
		}
		clip := clips[len(clips)-1]
		if n/callRooms < callTalkers {
			clip = clips[n/callRooms]
		}
		h.load.Play(far, wire.TrackOptions{Clip: clip, PayloadType: 0, SSRC: rtp.NewSSRC(), First: n * 37, After: time.Duration(n) * 7 * time.Millisecond % clip.Every})
		listener = far
	}
	if err := sleep(ctx, 3*time.Second); err != nil {
		return nil, err
	}
	if err := phoneHears(ctx, h, listener); err != nil {
		return nil, err
	}
	u, worst, err := b.lateness(ctx, h)
	if err != nil {
		return nil, err
	}
	if err := h.whole(ctx, callCount); err != nil {
		return nil, err
	}
	if err := u.serve(50, u.Received); err != nil {
		return nil, err
	}
	return []figures.Figure{{Name: "calls_audio_200_late_ms", Value: worst, Unit: "ms", Peer: figures.None, Goal: "< 20",
		Conditions: fmt.Sprintf("%d calls of SIP with G.711 in %d meetings, all send, %d of each talk; a worker on each of %d cores, with load, Call Bridge and database on the first of them; "+
			"the worst worker in three periods of 10 s, as it reports itself (p99.9 of 500 ticks, which is the latest one); %.2f of the cores used by the workers, %.1f %% of the packets in time, %.3f %% lost; %s",
			callCount, callRooms, callTalkers, len(cores), u.cores, 100*u.served, 100*u.lost(), beside())}}, nil
}

// lateness watches the workers' own figures.
func (b *bench) lateness(ctx context.Context, h *house) (u usage, worst float64, err error) {
	if err := sleep(ctx, callPeriod); err != nil {
		return u, 0, err
	}
	h.load.Reset()
	before, err := h.workers.used()
	if err != nil {
		return u, 0, err
	}
	dropped, began := h.workers.dropped(), time.Now()
	for time.Since(began) < callWindow-callPeriod {
		if err := sleep(ctx, time.Second); err != nil {
			return u, 0, err
		}
		modules, err := h.client.Status(ctx)
		if err != nil {
			return u, 0, err
		}
		for _, w := range modules[0].Workers {
			worst = max(worst, w.TickLate)
		}
	}
	u.seconds = time.Since(began).Seconds()
	after, err := h.workers.used()
	if err != nil {
		return u, 0, err
	}
	u.Totals, u.dropped = h.load.Totals(), h.workers.dropped()-dropped
	u.cores = (after - before).Seconds() / u.seconds
	return u, worst, nil
}

// beside is what else the machine did: the load averages count this bench too.
func beside() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load of the machine not known"
	}
	return "load of the machine " + strings.Join(strings.Fields(string(text))[:3], " ")
}

// phoneVoices are tones in G.711, and noise at the end.
func phoneVoices() (clips []*wire.Clip, err error) {
	e, err := codec.NewAudioEncoder(control.PCMU, codec.AudioOptions{})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	pcm, packet := make([]int16, 160), make([]byte, codec.MaxAudioPacket)
	for n := range callTalkers + 1 {
		clip := &wire.Clip{Every: 20 * time.Millisecond, Step: 160}
		for frame := range voiceFrames {
			for i := range pcm {
				t := float64(frame*160 + i)
				pcm[i] = int16(6000 * math.Sin(2*math.Pi*voiceTone(n)*t/8000))
				if n == callTalkers {
					pcm[i] = int16(frame*31+i*17) % 8
				}
			}
			size, err := e.Encode(packet, pcm)
			if err != nil {
				return nil, err
			}
			clip.Units = append(clip.Units, wire.Unit{Payloads: [][]byte{append([]byte(nil), packet[:size]...)}})
		}
		clips = append(clips, clip)
	}
	return clips, nil
}

// phoneHears checks that a silent caller hears those who talk in its room.
func phoneHears(ctx context.Context, h *house, listener *wire.Far) error {
	d, err := codec.NewAudioDecoder(control.PCMU)
	if err != nil {
		return err
	}
	defer d.Close()
	e := &ear{decoder: d, rate: d.Rate(), frame: make([]int16, 6*voiceFrame)}
	var header rtp.Header
	h.load.Do(func() {
		listener.Tap = func(packet []byte, _ time.Time) {
			if payload, err := header.Parse(packet); err == nil {
				e.hear(payload)
			}
		}
	})
	if err := sleep(ctx, 1500*time.Millisecond); err != nil {
		return err
	}
	h.load.Do(func() { listener.Tap = nil })
	for n := range callTalkers {
		if level := e.tone(voiceTone(n)); level < 0.15 {
			return fmt.Errorf("a caller hears voice %d at %.3f of all in %d samples: want 0.15", n, level, len(e.pcm))
		}
	}
	return nil
}

// measureCallVideo is the meeting of video_shared_9, put on the worker directly and by calls of SIP, in turn.
func measureCallVideo(ctx context.Context, b *bench) ([]figures.Figure, error) {
	list, err := b.newFilms()
	if err != nil {
		return nil, err
	}
	shared := meeting{people: 9, self: "self", slower: 1}
	reports := map[string]usage{}
	checked := false
	values, err := b.alternate(ctx,
		b.meets("direct", shared, list, nil, reports),
		side{"calls", func(ctx context.Context) (float64, error) {
			h, err := b.openHouse(ctx, subjectCore())
			if err != nil {
				return 0, err
			}
			defer h.close()
			far, err := h.meet(ctx, shared, list)
			if err != nil {
				return 0, err
			}
			u, err := b.watch(ctx, h.workers, h.load, settleVideo)
			if err != nil {
				return 0, err
			}
			if err := h.whole(ctx, shared.people); err != nil {
				return 0, err
			}
			if u.Streams != shared.people {
				return 0, fmt.Errorf("%d streams come: want %d", u.Streams, shared.people)
			}
			if err := u.serve(filmRate, u.Frames); err != nil {
				return 0, err
			}
			reports["calls"] = u
			if !checked {
				if err := seen(ctx, h.load, far); err != nil {
					return 0, err
				}
				checked = true
			}
			return float64(shared.people) * u.served / u.cores, u.complete()
		}})
	if err != nil {
		return nil, err
	}
	f := figures.Figure{Name: "calls_video_720", Value: values[1], Unit: "legs/core", Goal: ">= 0.85x",
		Conditions: fmt.Sprintf("nine calls of SIP in one space, each with 1280x720 H.264 at 30 frames/s of %d bit/s in both directions, panePlacementSelfPaneMode self, no sound; worker alone, without the Call Bridge: %s; %s",
			filmBitrate, reports["calls"].terms(), beside())}
	return []figures.Figure{f.Against("the same legs put on a worker without a Call Bridge, in turn (video_shared_9)", values[0])}, nil
}

// meet calls with everybody of a meeting and has them play; it returns the last far end.
func (h *house) meet(ctx context.Context, m meeting, list []*film) (last *wire.Far, err error) {
	profile, err := h.ask(ctx, "POST", "callLegProfiles", url.Values{"qualityMain": {"max720p30"}, "participantLabels": {"false"}})
	if err != nil {
		return nil, err
	}
	if _, err := h.ask(ctx, "POST", "coSpaces", url.Values{"name": {"Meeting"}, "uri": {"meeting"}, "defaultLayout": {"allEqualNinths"}, "panePlacementSelfPaneMode": {m.self}, "callLegProfile": {profile}}); err != nil {
		return nil, err
	}
	media := fmt.Sprintf("b=TIAS:%d\r\na=rtpmap:%d H264/90000\r\na=fmtp:%d profile-level-id=42801f;packetization-mode=1\r\na=rtcp-mux\r\na=rtcp-fb:* nack pli\r\na=framerate:%d\r\n",
		m.bitrate(), h264Type, h264Type, filmRate)
	for i := range m.people {
		far, err := h.dial(ctx, i, "meeting", "m=video PORT RTP/AVP "+strconv.Itoa(h264Type)+"\r\n"+media)
		if err != nil {
			return nil, err
		}
		clip := list[i%len(list)].clip
		h.load.Play(far, wire.TrackOptions{Clip: clip, PayloadType: h264Type, SSRC: rtp.NewSSRC(), After: clip.Every * time.Duration(i) / time.Duration(m.people)})
		last = far
	}
	return last, nil
}
