package engine

import (
	"context"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
	"rotunda/services/media/transport"
)

// reporter sends RTCP reports, notices silence and bad links, and gives senders of pictures the time to send what waits.
type reporter struct {
	engine *Engine
	packet []byte
	blocks []rtp.Report
	cpu    cpuMeter
	// late is how late the p99.9 of the sound's ticks was in the last ten seconds, in ns.
	late atomic.Int64
}

const (
	// senderTick is the pace at which what a sender holds back goes out.
	senderTick = 10 * time.Millisecond
	// reportTicks are between two reports of a flow: once a second, as browsers do; RFC 3550's five seconds are for groups.
	reportTicks = int(time.Second / senderTick)
	// lookTicks are between two looks at which legs there are.
	lookTicks = 10
)

func newReporter(e *Engine) *reporter {
	return &reporter{engine: e, packet: make([]byte, 0, 1500)}
}

func (r *reporter) run(ctx context.Context) error {
	t := time.NewTicker(senderTick)
	defer t.Stop()
	at := senderTick
	var legs []*leg
	// While there is nobody to send to, only every look is a tick.
	for n := 0; ; n += int(at / senderTick) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		now := time.Now()
		if n%lookTicks == 0 {
			legs = r.engine.allLegs()
			pace := senderTick
			if len(legs)+len(*r.engine.exchange.peers.Load()) == 0 {
				pace = lookTicks * senderTick
			}
			if pace != at {
				at = pace
				t.Reset(at)
			}
		}
		for _, l := range legs {
			for which := range pictures {
				if d := l.display[which].Load(); d != nil {
					for _, k := range d.lanes {
						k.sender.Tick(now)
					}
				}
			}
			// Spread over the second, so that a thousand legs do not report at one time.
			if (uint32(n)+l.source)%uint32(reportTicks) == 0 {
				r.report(l, now)
			}
		}
		r.engine.exchange.tick(now)
		if n%reportTicks == 0 {
			r.cpu.sample(now)
		}
		if n%(10*reportTicks) == 0 {
			r.late.Store(int64(r.engine.ticker.Late(0.999)))
			r.engine.ticker.Reset()
		}
	}
}

// report sends the reports of a leg's flows.
func (r *reporter) report(l *leg, now time.Time) {
	list := l.transports.Load()
	if list == nil {
		return
	}
	want := l.want.Load()
	for _, f := range *list {
		r.blocks = f.blocks(r.blocks[:0], now)
		r.packet = f.compound(r.packet[:0], want, r.blocks, r.engine.cname, now)
		if len(r.packet) > 0 {
			class := transport.Video
			if want.Audio != nil && want.Audio.Transport == f.index {
				class = transport.Audio
			}
			f.endpoint.SendRTCP(r.packet, class)
		}
		f.listen(want, now)
		f.ring(now)
	}
}

// blocks are the reports on what comes.
func (f *flow) blocks(dst []rtp.Report, now time.Time) []rtp.Report {
	f.mu.Lock()
	list := f.list
	f.mu.Unlock()
	for _, in := range list {
		var b rtp.Report
		var ok bool
		if y := in.layer.Load(); y != nil {
			b, ok = y.receiver.Report(now)
			if b.SSRC != in.ssrc {
				continue // a stream of retransmissions
			}
		} else {
			in.mu.Lock()
			b, ok = in.reception.Report(in.ssrc, now)
			in.mu.Unlock()
		}
		if ok {
			dst = append(dst, b)
		}
	}
	return dst
}

// compound is one packet with a sender report for each stream that is sent, the blocks in the first one, the canonical
// name, and what the far end should send at most.
func (f *flow) compound(dst []byte, want *control.Leg, blocks []rtp.Report, cname string, now time.Time) []byte {
	first := uint32(0)
	add := func(ssrc uint32, info rtp.SenderInfo) {
		dst = rtp.AppendSenderReport(dst, ssrc, info, blocks)
		if first == 0 {
			first = ssrc
		}
		blocks = nil
	}
	if s := f.leg.sound.Load(); s != nil && s.flow.Load() == f {
		if info, ok := s.info(now); ok {
			add(s.ssrc, info)
		}
	}
	for which := range pictures {
		d := f.leg.display[which].Load()
		if d == nil || d.flow != f {
			continue
		}
		for _, k := range d.lanes {
			if rep, ok := k.sender.Report(now); ok && len(dst) < 1000 {
				add(k.ssrc, rtp.SenderInfo{NTP: rtp.NTP(rep.Time), RTP: rep.RTP, Packets: rep.Packets, Octets: rep.Octets})
			}
		}
	}
	if first == 0 {
		if len(blocks) == 0 {
			return dst
		}
		first = f.reporter()
		dst = rtp.AppendReceiverReport(dst, first, blocks)
	}
	return f.limits(rtp.AppendCNAME(dst, first, cname), first, want)
}

// limits ask the far end not to send more than it may: a TMMBR for each stream, or one REMB, which is for all of them.
func (f *flow) limits(dst []byte, first uint32, want *control.Leg) []byte {
	together := uint64(0)
	var about []uint32
	for which := range pictures {
		v := pictureOf(want, which)
		c := f.leg.contribution[which].Load()
		if v == nil || c == nil || v.Transport != f.index {
			continue
		}
		ssrcs := c.ssrcs()
		if len(ssrcs) == 0 {
			continue
		}
		if v.REMB {
			together += uint64(receiveLimit(v))
			about = append(about, ssrcs...)
		} else if v.TMMBR {
			for _, ssrc := range ssrcs {
				dst = rtp.AppendTMMBR(dst, first, ssrc, uint64(receiveLimit(v)/len(ssrcs)), ipOverhead)
			}
		}
	}
	if len(about) > 0 {
		dst = rtp.AppendREMB(dst, first, together, about...)
	}
	return dst
}

// goodbye tells the far end that our streams of this flow end (RFC 3550, 6.6).
func (f *flow) goodbye() {
	first := f.reporter()
	packet := rtp.AppendCNAME(rtp.AppendReceiverReport(nil, first, nil), first, f.leg.engine.cname)
	if s := f.leg.sound.Load(); s != nil && s.flow.Load() == f {
		packet = rtp.AppendGoodbye(packet, s.ssrc)
	}
	for which := range pictures {
		if d := f.leg.display[which].Load(); d != nil && d.flow == f {
			for _, k := range d.lanes {
				packet = rtp.AppendGoodbye(packet, k.ssrc)
			}
		}
	}
	f.endpoint.SendRTCP(packet, transport.Video)
}

// ipOverhead are the bytes of IPv4, UDP and RTP that a TMMBR counts for each packet.
const ipOverhead = 40

// listen notices that nothing comes any more.
func (f *flow) listen(want *control.Leg, now time.Time) {
	limit := control.SilentDefault
	if want.SilenceAfter > 0 {
		limit = want.SilenceAfter.Duration()
	}
	if now.UnixNano()-f.heard.Load() >= int64(limit) && f.silent.CompareAndSwap(false, true) {
		f.leg.emit(control.Event{Event: control.EventSilent, Transport: f.index})
	}
}

// ring raises and clears the alarms of the link: the worst of sound and pictures in both directions.
func (f *flow) ring(now time.Time) {
	f.mu.Lock()
	l := &f.link
	heard, seen := l.heard.now(now), l.seen.now(now)
	lost, jitter := max(heard.lost, seen.lost), max(heard.jitter, seen.jitter)
	for _, in := range f.list {
		if y := in.layer.Load(); y != nil {
			n := y.receiver.Counts()
			lost, jitter = max(lost, n.Fraction), max(jitter, n.Jitter)
			continue
		}
		in.mu.Lock()
		lost, jitter = max(lost, in.reception.Fraction()), max(jitter, in.reception.Jitter())
		in.mu.Unlock()
	}
	changed := l.alarms.update(lost, jitter, l.trip)
	on := l.alarms
	f.mu.Unlock()
	for i, c := range changed {
		if c {
			f.leg.emit(control.Event{Event: control.EventAlarm, Transport: f.index, Alarm: alarmLimits[i].name, On: on[i]})
		}
	}
}
