package audio

// delay learns how late packets come and says how long to wait for them. All times are in samples of 48 kHz.
//
// The transit of a packet is its arrival less its position on the sender's time line; only differences of transits mean
// anything. The fastest packet of the last five to ten seconds is the base, and every packet is late by what it took
// longer. The target is what percentile of the packets undercut, plus one tick, since a packet is asked for up to a tick
// before its first sample sounds. A base that slides makes the buffer follow a sender whose clock drifts.
type delay struct {
	known bool
	// base is the least transit of this window and the one before it.
	base, recent, before int64
	windowEnd            int64
	// late is a histogram, weighted by age: each packet weighs more than the one before by 1/forget.
	late   [lateBuckets]float64
	weight float64
	total  float64
	// shifted is the base for which the histogram was made.
	shifted int64
	// jitter is that of RFC 3550, 6.4.1.
	jitter float64
	last   int64
	target int64
	count  int
}

const (
	lateBuckets = 64
	lateBucket  = rate * 4 / 1000
	percentile  = 0.97
	// forget: half of the weight is in the last 140 packets.
	forget    = 0.995
	minTarget = rate * 20 / 1000
	maxTarget = rate * 200 / 1000
	// baseWindow: 200 ppm of drift are 2 ms in ten seconds.
	baseWindow = 5 * rate
)

// add takes the transit of a packet that came at a time.
func (d *delay) add(transit, arrival int64) {
	if !d.known {
		*d = delay{known: true, base: transit, recent: transit, before: transit, shifted: transit, weight: 1,
			windowEnd: arrival + baseWindow, last: transit, target: minTarget + lateBucket}
	}
	d.jitter += (float64(abs(transit-d.last)) - d.jitter) / 16
	d.last = transit
	if arrival >= d.windowEnd {
		d.before, d.recent = d.recent, transit
		d.windowEnd = arrival + baseWindow
	}
	d.recent = min(d.recent, transit)
	d.base = min(d.recent, d.before)
	d.shift()
	d.late[min(lateBuckets-1, (transit-d.base)/lateBucket)] += d.weight
	d.total += d.weight
	d.weight /= forget
	if d.weight > 1e9 {
		for i := range d.late {
			d.late[i] *= 1e-9
		}
		d.total *= 1e-9
		d.weight *= 1e-9
	}
	// The first packets say most; later a look every fourth packet is enough.
	if d.count++; d.count < 50 || d.count%4 == 0 {
		d.decide()
	}
}

// shift moves the histogram when the base has moved by whole buckets.
func (d *delay) shift() {
	n := (d.base - d.shifted) / lateBucket
	if n == 0 {
		return
	}
	d.shifted += n * lateBucket
	var moved [lateBuckets]float64
	for i, w := range d.late {
		moved[max(0, min(lateBuckets-1, int64(i)-n))] += w
	}
	d.late = moved
}

func (d *delay) decide() {
	rest := d.total * percentile
	q := int64(0)
	for rest > d.late[q] && q < lateBuckets-1 {
		rest -= d.late[q]
		q++
	}
	d.target = max(minTarget, min(maxTarget, minTarget+(q+1)*lateBucket))
}

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
