package sdp

import (
	"net/netip"
	"slices"

	"rotunda/services/media/control"
)

// flow is a transport of the leg. A stream that is gone leaves its own behind, open and idle: the others keep their places and ports.
type flow struct {
	open bool
	// want is what was last wanted of it; its security, ICE and rtcp-mux are those that it was opened with or has been brought to.
	want control.Transport
	// mux: it was opened with one port.
	mux bool
}

// fits tells whether an open transport can become another one.
func (f *flow) fits(t *control.Transport) bool {
	if !f.open {
		return true
	}
	if f.want.Security != t.Security {
		// Keys that were in use are not given up in place: when they come back (an offer that is refused), they would begin again at a rollover
		// counter of 0 for packets of the same source, and what was sent before could be read (RFC 3711, 9.1). New ports have new sources.
		used := f.want.Keys != nil && len(f.want.Keys.Remote) > 0
		if used || f.want.Security == control.DTLS || t.Security == control.DTLS {
			return false
		}
	}
	if (f.want.ICE == nil) != (t.ICE == nil) || f.mux && !t.RTCPMux {
		return false
	}
	if t.ICE != nil && f.want.ICE.Lite != t.ICE.Lite {
		return false
	}
	return true
}

// Reopens tells that the next Apply needs new ports: an open transport can neither begin nor end DTLS or ICE, nor give up SDES keys that were in
// use, nor leave rtcp-mux. Ask before Apply. If so, put the leg with Transports, Audio, Video and Presentation empty first, and Apply and
// put then; and when that was because of an answer, the far end has to be told the new ports by another offer.
func (s *Session) Reopens() bool {
	st := s.current()
	s.settle(st)
	for i := range st.lines {
		if l := &st.lines[i]; l.on && l.role.streamed() && st.carrier(l) == l {
			if t := s.transport(l, nil); !s.flows[l.home].fits(&t) {
				return true
			}
		}
	}
	return false
}

// settle gives transports to lines that have none. Places are given once, so that ports stay; those of a line that an offer had and nobody took are
// given again.
func (s *Session) settle(st *state) {
	for i := range st.lines {
		l := &st.lines[i]
		if !l.on || !l.role.streamed() || st.carrier(l) != l || l.home >= 0 {
			continue
		}
		if l.bundled {
			// The transport of a bundle outlives the line that it was told in.
			for j := range st.lines {
				if o := &st.lines[j]; !o.on && o.home >= 0 && o.mid != "" && l.home < 0 {
					l.home, o.home = o.home, -1
				}
			}
			if l.home >= 0 {
				continue
			}
		}
		s.house(st, l)
	}
}

// house gives a line a transport that no other one uses now: one that is open already and suits, or a new one, or, when there are as many as a leg
// may have, one that has to be opened anew.
func (s *Session) house(st *state, l *line) {
	free := func(home int) bool {
		is := func(o line) bool { return o.on && o.home == home && !o.bundled }
		return !slices.ContainsFunc(st.lines, is) && !slices.ContainsFunc(s.now.lines, is) && !slices.ContainsFunc(st.lines, func(o line) bool { return o.bundled && o.home == home })
	}
	t := s.transport(l, nil)
	best := -1
	for home := range s.flows {
		if !free(home) {
			continue
		}
		if s.flows[home].fits(&t) {
			best = home
			break
		}
		if best < 0 && len(s.flows) == maxFlows {
			best = home
		}
	}
	if best < 0 {
		best = len(s.flows)
		s.flows = append(s.flows, flow{})
	}
	for i := range st.lines {
		if o := &st.lines[i]; o.home == best {
			o.home = -1
		}
	}
	l.home = best
}

// maxFlows is how many transports a leg may have.
const maxFlows = 4

// Apply writes what is offered or agreed on into a wanted state: Transports, and of Audio, Video and Presentation everything but Muted, Deaf,
// Gain, Blind, RIDs and Slots, which stay. local are the addresses of this machine that the far end may reach, the best first; they must be
// the same from one Apply to the next, as open ports cannot move.
func (s *Session) Apply(l *control.Leg, local []netip.Addr) { s.Plan(local)(l) }

// Plan is Apply in two steps: what it gives knows nothing of the session any more and may be called later, by another goroutine, and again.
func (s *Session) Plan(local []netip.Addr) func(*control.Leg) {
	st := s.current()
	s.settle(st)
	for i := range st.lines {
		o := &st.lines[i]
		if !o.on || !o.role.streamed() || st.carrier(o) != o {
			continue
		}
		t := s.transport(o, local)
		f := &s.flows[o.home]
		if !f.open || !f.fits(&t) {
			f.open, f.mux = true, t.RTCPMux
		}
		f.want = t
	}
	transports := make([]control.Transport, len(s.flows))
	for i := range s.flows {
		transports[i] = s.flows[i].want
	}
	audio, main, screen := s.audio(st), s.video(st, mainRole), s.video(st, screenRole)
	return func(l *control.Leg) {
		l.Transports = slices.Clone(transports)
		l.Audio = keepAudio(audio, l.Audio)
		l.Video, l.Presentation = keepVideo(main, l.Video), keepVideo(screen, l.Presentation)
	}
}

// keepAudio and keepVideo copy a stream with what the meeting says of it.
func keepAudio(a, was *control.Audio) *control.Audio {
	if a == nil {
		return nil
	}
	c := *a
	if was != nil {
		c.Muted, c.Deaf, c.Gain = was.Muted, was.Deaf, was.Gain
	}
	return &c
}

func keepVideo(v, was *control.Video) *control.Video {
	if v == nil {
		return nil
	}
	c := *v
	if was != nil {
		c.Muted, c.Blind, c.Slots = was.Muted, was.Blind, was.Slots
		c.RIDs, c.RIDExtension, c.RepairedRIDExtension = was.RIDs, was.RIDExtension, was.RepairedRIDExtension
	}
	return &c
}

// transport is what a line needs of the media engine.
func (s *Session) transport(l *line, local []netip.Addr) control.Transport {
	t := control.Transport{Local: slices.Clone(local), Remote: l.remote, RemoteRTCP: l.remoteRTCP, Latch: s.policy.Latch, Security: l.security,
		MTU: s.policy.MTU, DSCP: s.policy.DSCP}
	// Of an offer of our own nobody knows yet whether the far end has rtcp-mux: both ports are opened. DTLS, ICE and BUNDLE have one.
	t.RTCPMux = l.mux && l.agreed || l.security == control.DTLS || l.bundled
	if t.RTCPMux {
		t.RemoteRTCP = netip.AddrPort{}
	}
	switch l.security {
	case control.SDES:
		t.Keys = &control.Keys{Suite: l.suite, Local: s.key(l, l.suite), Remote: l.remoteKey}
	case control.DTLS:
		if len(l.fingerprints) > 0 {
			t.Handover = &control.Handover{Active: l.active, Fingerprints: l.fingerprints}
		}
	}
	if l.ice != nil {
		ice := *l.ice
		t.ICE = &ice
	}
	return t
}

func direction(w way) control.Direction {
	switch w {
	case way{true, true}:
		return control.SendReceive
	case way{true, false}:
		return control.SendOnly
	case way{false, true}:
		return control.ReceiveOnly
	}
	return control.Inactive
}

// send is the format that we send, in the far end's terms.
func (f *format) send() control.Format {
	c := f.their
	c.PayloadType, c.RTX = f.sendPT, f.sendRTX
	if f.codec == control.H264 {
		// What is agreed on in two modes is sent in the lower one.
		c.PacketizationMode = min(c.PacketizationMode, f.mode)
	}
	return c
}

func (f *format) receive() control.Format {
	return control.Format{PayloadType: f.pt, Codec: f.codec, RTX: f.rtx, PacketizationMode: f.mode}
}

func (s *Session) audio(st *state) *control.Audio {
	l := st.find(audioRole)
	if l == nil {
		return nil
	}
	a := &control.Audio{}
	a.Transport, a.Direction = st.carrier(l).home, direction(l.way())
	a.Send = l.list[0].send()
	if bits := limited(a.Send.Bitrate, l.limit); a.Send.Codec == control.Opus && bits > 0 {
		a.Send.Bitrate = min(max(bits, 6000), soundShare)
	} else {
		a.Send.Bitrate = 0
	}
	a.Receive = l.received()
	a.PacketTime = control.Milliseconds(l.packet)
	if len(l.dtmf) > 0 {
		a.DTMF, a.DTMFClock = l.dtmf[0].pt, l.dtmf[0].clock
	}
	a.LevelExtension, a.TransportSequence = l.level, l.tcc
	if l.bundled {
		a.MID, a.MIDExtension = l.mid, l.midx
	}
	return a
}

func (s *Session) video(st *state, r role) *control.Video {
	l := st.find(r)
	if l == nil {
		return nil
	}
	v := &control.Video{}
	v.Transport, v.Direction = st.carrier(l).home, direction(l.way())
	f := &l.list[0]
	v.Send = f.send()
	v.Receive = l.received()
	q := s.quality(l.role, s.sendTotal(st))
	// Pictures are 16:9 in whole blocks: 848 × 480 within 868 × 480.
	v.MaxWidth, v.MaxHeight, v.MaxRate = min(q.Width, q.Height*16/9&^15), q.Height, q.Rate
	if f.fps >= 100 && l.agreed {
		v.MaxRate = min(v.MaxRate, f.fps/100)
	}
	if l.fps > 0 {
		v.MaxRate = min(v.MaxRate, l.fps)
	}
	v.SendBitrate, v.ReceiveBitrate = s.sendRate(st, l), s.receiveRate()
	v.NACK, v.PLI, v.FIR, v.TMMBR, v.REMB = f.fb.nack, f.fb.pli, f.fb.fir, f.fb.tmmbr, f.fb.remb
	v.TransportSequence = l.tcc
	if l.bundled {
		v.MID, v.MIDExtension = l.mid, l.midx
	}
	return v
}
