package engine

import (
	"time"

	"rotunda/services/media/picture"
)

// Sound waits in a jitter buffer for 24 to 220 ms, and a picture is there when its last packet is. What a far end sent at
// one moment is shown and heard at one moment when the pictures wait: the sender reports of both streams tell the sender's
// time of a picture and of the sound that is heard when it comes (RFC 3550, section 6.4.1), and the difference is its wait.

const (
	// longestWait bounds the wait to the jitter buffer's, and maxQueue the frames that wait: it is the same at 60 a second.
	longestWait = 200 * time.Millisecond
	maxQueue    = 12
	// incredible is a difference that no network makes: the far end's clocks are wrong, and nothing is better than that.
	incredible   = time.Second
	pictureClock = 90000
)

// waitFor is how long a picture of one time of the sender waits while the sound of another is heard.
func waitFor(shot, said time.Time) (wait time.Duration, credible bool) {
	d := shot.Sub(said)
	if d.Abs() > incredible {
		return 0, false
	}
	return min(max(d, 0), longestWait), true
}

func (in *incoming) wait(timestamp uint32, at time.Time) (time.Duration, bool) {
	l := in.flow.leg
	want, s := l.want.Load(), l.sound.Load()
	if want.Audio == nil || want.Audio.Muted || s == nil {
		return 0, false
	}
	source, f := s.source.Load(), s.flow.Load()
	if source == nil || f == nil {
		return 0, false
	}
	voice := f.voice.Load()
	heard, ok := source.Playout(at)
	if voice == nil || !ok {
		return 0, false
	}
	in.mu.Lock()
	shot, ok := in.clock.Time(timestamp)
	in.mu.Unlock()
	if !ok {
		return 0, false
	}
	voice.mu.Lock()
	said, ok := voice.clock.Time(heard)
	voice.mu.Unlock()
	if !ok {
		return 0, false
	}
	return waitFor(shot, said)
}

// soundDelay is how long the sound of the leg waits.
func (l *leg) soundDelay() time.Duration {
	if s := l.sound.Load(); s != nil {
		if source := s.source.Load(); source != nil {
			return source.Stats().Delay
		}
	}
	return 0
}

// show takes a decoded frame, which it owns. It is seen when its sound is heard.
func (c *contribution) show(y *layer, f *picture.Frame) {
	wait, _ := y.feed.wait(f.Timestamp, f.Captured)
	f.Captured = f.Captured.Add(wait)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decoded != y {
		f.Release()
		return
	}
	if len(c.queue) == maxQueue {
		c.turn(1)
	}
	c.queue = append(c.queue, f)
}

// frame returns the newest frame that is to be seen at a time, retained, or nil.
func (c *contribution) frame(now time.Time) *picture.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.queue) - 1; i >= 0; i-- {
		if !c.queue[i].Captured.After(now) {
			c.turn(i + 1)
			break
		}
	}
	if c.latest == nil {
		return nil
	}
	return c.latest.Retain()
}

// turn shows the last of the first n frames in the queue. The caller holds mu.
func (c *contribution) turn(n int) {
	for _, f := range c.queue[:n] {
		if c.latest != nil {
			c.latest.Release()
		}
		c.latest = f
	}
	left := copy(c.queue, c.queue[n:])
	clear(c.queue[left:])
	c.queue = c.queue[:left]
}

// blank shows nothing any more. The caller holds mu.
func (c *contribution) blank() {
	c.turn(len(c.queue))
	if c.latest != nil {
		c.latest.Release()
		c.latest = nil
	}
}
