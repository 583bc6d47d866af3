package audio

// jitter is the buffer between the network, which adds packets, and the tick, which asks what to play. It decides and
// counts, but decodes nothing, and has no clock: times come as arguments, in samples of 48 kHz. It is guarded by the
// source's mutex.
//
// Every packet gets a position on a time line of 48 kHz that is continuous for the life of the source: when the sender's
// time stamps jump, its SSRC changes, or a codec with another clock comes, the line goes on by the arrival time. Sequence
// numbers are continued the same way, so that the rest of the old stream plays out before the new one.
type jitter struct {
	slots [slotCount]slot

	started   bool
	ssrc      uint32
	clock     int
	sequence  uint16 // of the newest packet as sent,
	highest   int64  // and continued
	first     int64
	timestamp uint32
	position  int64 // of the packet with timestamp
	arrival   int64
	// length is the sound in a packet, from the steps of time stamps.
	length int64
	delay  delay
	// odd is a run of packets that come far too late by their time stamps.
	odd struct {
		on               bool
		transit, arrival int64
	}

	// The playing side.
	state playState
	next  int64 // sequence number that comes next
	head  int64 // position after what has been decoded
	// stalled is how much was guessed while nothing was there, without moving head.
	stalled int64
	// trim is how much of the next packet is too old.
	trim int64
	// quiet is set when the last decoded sound was silence, so that a gap needs no guess.
	quiet bool

	// lossy is the smoothed share of packets that are missing when their time comes; mending, that it is worth to wait for
	// the packet after.
	lossy   float64
	mending bool

	packets, late, duplicates, resets uint64
}

type slot struct {
	filled   bool
	sequence int64
	position int64
	codec    string
	payload  []byte
}

const (
	// slotCount is a power of two. 64 packets are 640 ms at 10 ms each.
	slotCount = 64
	// jumpLimit is how much a time stamp may disagree with everything else before it is a jump.
	jumpLimit = rate
	// oddFor is how long packets must agree on a new time line.
	oddFor = rate * 60 / 1000
	// restartAt is a step of sequence numbers that no loss explains (RFC 3550, A.1: MAX_DROPOUT).
	restartAt = 3000
	// near forgives small disagreements of time stamps.
	near = rate / 1000
	// giveUp is how long to guess before there is silence.
	giveUp = rate * 200 / 1000
	// hopeless is how late the first packet after a pause may be and still be played.
	hopeless = rate * 150 / 1000
)

type playState int

const (
	// seeking: play what is due now and forget what is older.
	seeking playState = iota
	// waiting: in a pause; the next packet starts when the target delay is over.
	waiting
	playing
)

// scale is samples of 48 kHz for one unit of the RTP clock.
func scaleOf(clock int) int64 { return int64(rate / clock) }

// push takes a packet; now is its arrival. It says whether the packet is new and in time. One without a payload only
// fills its place in the sequence: key tones (RFC 4733) share the sequence numbers of the sound.
func (j *jitter) push(p *Packet, now int64) bool {
	j.packets++
	clock := clockOf(p.Codec)
	scale := scaleOf(clock)
	step := int64(int16(p.Sequence - j.sequence))
	move := int64(int32(p.Timestamp-j.timestamp)) * scale
	position := j.position + move
	switch {
	case !j.started:
		j.started, j.length = true, tickLength
		j.highest, j.first, position = 0, 0, now
		step = 0
		j.next = 0
	case p.SSRC != j.ssrc || clock != j.clock || step > restartAt || step < -slotCount ||
		j.jumped(step, move, now-j.arrival) || j.frozen(p.Marker, now-position, now):
		j.resets++
		// As if this packet had come as fast as the fastest.
		position = max(now-j.delay.base, j.position+j.length)
		j.delay.last = now - position
		j.highest++
		step = 0
	default:
		if step == 1 && move > 0 && move <= maxPacket {
			j.length = move
		}
	}
	sequence := j.highest + step
	if step >= 0 {
		j.highest, j.sequence = sequence, p.Sequence
		j.timestamp, j.position, j.arrival = p.Timestamp, position, now
	}
	j.ssrc, j.clock = p.SSRC, clock
	if len(p.Payload) == 0 {
		return false
	}
	s := &j.slots[sequence&(slotCount-1)]
	used := s.codec != ""
	if used && s.sequence == sequence {
		// A copy says nothing about how late packets are: the first one counts.
		j.duplicates++
		return false
	}
	j.delay.add(now-position, now)
	switch {
	case used && s.sequence > sequence, j.state != seeking && sequence < j.next:
		j.late++
		return false
	}
	*s = slot{filled: true, sequence: sequence, position: position, codec: p.Codec, payload: hold(s.payload, p.Payload)}
	return true
}

// hold copies a payload into a slot's memory, which grows in steps of 256 bytes to what this source needs.
func hold(memory, payload []byte) []byte {
	if cap(memory) < len(payload) || memory == nil {
		memory = make([]byte, 0, (len(payload)+256)&^255)
	}
	return append(memory[:0], payload...)
}

// jumped tells a new time line: the time stamp fits neither the sequence number nor the clock.
func (j *jitter) jumped(step, move, elapsed int64) bool {
	return abs(move-elapsed) > jumpLimit && abs(move-step*j.length) > jumpLimit
}

// frozen finds time stamps that stood still during a pause: packets come far too late, all equally so. After a mark that
// is clear at once. A burst after a stall of the network is told apart by its transits, which differ. The other way
// round, nothing comes a quarter of a second before the fastest packet of the last seconds.
func (j *jitter) frozen(marker bool, transit, now int64) bool {
	excess := transit - j.delay.base
	if excess < maxTarget+hopeless {
		j.odd.on = false
		return excess < -rate/4
	}
	if marker && excess > jumpLimit {
		j.odd.on = false
		return true
	}
	if !j.odd.on || abs(transit-j.odd.transit) > rate/10 {
		j.odd.on, j.odd.transit, j.odd.arrival = true, transit, now
		return false
	}
	if now-j.odd.arrival < oddFor {
		return false
	}
	j.odd.on = false
	return true
}

// lost is how many packets never came.
func (j *jitter) lost() uint64 {
	if !j.started {
		return 0
	}
	return uint64(max(0, j.highest-j.first+1-int64(j.packets-j.duplicates)))
}

// target is the wanted delay. A codec that can mend a loss out of the next packet needs that packet in time.
func (j *jitter) target(fec bool) int64 {
	t := j.delay.target
	if fec && j.mending {
		t = min(maxTarget, t+j.length)
	}
	return t
}

// verb is what to do to get more sound.
type verb int

const (
	// nothing: there is no packet; only asked for when more is read ahead.
	nothing verb = iota
	// play decodes the packet; warm decodes it for the decoder's memory and throws the sound away.
	play
	warm
	// mend makes samples out of the FEC data of the packet, which is the one after.
	mend
	// conceal guesses samples.
	conceal
	// pause is silence.
	pause
)

// step is one decision.
type step struct {
	verb    verb
	samples int64
	// trim is how much of the packet's beginning is too old.
	trim  int64
	codec string
}

// decide says what comes next when have samples are ready and need are wanted at now; payload receives the packet. With
// ahead it only plays what is there. It never gives more than one packet of work.
func (j *jitter) decide(now, have, need int64, ahead, fec bool, payload []byte) (step, []byte) {
	for {
		s := j.find()
		if j.state != playing {
			if ahead {
				return step{verb: nothing}, nil
			}
			due := now - j.delay.base - j.target(fec) // the position that sounds at now
			if s != nil && (j.state == seeking && s.position+j.length <= due || s.position+j.length+hopeless <= due) {
				j.drop(s)
				continue
			}
			if s == nil {
				return step{verb: pause, samples: need - have}, nil
			}
			lead := s.position - due - have
			if lead >= need-have {
				return step{verb: pause, samples: need - have}, nil
			}
			seek := j.state == seeking
			j.state, j.next, j.head, j.stalled, j.trim = playing, s.sequence, s.position, 0, 0
			if lead > 0 {
				return step{verb: pause, samples: lead}, nil
			}
			if seek {
				j.trim = -lead
				if w := &j.slots[(s.sequence-1)&(slotCount-1)]; w.codec == s.codec && w.sequence == s.sequence-1 {
					return step{verb: warm, codec: w.codec}, append(payload, w.payload...)
				}
			}
			continue
		}
		if s == nil {
			switch {
			case ahead:
				return step{verb: nothing}, nil
			case j.quiet || j.stalled >= giveUp:
				j.state = waiting
				continue
			}
			j.stalled += tickLength
			return step{verb: conceal, samples: tickLength}, nil
		}
		gap, missing := s.position-j.head, s.sequence-j.next
		if missing > 0 && gap > near {
			// What was guessed while waiting was in place of the lost packets.
			covered := min(gap, j.stalled)
			j.head += covered
			j.stalled -= covered
			gap -= covered
		}
		switch {
		case gap < -near && (missing > 0 || s.position+j.length <= j.head+near):
			j.late++
			j.drop(s)
			continue
		case gap <= near:
			j.stalled = 0
			return j.take(s, payload)
		case missing == 0 || gap > giveUp:
			if ahead {
				return step{verb: nothing}, nil
			}
			// The sender paused.
			j.state = waiting
			continue
		case ahead:
			return step{verb: nothing}, nil
		case fec && gap <= j.length+near:
			j.head += gap
			j.miss(missing)
			j.next = s.sequence
			return step{verb: mend, samples: gap, codec: s.codec}, append(payload, s.payload...)
		}
		n := min(gap, tickLength)
		j.head += n
		return step{verb: conceal, samples: n}, nil
	}
}

// take plays a packet.
func (j *jitter) take(s *slot, payload []byte) (step, []byte) {
	j.miss(s.sequence - j.next)
	j.drop(s)
	trim := j.trim
	j.head, j.trim = s.position, 0
	return step{verb: play, trim: trim, codec: s.codec}, append(payload, s.payload...)
}

// miss counts a packet that is there and those before it that are not. Only what was missing in its time is loss: what was
// overtaken is not.
func (j *jitter) miss(missing int64) {
	j.lossy += 0.02 * (float64(missing)/float64(missing+1) - j.lossy)
	if j.lossy > 0.01 {
		j.mending = true
	} else if j.lossy < 0.003 {
		j.mending = false
	}
}

// played moves on by what was decoded.
func (j *jitter) played(samples int64, quiet bool) {
	j.head += samples
	j.quiet = quiet
}

func (j *jitter) drop(s *slot) {
	s.filled = false
	j.next = s.sequence + 1
}

// find returns the first packet that has not been played.
func (j *jitter) find() *slot {
	if !j.started {
		return nil
	}
	// Older ones than the ring holds are gone.
	for q := max(j.next, j.highest-slotCount+1); q <= j.highest; q++ {
		if s := &j.slots[q&(slotCount-1)]; s.filled && s.sequence == q {
			return s
		}
	}
	return nil
}

// current is the delay now, when have samples wait to be heard: how long after the fastest possible moment they sound.
func (j *jitter) current(now, have int64) int64 {
	return now - (j.head - have) - j.delay.base
}

// leave stops playing; packets are kept so that sound is there when the source is heard again.
func (j *jitter) leave() {
	j.state, j.quiet, j.stalled = seeking, false, 0
}
