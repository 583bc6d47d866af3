package rtp

import (
	"math/rand"
	"testing"
	"time"
)

// epoch is when tests begin.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// path is a simulated path: a queue in front of a link of some rate, a delay behind it, random loss and jitter. Feedback
// goes back over an empty path. Everything goes through the real packets: numbers, feedback bytes, outcomes.
type path struct {
	rate   func(at time.Duration) float64 // bits per second
	loss   func(at time.Duration) float64
	jitter time.Duration
	queue  time.Duration // the longest wait; what would wait longer is dropped
	delay  time.Duration // one way

	random     *rand.Rand
	free       time.Duration // when the link is free again
	departures Departures
	arrivals   Arrivals
	flying     []flying
	feedback   []answer
	sent, lost int
	worst      time.Duration
}

type flying struct {
	number  uint16
	arrives time.Duration
}

type answer struct {
	packet  []byte
	arrives time.Duration
}

func newPath(rate float64) *path {
	return &path{
		rate:  func(time.Duration) float64 { return rate },
		loss:  func(time.Duration) float64 { return 0 },
		queue: 300 * time.Millisecond,
		delay: 25 * time.Millisecond,
		// The seed is fixed: a test that fails fails each time.
		random: rand.New(rand.NewSource(1)),
	}
}

// send puts one packet on the path.
func (p *path) send(at time.Duration, size int) {
	number := p.departures.Packet(size, epoch.Add(at))
	p.sent++
	p.free = max(p.free, at)
	wait := p.free - at
	if wait > p.queue || p.random.Float64() < p.loss(at) {
		p.lost++
		return
	}
	p.worst = max(p.worst, wait)
	p.free += time.Duration(float64(size*8) / p.rate(at) * float64(time.Second))
	arrives := p.free + p.delay
	if p.jitter > 0 {
		arrives += time.Duration(p.random.Int63n(int64(p.jitter)))
	}
	p.flying = append(p.flying, flying{number, arrives})
}

// run sends at the estimator's rate in frames of a thirtieth of a second, paced in steps of 5 ms, and calls look each second.
func (p *path) run(e *Estimator, d time.Duration, look func(at time.Duration)) {
	const step = 5 * time.Millisecond
	budget := 0.0
	var outcomes []Outcome
	for at := time.Duration(0); at < d; at += step {
		budget += float64(e.Bitrate()) / 8 * step.Seconds()
		for budget >= 1000 {
			p.send(at, 1000)
			budget -= 1000
		}
		for i := 0; i < len(p.flying); {
			if f := p.flying[i]; f.arrives <= at {
				p.arrivals.Packet(f.number, epoch.Add(f.arrives))
				p.flying = append(p.flying[:i], p.flying[i+1:]...)
				continue
			}
			i++
		}
		if at%(100*time.Millisecond) == 0 {
			for more := p.arrivals.Due(); more; {
				var packet []byte
				packet, more = p.arrivals.AppendFeedback(nil, 1, 2)
				p.feedback = append(p.feedback, answer{packet, at + p.delay})
			}
		}
		for len(p.feedback) > 0 && p.feedback[0].arrives <= at {
			c := Walk(p.feedback[0].packet)
			for c.Next() {
				outcomes = p.departures.Outcomes(outcomes[:0], &c)
				e.Feedback(outcomes, epoch.Add(at))
			}
			p.feedback = p.feedback[1:]
		}
		if at%time.Second == 0 {
			e.Report(0, 2*p.delay, epoch.Add(at))
			if look != nil {
				look(at)
			}
		}
	}
}

// mean collects the rate between two times.
type mean struct {
	from, to time.Duration
	sum      float64
	n        int
}

func (m *mean) add(at time.Duration, rate int) {
	if at >= m.from && at < m.to {
		m.sum += float64(rate)
		m.n++
	}
}

func (m *mean) within(t *testing.T, what string, want float64) {
	t.Helper()
	if got := m.sum / float64(m.n); got < want*0.75 || got > want*1.25 {
		t.Errorf("%s: want %.0f bit/s ± 25 %%, got %.0f", what, want, got)
	}
}

func TestTheEstimateConvergesToTheRateOfTheLink(t *testing.T) {
	for _, link := range []float64{300_000, 1_000_000, 2_500_000, 6_000_000} {
		p := newPath(link)
		e := NewEstimator(Limits{})
		m := mean{from: 20 * time.Second, to: 60 * time.Second}
		p.run(e, 60*time.Second, func(at time.Duration) {
			m.add(at, e.Bitrate())
		})
		m.within(t, "steady", link)
		if lost := float64(p.lost) / float64(p.sent); lost > 0.02 {
			t.Errorf("link of %.0f: want at most 2 %% of packets lost, got %.1f %%", link, 100*lost)
		}
	}
}

func TestTheEstimateFollowsALinkThatShrinksAndGrows(t *testing.T) {
	p := newPath(0)
	p.rate = func(at time.Duration) float64 {
		if at >= 30*time.Second && at < 60*time.Second {
			return 500_000
		}
		return 2_000_000
	}
	e := NewEstimator(Limits{Start: 1_000_000})
	before := mean{from: 15 * time.Second, to: 30 * time.Second}
	low := mean{from: 35 * time.Second, to: 60 * time.Second}
	after := mean{from: 85 * time.Second, to: 120 * time.Second}
	p.run(e, 120*time.Second, func(at time.Duration) {
		for _, m := range []*mean{&before, &low, &after} {
			m.add(at, e.Bitrate())
		}
	})
	before.within(t, "before", 2_000_000)
	low.within(t, "on the small link", 500_000)
	after.within(t, "after", 2_000_000)
}

func TestTheEstimateStandsJitterAndSomeLoss(t *testing.T) {
	p := newPath(2_000_000)
	p.jitter = 15 * time.Millisecond
	p.loss = func(time.Duration) float64 { return 0.01 }
	e := NewEstimator(Limits{Start: 1_000_000})
	m := mean{from: 20 * time.Second, to: 60 * time.Second}
	p.run(e, 60*time.Second, func(at time.Duration) { m.add(at, e.Bitrate()) })
	m.within(t, "with jitter of 15 ms and 1 % of loss", 2_000_000)
	if e.Loss() > 0.1 {
		t.Errorf("want a loss of about 1 %%, got %.1f %%", 100*e.Loss())
	}
}

func TestTheEstimateFallsUnderHeavyLossAndRecovers(t *testing.T) {
	p := newPath(50_000_000) // losses have nothing to do with the rate, as on a bad radio link
	p.loss = func(at time.Duration) float64 {
		if at >= 10*time.Second && at < 15*time.Second {
			return 0.3
		}
		return 0
	}
	e := NewEstimator(Limits{Start: 2_000_000, Max: 2_000_000})
	var before, during, after int
	p.run(e, 50*time.Second, func(at time.Duration) {
		switch at {
		case 9 * time.Second:
			before = e.Bitrate()
		case 15 * time.Second:
			during = e.Bitrate()
		case 49 * time.Second:
			after = e.Bitrate()
		}
	})
	if before != 2_000_000 || during > 500_000 || after != 2_000_000 {
		t.Errorf("want 2000000 before, at most 500000 under 30 %% of loss, 2000000 after; got %d, %d, %d", before, during, after)
	}
}

func TestTheEstimateDoesNotClimbOnAPictureThatStandsStill(t *testing.T) {
	p := newPath(5_000_000)
	e := NewEstimator(Limits{Start: 1_000_000})
	var outcomes []Outcome
	for i := range 600 { // 100 kbit/s for a minute
		at := time.Duration(i) * 100 * time.Millisecond
		p.send(at, 1250)
		for _, f := range p.flying {
			p.arrivals.Packet(f.number, epoch.Add(f.arrives))
		}
		p.flying = p.flying[:0]
		packet, _ := p.arrivals.AppendFeedback(nil, 1, 2)
		for c := Walk(packet); c.Next(); {
			outcomes = p.departures.Outcomes(outcomes[:0], &c)
			e.Feedback(outcomes, epoch.Add(at+2*p.delay))
		}
	}
	if got := e.Bitrate(); got != 1_000_000 {
		t.Errorf("want 1000000 kept, got %d", got)
	}
}

func TestReceiverReportsAloneSteerTheRate(t *testing.T) {
	e := NewEstimator(Limits{Start: 1_000_000, Max: 2_000_000})
	now := epoch
	report := func(seconds int, lost float64) {
		for range seconds {
			e.Report(lost, 40*time.Millisecond, now)
			now = now.Add(time.Second)
		}
	}
	report(3, 0)
	if got := e.Bitrate(); got != 2_000_000 {
		t.Errorf("without loss: want 2000000, got %d", got)
	}
	report(4, 0.05)
	if got := e.Bitrate(); got != 2_000_000 {
		t.Errorf("with 5 %% of loss: want 2000000 kept, got %d", got)
	}
	report(4, 0.25)
	low := e.Bitrate()
	if low < 1_100_000 || low > 1_300_000 { // 2 Mbit/s · 0.875^4
		t.Errorf("after four reports of 25 %%: want about 1172000, got %d", low)
	}
	report(10, 0)
	if got := e.Bitrate(); got != 2_000_000 {
		t.Errorf("ten seconds later: want 2000000, got %d", got)
	}
}

func TestCapsAreObeyedAndLifted(t *testing.T) {
	e := NewEstimator(Limits{Start: 1_000_000, Min: 100_000})
	for _, c := range []struct {
		what     string
		set      func()
		from, to int
	}{
		{"none", func() {}, 1_000_000, 1_000_000},
		{"REMB", func() { e.SetREMB(700_000) }, 700_000, 700_000},
		{"lower TMMBR with 40 bytes of overhead", func() { e.SetTMMBR(500_000, 40) }, 480_000, 481_000},
		{"TMMBR below the minimum", func() { e.SetTMMBR(64_000, 0) }, 64_000, 64_000},
		{"TMMBR lifted", func() { e.SetTMMBR(0, 0) }, 700_000, 700_000},
		{"REMB lifted", func() { e.SetREMB(0) }, 1_000_000, 1_000_000},
		{"lower maximum", func() { e.SetLimits(Limits{Max: 300_000}) }, 300_000, 300_000},
	} {
		c.set()
		if got := e.Bitrate(); got < c.from || got > c.to {
			t.Errorf("%s: want %d to %d, got %d", c.what, c.from, c.to, got)
		}
	}
}

func TestAFarEndWithAnImpossibleClockBreaksNothing(t *testing.T) {
	e := NewEstimator(Limits{})
	random := rand.New(rand.NewSource(3))
	for i := range 20000 {
		o := Outcome{
			Sent:     time.Duration(i) * 10 * time.Millisecond,
			Arrived:  time.Duration(random.Int63()-random.Int63()) / time.Duration(1+random.Intn(1<<20)),
			Size:     random.Intn(2000),
			Received: random.Intn(5) > 0,
		}
		e.Feedback([]Outcome{o}, epoch.Add(o.Sent))
		if got := e.Bitrate(); got < 50_000 || got > 10_000_000 {
			t.Fatalf("packet %d: want 50000 to 10000000, got %d", i, got)
		}
	}
}
