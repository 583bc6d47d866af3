package live

import (
	"context"
	"sync"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/media/control"
)

// totals count legs since the start.
type totals struct {
	mu                      sync.Mutex
	active, most, completed int
}

func (t *totals) note(c meeting.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch c.Kind {
	case meeting.LegBegan:
		t.active++
		t.most = max(t.most, t.active)
	case meeting.LegOver:
		t.active--
		t.completed++
	}
}

// Totals are the counters of system/status: call legs now, at most at once, and ended, since the start of the Call Bridge; and the media of all
// legs in bits per second.
type Totals struct {
	Active, Most, Completed              int
	AudioOut, AudioIn, VideoOut, VideoIn int64
}

// Totals counts. Where the media engine is away or does not answer in time, the rates are 0.
func (l *Live) Totals(ctx context.Context) Totals {
	l.totals.mu.Lock()
	t := Totals{Active: l.totals.active, Most: l.totals.most, Completed: l.totals.completed}
	l.totals.mu.Unlock()
	var names []string
	for _, g := range l.o.Control.Legs(meeting.ID{}) {
		names = append(names, g.MediaID)
	}
	for _, s := range l.figures.of(ctx, names...) {
		if s.Audio != nil {
			t.AudioIn += int64(s.Audio.Receive.Bitrate)
			t.AudioOut += int64(s.Audio.Send.Bitrate)
		}
		for _, p := range s.Video {
			t.VideoIn += int64(p.Receive.Bitrate)
			t.VideoOut += int64(p.Send.Bitrate)
		}
	}
	return t
}

// Load is how much of the media capacity of this machine is taken, in thousandths; 0 where there are no media workers
// or the engine is away. It is the greater one of
// what calls were admitted with and of what the cores do.
func (l *Live) Load(ctx context.Context) int {
	if l.o.Modules == nil || !l.o.Connected() {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	modules, err := l.o.Modules(ctx)
	if err != nil {
		return 0
	}
	return loadOf(modules)
}

func loadOf(modules []control.Module) int {
	used, capacity, busy, workers := 0, 0, 0.0, 0
	for _, m := range modules {
		for _, w := range m.Workers {
			used += w.Used
			capacity += w.Capacity
			busy += w.Busy
			workers++
		}
	}
	if workers == 0 || capacity <= 0 {
		return 0
	}
	load := max(1000*used/capacity, int(1000*busy)/workers)
	return min(load, 1000)
}
