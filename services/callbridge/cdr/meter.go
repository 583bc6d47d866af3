package cdr

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/media/control"
)

// Meter keeps the figures of legs while they go on, since the media engine forgets a leg with its end. [Meter.Figures] is for
// [Options].Stats.
//
// Losses are told apart as RFC 3611 section 4.7.2 does with its usual Gmin of 16: a burst is a time in which one packet or more of 17 are
// lost, a gap any other. The unit of time is that between two looks.
type Meter struct {
	legs  func() []meeting.LegInfo
	stats func(ctx context.Context, legs ...string) (map[string]control.LegStats, error)
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	gauges map[meeting.ID]*gauge
}

// lookEvery is how often the media engine is asked. A leg that is shorter has no figures.
const lookEvery = 2 * time.Second

// gauge is a leg.
type gauge struct {
	// absent counts looks at which there was no such leg: its end may not have been told yet.
	absent                             int
	rxAudio, txAudio, rxVideo, txVideo track
}

// track is one stream in one direction.
type track struct {
	stream        Stream
	at            time.Time
	packets, lost uint64
	gap, burst    spell
	// last is the one that goes on.
	last *spell
}

// spell is all times of one kind.
type spell struct {
	times       int
	length      time.Duration
	lost, whole uint64
}

// NewMeter makes a Meter of legs, by [meeting.Control.Legs], and of what the media engine says of them, by [mixer.Mixer.Stats].
func NewMeter(legs func() []meeting.LegInfo, stats func(ctx context.Context, legs ...string) (map[string]control.LegStats, error), log *slog.Logger) *Meter {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Meter{legs: legs, stats: stats, log: log, now: time.Now, gauges: map[meeting.ID]*gauge{}}
}

// Run looks until the context ends.
func (m *Meter) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := m.look(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			m.log.Warn("records of legs will have no figures of their media", "error", err)
		}
		failing = err != nil
	}
}

// look takes the figures of this moment.
func (m *Meter) look(ctx context.Context) error {
	names := map[string]meeting.ID{}
	var ask []string
	for _, l := range m.legs() {
		if l.MediaID != "" {
			names[l.MediaID] = l.ID
			ask = append(ask, l.MediaID)
		}
	}
	var all map[string]control.LegStats
	var err error
	if len(ask) > 0 {
		// Asked for none, the engine tells of all.
		ctx, cancel := context.WithTimeout(ctx, lookEvery)
		all, err = m.stats(ctx, ask...)
		cancel()
	}
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	here := map[meeting.ID]bool{}
	for _, id := range names {
		here[id] = true
	}
	for id, g := range m.gauges {
		if here[id] {
			g.absent = 0
		} else if g.absent++; g.absent > 1 {
			delete(m.gauges, id)
		}
	}
	for name, s := range all {
		id, ok := names[name]
		if !ok {
			continue
		}
		g := m.gauges[id]
		if g == nil {
			g = &gauge{}
			m.gauges[id] = g
		}
		if a := s.Audio; a != nil {
			g.rxAudio.take(now, a.Receive, false, 0, 0)
			g.txAudio.take(now, a.Send, true, 0, 0)
		}
		for _, v := range s.Video {
			if v.Stream == "main" {
				g.rxVideo.take(now, v.Receive, false, v.ReceiveWidth, v.ReceiveHeight)
				g.txVideo.take(now, v.Send, true, v.SendWidth, v.SendHeight)
			}
		}
	}
	return err
}

// gmin packets must come between two that are lost, or they are of one burst (RFC 3611 section 4.7.2).
const gmin = 16

// take notes the figures of one stream. Of what is sent, lost packets are among the packets.
func (t *track) take(now time.Time, s control.StreamStats, sent bool, width, height int) {
	if s.Codec != "" {
		t.stream.Codec = word(s.Codec)
	}
	if width*height > t.stream.Width*t.stream.Height {
		t.stream.Width, t.stream.Height = width, height
	}
	if !t.at.IsZero() && s.Packets >= t.packets {
		whole, lost := s.Packets-t.packets, uint64(0)
		if s.Lost > t.lost {
			// Packets that come late are not lost after all, so it may go back.
			lost = s.Lost - t.lost
		}
		if !sent {
			whole += lost
		}
		if whole > 0 {
			is := &t.gap
			if lost*(gmin+1) >= whole {
				is = &t.burst
			}
			if t.last != is {
				t.last = is
				is.times++
			}
			is.length += now.Sub(t.at)
			is.lost += min(lost, whole)
			is.whole += whole
		}
	}
	// Counters that went back are those of another worker.
	t.at, t.packets, t.lost = now, s.Packets, s.Lost
}

// word is a codec as the API names it.
func word(codec string) string {
	switch codec {
	case control.PCMU:
		return "g711u"
	case control.PCMA:
		return "g711a"
	}
	return strings.ToLower(codec)
}

// Figures are those of a leg so far; zero for one that nothing is known of.
func (m *Meter) Figures(leg meeting.ID) Figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.gauges[leg]
	if g == nil {
		return Figures{}
	}
	return Figures{RxAudio: g.rxAudio.figures(), TxAudio: g.txAudio.figures(), RxVideo: g.rxVideo.figures(), TxVideo: g.txVideo.figures()}
}

func (t *track) figures() Stream {
	s := t.stream
	if t.gap.times+t.burst.times > 0 {
		s.Loss = &Loss{BurstDuration: t.burst.mean(), BurstDensity: t.burst.density(), GapDuration: t.gap.mean(), GapDensity: t.gap.density()}
	}
	return s
}

func (s *spell) mean() time.Duration {
	if s.times == 0 {
		return 0
	}
	return s.length / time.Duration(s.times)
}

func (s *spell) density() float64 {
	if s.whole == 0 {
		return 0
	}
	return 100 * float64(s.lost) / float64(s.whole)
}
