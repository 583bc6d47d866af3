package engine

import (
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
	"rotunda/services/media/transport"
)

// link is what is known about the way to a far end: how much it carries and how long it takes. Guarded by flow.mu.
type link struct {
	estimator *rtp.Estimator
	// departures and outcomes are there once packets carry transport-wide numbers: they take 24 KB.
	departures *rtp.Departures
	outcomes   []rtp.Outcome
	// trip is the time there and back; heard and seen are what the far end last said of our sound and our pictures.
	trip        time.Duration
	heard, seen quality
	alarms      alarms
}

// quality is what the far end says about what we send.
type quality struct {
	at time.Time
	// lost is the part of packets, 0 to 1.
	lost   float64
	jitter time.Duration
}

// oldReport is the age at which a report says nothing about now any more.
const oldReport = 10 * time.Second

func (q quality) now(now time.Time) quality {
	if now.Sub(q.at) > oldReport {
		return quality{}
	}
	return q
}

// A link is taken to carry startBitrate until it shows more or less: what a 720p call uses (guide appendix I.3).
const (
	startBitrate = 2_000_000
	maxBitrate   = 20_000_000
)

func newLink() link {
	return link{estimator: rtp.NewEstimator(rtp.Limits{Start: startBitrate, Max: maxBitrate})}
}

// expect sets what the link is taken to carry before anything was heard of it: for a far end whose packets tell of congestion
// a modest start, since it will be corrected within a second; otherwise what was agreed on, for a call with a bandwidth in its
// description has it.
func (l *link) expect(want *control.Leg, index int) {
	if !l.heard.at.IsZero() || !l.seen.at.IsZero() || l.departures != nil {
		return
	}
	agreed, told := 0, false
	for which := range pictures {
		if v := pictureOf(want, which); v != nil && v.Transport == index {
			agreed += sendLimit(v)
			told = told || v.TransportSequence != 0 || v.REMB
		}
	}
	start := startBitrate
	if !told {
		start = max(agreed+agreed/4, startBitrate)
	}
	l.estimator = rtp.NewEstimator(rtp.Limits{Start: start, Max: max(maxBitrate, start)})
}

// Next numbers a packet for transport-wide congestion feedback ([stream.Congestion]).
func (f *flow) Next(bytes int, at time.Time) uint16 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.link.departures == nil {
		f.link.departures, f.link.outcomes = &rtp.Departures{}, make([]rtp.Outcome, 0, 256)
	}
	return f.link.departures.Packet(bytes, at)
}

// bitrate is what the link is taken to carry.
func (f *flow) bitrate() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.link.estimator.Bitrate()
}

// feedbackEvery is the pace of transport-wide feedback: what browsers use, and 2 kbit/s.
const feedbackEvery = 100 * time.Millisecond

// arrived notes a packet for transport-wide feedback, and sends that when it is due.
func (f *flow) arrived(r *routes, arrival time.Time) {
	number, ok := f.header.TransportSequence(r.transportSequence)
	if !ok {
		return
	}
	if f.arrivals == nil {
		f.arrivals = &rtp.Arrivals{}
	}
	f.arrivals.Packet(number, arrival)
	if arrival.Sub(f.told) < feedbackEvery {
		return
	}
	f.told = arrival
	for more := true; more; {
		f.feedback, more = f.arrivals.AppendFeedback(f.feedback[:0], f.reporter(), f.header.SSRC)
		if len(f.feedback) > 0 {
			f.endpoint.SendRTCP(f.feedback, transport.Video)
		}
	}
}

// reporter is the SSRC that feedback comes from: one of ours, or 1 where nothing is sent (as libraries for browsers do).
func (f *flow) reporter() uint32 {
	if s := f.leg.sound.Load(); s != nil && s.flow.Load() == f {
		return s.ssrc
	}
	for which := range pictures {
		if d := f.leg.display[which].Load(); d != nil && d.flow == f {
			return d.lanes[0].ssrc
		}
	}
	return 1
}

// maxControl is how many RTCP packets a second a leg may send: browsers send about 40 under loss. An answer to one may cost more
// than to any other packet.
const maxControl = 100

// RTCP takes a compound packet (see [transport.Handler]).
func (f *flow) RTCP(packet []byte, arrival time.Time) {
	f.hear(arrival)
	if !f.control.Allow(len(packet), arrival) {
		return
	}
	c := rtp.Walk(packet)
	for c.Next() {
		switch c.Kind {
		case rtp.SenderReport:
			f.senderReport(c.Sender, c.SenderInfo(), arrival)
			f.reports(&c, arrival)
		case rtp.ReceiverReport:
			f.reports(&c, arrival)
		case rtp.NACK:
			if k := f.lane(c.Media); k != nil {
				f.lost = appendLost(f.lost[:0], &c)
				k.sender.HandleNACK(f.lost, arrival)
			}
		case rtp.PLI:
			if k := f.lane(c.Media); k != nil {
				k.sender.RequestKey(arrival)
			}
		case rtp.FIR:
			for i := range min(c.Entries, 8) {
				ssrc, number := c.IntraRequest(i)
				if k := f.lane(ssrc); k != nil && k.firs.fresh(number) {
					k.sender.RequestKey(arrival)
				}
			}
		case rtp.Goodbye:
			f.leaves(&c)
		case rtp.REMB:
			f.mu.Lock()
			f.link.estimator.SetREMB(c.MaximumBitrate())
			f.mu.Unlock()
		case rtp.TMMBR:
			f.limit(&c)
		case rtp.Transport:
			f.mu.Lock()
			if f.link.departures != nil {
				f.link.outcomes = f.link.departures.Outcomes(f.link.outcomes[:0], &c)
				f.link.estimator.Feedback(f.link.outcomes, arrival)
			}
			f.mu.Unlock()
		}
	}
}

// appendLost adds the numbers of a NACK, those of its first 32 entries: half a second of 4 Mbit/s.
func appendLost(dst []uint16, c *rtp.Compound) []uint16 {
	for i := range min(c.Entries, 32) {
		first, mask := c.Lost(i)
		dst = append(dst, first)
		for ; mask != 0; mask >>= 1 {
			first++
			if mask&1 != 0 {
				dst = append(dst, first)
			}
		}
	}
	return dst
}

// limit obeys a TMMBR and says so (RFC 5104 section 4.2.2).
func (f *flow) limit(c *rtp.Compound) {
	for i := range min(c.Entries, 4) {
		ssrc, bitrate, overhead := c.Limit(i)
		k := f.lane(ssrc)
		if k == nil {
			continue
		}
		f.mu.Lock()
		f.link.estimator.SetTMMBR(bitrate, overhead)
		f.mu.Unlock()
		f.feedback = rtp.AppendTMMBN(f.feedback[:0], ssrc, c.Sender, bitrate, overhead)
		f.endpoint.SendRTCP(f.feedback, transport.Video)
	}
}

// lane finds the outgoing picture of an SSRC.
func (f *flow) lane(ssrc uint32) *lane {
	for which := range pictures {
		if d := f.leg.display[which].Load(); d != nil && d.flow == f {
			for _, k := range d.lanes {
				if k.ssrc == ssrc {
					return k
				}
			}
		}
	}
	return nil
}

func (f *flow) senderReport(ssrc uint32, info rtp.SenderInfo, now time.Time) {
	for _, in := range f.incoming {
		if in.ssrc != ssrc {
			continue
		}
		in.mu.Lock()
		in.clock.Report(info)
		if in.kind == soundKind {
			in.reception.SenderReport(info, now)
		}
		in.mu.Unlock()
		if in.holds() {
			in.layer.Load().receiver.SenderReport(info, now)
		}
		return
	}
}

// reports takes what the far end says about what we send.
func (f *flow) reports(c *rtp.Compound, now time.Time) {
	for i := range min(c.Entries, 31) {
		r := c.Report(i)
		trip, known := rtp.RoundTrip(r, now)
		lost := float64(r.Fraction) / 256
		sound := f.leg.sound.Load()
		clock := 90000
		k := f.lane(r.SSRC)
		if k == nil {
			if sound == nil || sound.ssrc != r.SSRC {
				continue
			}
			clock = sound.clock()
			if listener := sound.listener.Load(); listener != nil {
				listener.Report(100 * lost)
			}
		}
		f.mu.Lock()
		l := &f.link
		if known {
			l.trip = trip
		}
		q := quality{at: now, lost: lost, jitter: time.Duration(r.Jitter) * time.Second / time.Duration(clock)}
		if k != nil {
			l.seen = q
		} else {
			l.heard = q
		}
		// Sound is too little to tell what a link carries, unless there is nothing else.
		if k != nil || f.leg.display[mainPicture].Load() == nil {
			l.estimator.Report(lost, l.trip, now)
		}
		f.mu.Unlock()
		if !known {
			continue
		}
		for _, in := range f.incoming {
			if y := in.layer.Load(); y != nil {
				y.receiver.SetRoundTrip(trip)
			}
		}
	}
}

// firNumber remembers the last FIR of a far end: a repeat with the same number asks for nothing new (RFC 5104).
type firNumber struct {
	seen   bool
	number uint8
}

func (n *firNumber) fresh(number uint8) bool {
	if n.seen && n.number == number {
		return false
	}
	n.seen, n.number = true, number
	return true
}
