package engine

import (
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/services/media/control"
)

// stats are the figures of a leg.
func (l *leg) stats() control.LegStats {
	want := l.want.Load()
	now := time.Now()
	s := control.LegStats{ID: l.id}
	if name := l.layout.Load(); name != nil {
		s.Layout = *name
	}
	if list := l.transports.Load(); list != nil {
		for _, f := range *list {
			s.Transports = append(s.Transports, f.endpoint.Stats())
		}
	}
	if a := l.sound.Load(); a != nil && want.Audio != nil {
		s.Audio = a.stats(want.Audio, now)
	}
	for which := range pictures {
		if v := l.video(want, which, now); v != nil {
			s.Video = append(s.Video, *v)
		}
	}
	return s
}

func (s *sound) stats(want *control.Audio, now time.Time) *control.AudioStats {
	a := &control.AudioStats{Level: -127}
	a.Send.Codec = want.Send.Codec
	s.mu.Lock()
	a.Send.Packets, a.Send.Bytes, a.Send.Bitrate = s.sent.Packets, s.sent.Bytes, s.rate.rate(now)
	s.mu.Unlock()
	if f := s.flow.Load(); f != nil {
		f.mu.Lock()
		q := f.link.heard.now(now)
		a.Send.LossPercent, a.Send.Jitter, a.Send.RoundTrip = 100*q.lost, ms(q.jitter), ms(f.link.trip)
		list := f.list
		f.mu.Unlock()
		for _, in := range list {
			if in.layer.Load() != nil {
				continue
			}
			in.mu.Lock()
			r := &in.reception
			a.Receive.Packets, a.Receive.Bytes, a.Receive.Bitrate = r.Packets, r.Bytes, in.rate.rate(now)
			a.Receive.Lost, a.Receive.LossPercent, a.Receive.Jitter = uint64(max(r.Lost(), 0)), 100*r.Fraction(), ms(r.Jitter())
			in.mu.Unlock()
		}
	}
	if source := s.source.Load(); source != nil {
		x := source.Stats()
		a.Receive.Codec, a.Level, a.Delay = x.Codec, x.Level, ms(x.Delay)
		a.Concealed, a.Late, a.Gain = x.Concealed, x.Late, x.Gain
	}
	return a
}

func (l *leg) video(want *control.Leg, which int, now time.Time) *control.VideoStats {
	c, d := l.contribution[which].Load(), l.display[which].Load()
	if c == nil && d == nil {
		return nil
	}
	s := &control.VideoStats{Stream: pictureNames[which]}
	if c != nil {
		if y, o := c.last(now); y != nil {
			n := y.receiver.Counts()
			s.Receive = control.StreamStats{Codec: y.codec, Packets: n.Packets, Bytes: n.Bytes, Bitrate: o.bitrate, Lost: uint64(max(n.Lost, 0)), Jitter: ms(n.Jitter)}
			s.ReceiveWidth, s.ReceiveHeight, s.KeyFramesAsked = o.width, o.height, n.KeysAsked
			s.ReceiveRate = c.pace.rate(n.Frames, now)
		}
		s.DecodeErrors = c.errors.Load()
	}
	if d != nil {
		s.Class = class(d.class.Load()).String()
		s.Send.Codec = d.made.Send.Codec
		var frames uint64
		for _, k := range d.lanes {
			n := k.sender.Counts()
			s.Send.Packets += n.Packets
			s.Send.Bytes += n.Bytes
			s.KeyFramesWanted += n.KeysWanted
			s.Retransmitted += n.Resent
			frames += n.Frames
		}
		s.SendRate = d.pace.rate(frames, now)
		d.sent.Lock()
		s.Send.Bitrate = d.sent.rate(now)
		d.sent.Unlock()
		s.SendWidth, s.SendHeight = int(d.width.Load()), int(d.height.Load())
		s.EstimatedBitrate = d.flow.bitrate()
		d.flow.mu.Lock()
		q := d.flow.link.seen.now(now)
		s.Send.LossPercent, s.Send.Jitter, s.Send.RoundTrip = 100*q.lost, ms(q.jitter), ms(d.flow.link.trip)
		d.flow.mu.Unlock()
	}
	return s
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// pace turns a count into one a second, between two questions that are at least a second apart.
type pace struct {
	mu    sync.Mutex
	at    time.Time
	count uint64
	last  float64
}

func (p *pace) rate(count uint64, now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := now.Sub(p.at); d >= time.Second {
		if !p.at.IsZero() && count >= p.count {
			p.last = math.Round(10*float64(count-p.count)/d.Seconds()) / 10
		}
		p.at, p.count = now, count
	}
	return p.last
}

// Status is the heartbeat.
func (e *Engine) Status() control.WorkerStatus {
	s := control.WorkerStatus{Name: e.c.Name, Module: e.c.Module, CPU: e.c.CPU, Capacity: e.c.Capacity, Busy: e.reporter.cpu.busy(),
		TickLate: ms(time.Duration(e.reporter.late.Load())), Memory: resident(), Exchange: e.exchange.port.Local()}
	for _, l := range e.allLegs() {
		s.Legs++
		s.Used += control.Estimate(l.wanted())
		e.traffic.look(l)
	}
	s.Traffic = e.traffic.sum()
	return s
}

// Latency returns a quantile of how long pictures took from the arrival of a source's last packet, and the wait for its sound,
// to the composed picture's first, over the last 1,024 pictures.
func (e *Engine) Latency(quantile float64) time.Duration {
	return e.director.latency.quantile(quantile)
}

// Skipped returns how many beats of the picture thread were left out for want of time.
func (e *Engine) Skipped() uint64 { return e.director.skipped.Load() }

// latencies are the last 1,024 of them.
type latencies struct {
	mu   sync.Mutex
	last [1024]time.Duration
	n    int
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	l.last[l.n%len(l.last)] = d
	l.n++
	l.mu.Unlock()
}

func (l *latencies) quantile(q float64) time.Duration {
	l.mu.Lock()
	list := slices.Clone(l.last[:min(l.n, len(l.last))])
	l.mu.Unlock()
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[int(q*float64(len(list)-1))]
}

// cpuMeter measures the part of one core that the process uses.
type cpuMeter struct {
	at   time.Time
	used time.Duration
	part atomic.Uint64 // bits of a float64
}

func (m *cpuMeter) sample(now time.Time) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return
	}
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if d := now.Sub(m.at); !m.at.IsZero() && d > 0 {
		m.part.Store(math.Float64bits(min(float64(used-m.used)/float64(d), 1)))
	}
	m.at, m.used = now, used
}

func (m *cpuMeter) busy() float64 { return math.Round(1000*math.Float64frombits(m.part.Load())) / 1000 }

// resident is the memory of the process in bytes.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
