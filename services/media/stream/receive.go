package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// Feedback is how a Receiver asks its far end: the leg makes RTCP of it, in the forms that were negotiated. It is called
// without any lock; the sequence numbers are valid until the call returns.
type Feedback interface {
	AskAgain(ssrc uint32, sequences []uint16)
	// AskKey asks for a key frame, by PLI or by FIR with this number.
	AskKey(ssrc uint32, number uint8)
}

// ReceiverOptions describe one incoming SSRC: a picture, or one simulcast layer of it.
type ReceiverOptions struct {
	SSRC uint32
	// Formats are what may come, all of one codec; the RTX of each is the payload type of its retransmissions.
	Formats []control.Format
	// NACK says that the far end sends again what is asked for.
	NACK     bool
	Feedback Feedback
	// Stream is where packets are forwarded to, at once; nil for nowhere. Its AskKey is to be the Receiver's RequestKey.
	Stream *Stream
	// Batch has the Stream wait for Flush, which is to be called when the packets of one receive call are pushed.
	Batch bool
	// Unit takes the access units, in order, one at a time, on the threads that call Push and Tick; it releases them.
	Unit func(*AccessUnit)
	Pool *Pool
}

// Receiver takes the packets of one SSRC. Push is called from one thread, the network's, and Tick from one, which may be
// another; the other methods from any.
type Receiver struct {
	o     ReceiverOptions
	codec string

	// Of the network's thread.
	header rtp.Header
	packet Packet
	// Of the thread that ticks.
	lost []uint16

	delivering sync.Mutex // held while units are handed out, before mu
	ready      []*AccessUnit

	mu        sync.Mutex
	reception rtp.Reception
	losses    rtp.Losses
	keys      rtp.KeyFrames
	order     order
	sets      parameterSets
	trip      time.Duration
	decode    bool
	units     assembler
	counts    ReceiverCounts
	// Of the last key frame: more than one of its packets may look like its first one.
	keyed        bool
	keyTimestamp uint32
}

// ReceiverCounts are the figures of a Receiver since it began.
type ReceiverCounts struct {
	Packets, Bytes uint64 // bytes of RTP packets as they came, retransmissions apart
	Lost           int64
	Jitter         time.Duration
	Duplicates     uint64
	Malformed      uint64
	Repaired       uint64 // came because they were asked for again
	KeysAsked      uint64
	Frames         uint64 // that ended with a marker
	KeyFrames      uint64
	Units          uint64 // delivered for decoding
	UnitsDropped   uint64
	Width, Height  int // of what came last, 0 while not known
	// Fraction of packets that was lost between the last two reports, 0 to 1.
	Fraction float64
	// Profile of H.264, as in [SPS]; zero while not known.
	Profile [3]byte
}

var (
	// ErrPayloadType says that a packet's payload type is not one of the Receiver's.
	ErrPayloadType = errors.New("payload type that was not negotiated")
	errEmpty       = errors.New("retransmission without the number of what it repeats")
)

// NewReceiver returns a Receiver that does not decode yet.
func NewReceiver(o ReceiverOptions) (*Receiver, error) {
	if len(o.Formats) == 0 {
		return nil, errors.New("receiver without formats")
	}
	codec := o.Formats[0].Codec
	for _, f := range o.Formats {
		if f.Codec != codec {
			return nil, fmt.Errorf("receiver of %s and %s: want one codec", codec, f.Codec)
		}
	}
	d := newDepacketizer(codec)
	if d == nil {
		return nil, fmt.Errorf("receiver of %q: want H264, VP8 or VP9", codec)
	}
	if o.Stream != nil && o.Stream.codec != codec {
		return nil, fmt.Errorf("receiver of %s for a stream of %s: %w", codec, o.Stream.codec, ErrCodec)
	}
	if o.Pool == nil || o.Feedback == nil || o.Unit == nil {
		return nil, errors.New("receiver without pool, feedback or taker of units")
	}
	r := &Receiver{o: o, codec: codec}
	r.reception.Clock = 90_000
	r.units.codec, r.units.pool, r.units.depacketizer = codec, o.Pool, d
	return r, nil
}

// SSRC returns the source's SSRC.
func (r *Receiver) SSRC() uint32 { return r.o.SSRC }

// format says whether a payload type is one of the Receiver's, and whether it is one of retransmissions.
func (r *Receiver) format(payloadType uint8) (rtx, ok bool) {
	for i := range r.o.Formats {
		switch f := &r.o.Formats[i]; payloadType {
		case f.PayloadType:
			return false, true
		case f.RTX:
			return true, f.RTX != 0
		}
	}
	return false, false
}

// Push takes one RTP packet, of the SSRC itself or of its retransmissions. The packet is not needed afterwards.
func (r *Receiver) Push(packet []byte, arrival time.Time) error {
	payload, err := r.header.Parse(packet)
	if err != nil {
		r.malformed()
		return err
	}
	rtx, ok := r.format(r.header.PayloadType)
	if !ok {
		return ErrPayloadType
	}
	sequence := r.header.Sequence
	if rtx {
		// RFC 4588: the original number, then the original payload. Nothing behind it is a probe for bandwidth.
		if len(payload) < osnSize {
			r.malformed()
			return errEmpty
		}
		sequence, payload = binary.BigEndian.Uint16(payload), payload[osnSize:]
		if len(payload) == 0 {
			return nil
		}
	}
	p := &r.packet
	*p = Packet{Timestamp: r.header.Timestamp, Marker: r.header.Marker, Payload: payload}
	if len(payload) == 0 {
		// Padding alone probes for bandwidth too. Its number is to be left out where it is forwarded to.
		p.Layer = nothing
	} else if err := p.Describe(r.codec); err != nil {
		r.malformed()
		return err
	}

	r.mu.Lock()
	fresh, decode := false, r.decode
	if p.Sequence, fresh = r.place(sequence, p.Timestamp, len(packet), rtx, arrival); !fresh {
		r.mu.Unlock()
		return nil
	}
	var parameters []byte
	if r.codec == control.H264 && p.Layer != nothing && r.sets.notePayload(payload) {
		parameters = r.sets.aggregate(MaxPayload - room)
	}
	if p.Marker && p.Layer != nothing {
		r.counts.Frames++
	}
	if p.width > 0 {
		r.counts.Width, r.counts.Height = p.width, p.height
	}
	if p.Key && p.Start {
		r.keys.Came()
		if !r.keyed || r.keyTimestamp != p.Timestamp {
			r.keyed, r.keyTimestamp = true, p.Timestamp
			r.counts.KeyFrames++
		}
	}
	r.mu.Unlock()

	if s := r.o.Stream; s != nil {
		if parameters != nil {
			s.SetParameters(parameters)
		}
		if err := s.queue(p, arrival, !r.o.Batch); err != nil {
			return err
		}
	}
	if decode {
		r.assemble(p, arrival)
	}
	return nil
}

// Flush forwards what was pushed since the last call; see [ReceiverOptions].Batch.
func (r *Receiver) Flush(now time.Time) {
	if r.o.Stream != nil {
		r.o.Stream.Flush(now)
	}
}

// assemble takes a packet for the access units.
func (r *Receiver) assemble(p *Packet, arrival time.Time) {
	r.mu.Lock()
	if r.decode {
		r.units.insert(p, arrival)
		r.units.expire(clock(arrival)-r.patience(), clock(arrival))
	}
	ready := len(r.units.ready) > 0
	r.mu.Unlock()
	if ready {
		r.deliver()
	}
}

// place finds the group sequence of a packet; false if it has come before or cannot be one of this stream.
func (r *Receiver) place(sequence uint16, timestamp uint32, size int, rtx bool, arrival time.Time) (int64, bool) {
	// What was asked for may come so late that, by its number alone, it would be taken for a stream that begins anew.
	if repair := rtx || r.order.missed(sequence); !repair {
		restart := r.order.far(sequence)
		if _, ok := r.reception.Packet(sequence, timestamp, size, arrival); !ok {
			return 0, false
		}
		if restart {
			r.order.restart(sequence)
			if r.decode {
				r.units.start(clock(arrival))
			}
		}
	}
	n, fresh := r.order.place(sequence, rtx)
	if !fresh {
		r.counts.Duplicates++
		return 0, false
	}
	if r.losses.Received(sequence, arrival) {
		r.counts.Repaired++
	}
	return n, true
}

func (r *Receiver) malformed() {
	r.mu.Lock()
	r.counts.Malformed++
	r.mu.Unlock()
}

// deliver hands out the completed units without the Receiver's lock.
func (r *Receiver) deliver() {
	r.delivering.Lock()
	defer r.delivering.Unlock()
	r.mu.Lock()
	r.ready, r.units.ready = r.units.ready, r.ready[:0]
	for _, u := range r.ready {
		r.counts.Units++
		if u.Width > 0 {
			r.counts.Width, r.counts.Height = u.Width, u.Height
		}
	}
	r.mu.Unlock()
	for i, u := range r.ready {
		r.o.Unit(u)
		r.ready[i] = nil
	}
}

// Bounds of the wait for a packet that is missing.
const (
	longestWait = 100 * time.Millisecond
	// What is out of order in the Internet is so by some milliseconds.
	reorderWait = 15 * time.Millisecond
	// A request leaves at the next tick of this side and is answered at the next one of the other.
	answerWait = 20 * time.Millisecond
)

// patience is how long the pictures behind a gap wait for it to be filled: as long as reordering lasts, or for an answer to a
// NACK if that can come before [longestWait].
func (r *Receiver) patience() int64 { return int64(gapWait(r.o.NACK, r.trip, r.reception.Jitter())) }

func gapWait(nack bool, trip, jitter time.Duration) time.Duration {
	wait := reorderWait + 2*jitter
	if answer := wait + trip + answerWait; nack && answer <= longestWait {
		wait = answer
	}
	return min(wait, longestWait)
}

// Tick gives up what has been waited for long enough, and asks for what is missing. Call it every 5 to 10 ms.
func (r *Receiver) Tick(now time.Time) {
	r.Flush(now)
	r.mu.Lock()
	if r.decode {
		r.units.expire(clock(now)-r.patience(), clock(now))
		if r.units.broken {
			r.keys.Want()
		}
	}
	r.lost = r.lost[:0]
	if r.o.NACK {
		r.lost, _ = r.losses.Due(r.lost, now, r.trip)
	}
	ask := r.keys.Due(now)
	number := r.keys.Number
	ready := len(r.units.ready) > 0
	r.mu.Unlock()
	if ready {
		r.deliver()
	}
	if len(r.lost) > 0 {
		r.o.Feedback.AskAgain(r.o.SSRC, r.lost)
	}
	if ask {
		r.o.Feedback.AskKey(r.o.SSRC, number)
	}
}

// RequestKey asks the far end for a key frame, at once or as soon as a second since the last request is over.
func (r *Receiver) RequestKey(now time.Time) {
	r.mu.Lock()
	r.keys.Want()
	ask := r.keys.Due(now)
	number := r.keys.Number
	r.mu.Unlock()
	if ask {
		r.o.Feedback.AskKey(r.o.SSRC, number)
	}
}

// SetDecode begins or ends the assembly of access units. It begins with a key frame, which is asked for.
func (r *Receiver) SetDecode(on bool, now time.Time) {
	r.mu.Lock()
	changed := r.decode != on
	r.decode = on
	switch {
	case changed && on:
		if d, ok := r.units.depacketizer.(*h264Depacketizer); ok {
			d.sets = r.sets.clone()
		}
		r.units.start(clock(now))
	case changed:
		r.units.stop()
	}
	r.mu.Unlock()
	if changed && on {
		r.RequestKey(now)
	}
}

// Update takes other formats of the same codec, and whether the far end sends again what is asked for, from a change of what
// was negotiated. It is called on the thread that pushes.
func (r *Receiver) Update(formats []control.Format, nack bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.o.Formats, r.o.NACK = formats, nack
}

// Succeed has the Receiver go on where another one of the same picture ends: the far end is asked for a key frame once a
// second, however often its stream begins anew. It is called before the first packet.
func (r *Receiver) Succeed(old *Receiver) {
	old.mu.Lock()
	keys := old.keys
	old.mu.Unlock()
	r.mu.Lock()
	r.keys = keys
	r.mu.Unlock()
}

// SetRoundTrip tells the time to the far end and back, as its reports say.
func (r *Receiver) SetRoundTrip(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trip = d
}

// SenderReport notes what the far end reported, for the next report's answer.
func (r *Receiver) SenderReport(info rtp.SenderInfo, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reception.SenderReport(info, now)
}

// Report returns the block for the next receiver report; false while nothing has come.
func (r *Receiver) Report(now time.Time) (rtp.Report, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reception.Report(r.o.SSRC, now)
}

// Counts returns the figures.
func (r *Receiver) Counts() ReceiverCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.counts
	c.Packets, c.Bytes, c.Lost, c.Jitter = r.reception.Packets, r.reception.Bytes, r.reception.Lost(), r.reception.Jitter()
	c.KeysAsked, c.UnitsDropped = r.keys.Asked, r.units.dropped
	if c.Width == 0 {
		c.Width, c.Height = r.sets.width, r.sets.height
	}
	c.Profile, c.Fraction = r.sets.profile, r.reception.Fraction()
	return c
}

// Close gives the buffers back. Nothing is pushed afterwards.
func (r *Receiver) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decode = false
	r.units.stop()
	for _, u := range r.units.ready {
		u.Release()
	}
	r.units.ready = nil
}
