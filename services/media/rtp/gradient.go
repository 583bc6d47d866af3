package rtp

import (
	"math"
	"time"
)

// usage is what the delay says about the path.
type usage uint8

const (
	normal usage = iota
	over         // the queue grows
	under        // the queue drains
)

const (
	// burst is how long packets are taken for one group: a pacer's tick.
	burst = 5 * time.Millisecond
	// maxBurst bounds a group of packets that arrive at once after the path stood still.
	maxBurst = 100 * time.Millisecond

	trendWindow = 20
	smoothing   = 0.9
	trendGain   = 4
	maxDeltasUp = 60

	// The threshold follows the trend, or a TCP flow beside us would starve us: draft-ietf-rmcat-gcc section 5.4.
	thresholdUp    = 0.0087
	thresholdDown  = 0.039
	firstThreshold = 12.5
	minThreshold   = 6
	maxThreshold   = 600
	maxOvershoot   = 15
	// overuseTime is how long the trend must be above the threshold.
	overuseTime = 10 * time.Millisecond
)

// group is packets that were sent together.
type group struct {
	first, last, arrived, begun time.Duration
	used                        bool
}

// delayGradient finds out whether the queue of the path grows: it compares the spacing of groups of packets at arrival with
// that at sending, sums up the differences, and fits a line through the last twenty sums.
type delayGradient struct {
	current, previous group

	groups      int
	accumulated float64 // ms
	smooth      float64
	origin      time.Duration
	// x are times of arrival and y smoothed delays in ms, in a ring.
	x, y [trendWindow]float64
	n    int

	usage     usage
	threshold float64
	updated   time.Duration
	overSince time.Duration
	overCount int
	trend     float64
}

// packet takes one packet that arrived, in the order of sending, and returns the state after it.
func (g *delayGradient) packet(o *Outcome) usage {
	c := &g.current
	switch {
	case !c.used:
		*c = group{first: o.Sent, last: o.Sent, arrived: o.Arrived, begun: o.Arrived, used: true}
		return g.usage
	case o.Sent < c.first:
		return g.usage // told late
	case g.belongs(o):
		c.last = max(c.last, o.Sent)
		c.arrived = max(c.arrived, o.Arrived)
		return g.usage
	}
	if g.previous.used {
		g.compare(c.last-g.previous.last, c.arrived-g.previous.arrived, c.arrived)
	}
	g.previous = *c
	*c = group{first: o.Sent, last: o.Sent, arrived: o.Arrived, begun: o.Arrived, used: true}
	return g.usage
}

func (g *delayGradient) belongs(o *Outcome) bool {
	c := &g.current
	if o.Sent-c.first <= burst {
		return true
	}
	// What was sent apart and arrives together waited together, and says nothing about the queue.
	arrival := o.Arrived - c.arrived
	return arrival-(o.Sent-c.last) < 0 && arrival <= burst && o.Arrived-c.begun < maxBurst
}

// compare takes the spacing of two groups.
func (g *delayGradient) compare(sent, arrived, at time.Duration) {
	if arrived < 0 || arrived > 3*time.Second || sent < 0 {
		// The far end's clock was set, or the path was away; what was before means nothing.
		*g = delayGradient{current: g.current, threshold: g.threshold}
		return
	}
	d := float64(arrived-sent) / float64(time.Millisecond)
	if g.groups == 0 {
		g.origin = at
	}
	g.groups++
	g.accumulated += d
	g.smooth = smoothing*g.smooth + (1-smoothing)*g.accumulated
	i := g.n % trendWindow
	g.x[i], g.y[i] = float64(at-g.origin)/float64(time.Millisecond), g.smooth
	g.n++
	trend := g.trend
	if g.n >= trendWindow {
		trend = g.slope()
	}
	g.detect(trend, at)
}

// slope is that of the line of least squares.
func (g *delayGradient) slope() float64 {
	var mx, my float64
	for i := range g.x {
		mx += g.x[i]
		my += g.y[i]
	}
	mx /= trendWindow
	my /= trendWindow
	var above, below float64
	for i := range g.x {
		above += (g.x[i] - mx) * (g.y[i] - my)
		below += (g.x[i] - mx) * (g.x[i] - mx)
	}
	if below == 0 {
		return g.trend
	}
	return above / below
}

func (g *delayGradient) detect(trend float64, at time.Duration) {
	if g.threshold == 0 {
		g.threshold = firstThreshold
	}
	modified := float64(min(g.groups, maxDeltasUp)) * trend * trendGain
	switch {
	case modified > g.threshold:
		if g.overCount == 0 {
			g.overSince = at
		}
		g.overCount++
		// Not while the trend already falls: the queue is on its way back.
		if g.overCount > 1 && at-g.overSince >= overuseTime && trend >= g.trend {
			g.usage = over
		}
	case modified < -g.threshold:
		g.overCount = 0
		g.usage = under
	default:
		g.overCount = 0
		g.usage = normal
	}
	g.trend = trend

	size := math.Abs(modified)
	if size <= g.threshold+maxOvershoot { // a sudden spike does not count
		k := thresholdUp
		if size < g.threshold {
			k = thresholdDown
		}
		ms := float64(min(at-g.updated, 100*time.Millisecond)) / float64(time.Millisecond)
		g.threshold = min(max(g.threshold+k*(size-g.threshold)*ms, minThreshold), maxThreshold)
	}
	g.updated = at
}
