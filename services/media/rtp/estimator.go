package rtp

import (
	"math"
	"time"
)

// Estimator tells how much may be sent to one far end, in bits per second. It follows draft-ietf-rmcat-gcc-02: a controller
// on the gradient of the queueing delay (see [delayGradient]), fed with transport-wide feedback, and one on losses, fed by
// the same feedback or by receiver reports; the lower of the two counts, under the caps of REMB and TMMBR. Far ends without
// transport-wide feedback, which is most of SIP, have losses and caps only.
//
// What it is fed must be what was really sent: it never allows more than one and a half of what went through, so that it does
// not climb while a still picture fills a tenth of the path.
type Estimator struct {
	limits Limits

	gradient  delayGradient
	through   throughput
	roundTrip time.Duration
	// delay and loss are the rates of the two controllers; capacity is what the path had when it was last congested.
	delay, loss float64
	capacity    linkCapacity
	delayAt     time.Time
	decreasedAt time.Time

	// lost and told are of the current interval of losses; lossAt is its begin.
	lost, told int
	lossAt     time.Time
	lossCutAt  time.Time
	fraction   float64

	congestedAt time.Time // either controller
	hasFeedback bool      // transport-wide, ever
	remb, tmmbr float64
	packetSize  float64
}

// Limits of an estimator in bits per second. Zero values mean 300,000 to start with, at least 50,000, at most 10,000,000.
type Limits struct{ Start, Min, Max int }

const (
	// backoff is the part of the throughput to go back to on congestion, growth the increase in a second while far from
	// congestion, as in the draft. Before the first congestion, and after some seconds without one, it is steeper: others
	// send probes of padding to find a path that has recovered, here the picture itself is the probe.
	backoff     = 0.85
	growth      = 1.08
	startGrowth = 1.75
	calmGrowth  = 1.25
	calm        = 4 * time.Second
	// headroom is how far above what went through the rate may be.
	headroom = 1.5

	lossInterval = 200 * time.Millisecond
	lowLoss      = 0.02
	highLoss     = 0.10

	defaultRoundTrip = 100 * time.Millisecond
)

// RoundTrip returns the smoothed round trip, 100 ms before it was measured.
func (e *Estimator) RoundTrip() time.Duration {
	if e.roundTrip == 0 {
		return defaultRoundTrip
	}
	return e.roundTrip
}

// measure smooths the round trip as in RFC 6298.
func (e *Estimator) measure(d time.Duration) {
	if e.roundTrip == 0 {
		e.roundTrip = d
		return
	}
	e.roundTrip += (d - e.roundTrip) / 8
}

// NewEstimator returns an estimator that begins at limits.Start.
func NewEstimator(limits Limits) *Estimator {
	e := &Estimator{packetSize: 1000}
	e.SetLimits(limits)
	e.delay, e.loss = float64(e.limits.Start), float64(e.limits.Start)
	return e
}

// SetLimits changes the limits; Start matters no more.
func (e *Estimator) SetLimits(l Limits) {
	if l.Min <= 0 {
		l.Min = 50_000
	}
	if l.Max <= 0 {
		l.Max = 10_000_000
	}
	l.Max = max(l.Max, l.Min)
	if l.Start <= 0 {
		l.Start = 300_000
	}
	l.Start = min(max(l.Start, l.Min), l.Max)
	e.limits = l
	e.delay, e.loss = e.clamp(e.delay), e.clamp(e.loss)
}

func (e *Estimator) clamp(rate float64) float64 {
	return min(max(rate, float64(e.limits.Min)), float64(e.limits.Max))
}

// SetREMB sets the cap that the far end's REMB asks for, in bits per second; 0 takes it away.
func (e *Estimator) SetREMB(bitrate uint64) { e.remb = float64(bitrate) }

// SetTMMBR sets the cap of a TMMBR, in bits per second with so many bytes of overhead counted for each packet; 0 takes it
// away. RFC 5104 section 3.5.4: the limit is for all of it, so what is left for RTP depends on the size of packets.
func (e *Estimator) SetTMMBR(bitrate uint64, overhead int) {
	e.tmmbr = float64(bitrate) * e.packetSize / (e.packetSize + float64(max(overhead, 0)))
}

// Bitrate returns how much may be sent, in bits per second. A cap is obeyed even below the minimum.
func (e *Estimator) Bitrate() int {
	rate := e.loss
	if e.hasFeedback {
		rate = min(rate, e.delay)
	}
	for _, limit := range [...]float64{e.remb, e.tmmbr} {
		if limit > 0 {
			rate = min(rate, limit)
		}
	}
	return int(rate)
}

// Loss returns the part of packets lost in the last interval, 0 to 1.
func (e *Estimator) Loss() float64 { return e.fraction }

// Report takes the part of packets lost, 0 to 1, from a report block about our stream, and the round trip if it is known.
// With transport-wide feedback only the round trip is of use: losses come sooner there.
func (e *Estimator) Report(lost float64, roundTrip time.Duration, now time.Time) {
	if roundTrip > 0 {
		e.measure(roundTrip)
	}
	if e.hasFeedback {
		return
	}
	since := now.Sub(e.lossAt)
	if e.lossAt.IsZero() {
		since = 0
	}
	e.lossAt = now
	e.onLoss(lost, since, now)
}

// Feedback takes the outcomes of one packet of transport-wide feedback.
func (e *Estimator) Feedback(outcomes []Outcome, now time.Time) {
	if len(outcomes) == 0 {
		return
	}
	if !e.hasFeedback {
		e.hasFeedback, e.delayAt, e.lossAt = true, now, now
		e.delay = e.loss
	}
	usage := normal
	for i := range outcomes {
		o := &outcomes[i]
		if !o.Late {
			e.told++
			if !o.Received {
				e.lost++
			}
		} else if e.lost > 0 {
			e.lost--
		}
		if !o.Received {
			continue
		}
		e.packetSize += (float64(o.Size) - e.packetSize) / 64
		e.through.add(o.Arrived, o.Size)
		// Any overuse within the feedback counts, whatever follows it.
		if u := e.gradient.packet(o); u != normal && usage != over {
			usage = u
		}
	}
	if usage == normal {
		usage = e.gradient.usage
	}
	e.onDelay(usage, now)
	if since := now.Sub(e.lossAt); since >= lossInterval && e.told >= 10 {
		fraction := float64(e.lost) / float64(e.told)
		e.lost, e.told, e.lossAt = 0, 0, now
		e.onLoss(fraction, since, now)
	}
}

// onDelay is the rate control of draft-ietf-rmcat-gcc section 5.5.
func (e *Estimator) onDelay(u usage, now time.Time) {
	since := min(now.Sub(e.delayAt), time.Second)
	e.delayAt = now
	measured, ok := e.through.rate()
	switch u {
	case over:
		// Once in a round trip, for what was cut shows in the feedback no sooner.
		if !e.decreasedAt.IsZero() && now.Sub(e.decreasedAt) < e.RoundTrip()+lossInterval {
			return
		}
		rate := e.delay * backoff
		if ok {
			rate = min(e.delay, backoff*measured)
			e.capacity.update(measured)
		}
		e.delay = e.clamp(rate)
		e.congestedAt, e.decreasedAt = now, now
	case under:
		// The queue drains; wait for it.
	default:
		if ok && e.capacity.beyond(measured) {
			e.capacity = linkCapacity{} // the path has grown
		}
		rate := e.delay
		switch {
		case ok && e.capacity.near(measured):
			// Near to where congestion was: one packet more in each response time.
			response := e.RoundTrip() + 100*time.Millisecond
			rate += max(e.packetSize*8*since.Seconds()/response.Seconds(), 4000*since.Seconds())
		default:
			rate *= e.grown(since, now)
		}
		if ok {
			rate = max(e.delay, min(rate, headroom*measured+10_000))
		}
		e.delay = e.clamp(rate)
	}
}

// onLoss is the controller of draft-ietf-rmcat-gcc section 6: up below 2 % of loss, down above 10 %.
func (e *Estimator) onLoss(fraction float64, since time.Duration, now time.Time) {
	e.fraction = fraction
	since = min(since, 5*time.Second)
	switch {
	case fraction > highLoss:
		if !e.lossCutAt.IsZero() && now.Sub(e.lossCutAt) < e.RoundTrip()+lossInterval {
			return
		}
		e.lossCutAt = now
		e.congestedAt = now
		e.loss = e.clamp(min(e.loss, float64(e.Bitrate())) * (1 - fraction/2))
	case fraction < lowLoss:
		rate := e.loss * e.grown(since, now)
		if measured, ok := e.through.rate(); ok && e.hasFeedback {
			rate = max(e.loss, min(rate, headroom*measured+10_000))
		}
		e.loss = e.clamp(rate)
	}
}

// grown returns the factor of the growth over a time that ends now.
func (e *Estimator) grown(d time.Duration, now time.Time) float64 {
	factor := growth
	switch {
	case e.congestedAt.IsZero():
		factor = startGrowth
	case now.Sub(e.congestedAt) > calm:
		factor = calmGrowth
	}
	return math.Pow(factor, d.Seconds())
}

// linkCapacity is the throughput at times of congestion, smoothed, in kbit/s; the variance is in parts of the mean.
type linkCapacity struct {
	known    bool
	mean     float64
	variance float64
}

// The variance is bounded to the range that libwebrtc uses: three deviations are 6 to 15 % of 1 Mbit/s.
const minVariance, maxVariance = 0.4, 2.5

func (l *linkCapacity) update(measured float64) {
	measured /= 1000
	// Congestion far below it: the path has become another one.
	if !l.known || measured < l.mean-l.margin() {
		*l = linkCapacity{known: true, mean: measured, variance: minVariance}
		return
	}
	const alpha = 0.05
	d := measured - l.mean
	l.mean += alpha * d
	l.variance = min(max((1-alpha)*l.variance+alpha*d*d/max(l.mean, 1), minVariance), maxVariance)
}

func (l *linkCapacity) margin() float64 { return 3 * math.Sqrt(l.variance*l.mean) }

// near and beyond compare a throughput in bits per second with the capacity.
func (l *linkCapacity) near(measured float64) bool {
	return l.known && measured/1000 > l.mean-l.margin()
}

func (l *linkCapacity) beyond(measured float64) bool {
	return l.known && measured/1000 > l.mean+l.margin()
}
