package leg

import (
	"context"
	"sync"
	"time"

	"rotunda/services/media/control"
)

// updates asks far ends for whole pictures that cannot be asked by RTCP: older ones understand the INFO of RFC 5168 alone. What the engine
// would have asked for is seen in its figures, which are looked at once a second, of those legs only.
type updates struct {
	legs *Legs

	mu    sync.Mutex
	lines map[*Line]uint64 // how many pictures were asked for
	armed bool
}

const (
	updateEvery = time.Second
	updateWait  = 2 * time.Second
)

// watch begins or ends it for a leg.
func (u *updates) watch(l *Line, on bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, there := u.lines[l]; there == on {
		return
	}
	if !on {
		delete(u.lines, l)
		return
	}
	u.lines[l] = 0
	u.arm()
}

func (u *updates) arm() {
	if !u.armed && len(u.lines) > 0 {
		u.armed = true
		u.legs.o.After(updateEvery, u.look)
	}
}

// look compares the figures with those of before.
func (u *updates) look() {
	u.mu.Lock()
	names := make([]string, 0, len(u.lines))
	for l := range u.lines {
		names = append(names, l.media.ID())
	}
	u.mu.Unlock()
	var stats map[string]control.LegStats
	if len(names) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), updateWait)
		// An engine that does not answer has other worries; the next look comes soon.
		stats, _ = u.legs.o.Mixer.Stats(ctx, names...)
		cancel()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for l, before := range u.lines {
		s, ok := stats[l.media.ID()]
		if !ok {
			continue
		}
		var asked uint64
		for _, v := range s.Video {
			asked += v.KeyFramesAsked
		}
		if asked != before {
			u.lines[l] = asked
			if asked > 0 {
				l.q.add(l.askPicture)
			}
		}
	}
	u.armed = false
	u.arm()
}

// askPicture asks the far end for whole pictures.
func (l *Line) askPicture() {
	if l.stage == up {
		l.call.Info(controlType, fastUpdate)
	}
}
