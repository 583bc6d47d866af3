package stream

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/rtp"
)

// ErrCodec says that a Sender was to carry another codec than its own.
var ErrCodec = errors.New("stream of another codec")

// epoch makes times small numbers that compare with one instruction; see clock.
var epoch = time.Now()

// clock returns the nanoseconds since this program began.
func clock(now time.Time) int64 { return int64(now.Sub(epoch)) }

// KeyInterval is the least time between two key frames that one Stream asks of its producer, that of [rtp.KeyFrames].
const KeyInterval = time.Second

// burst is how many packets go through the Senders at once: 64 is the kernel's limit for one segmented send
// (UDP_MAX_SEGMENTS) and, at 1,200 bytes, more than the 64 KB that one may have.
const burst = 64

// Options describe a Stream.
type Options struct {
	Codec string
	// AskKey asks the producer for a key frame: an encoder, or a Receiver's far end. It is called at most once in
	// KeyInterval, from the thread of whoever publishes or asks, and must not call back into a Sender.
	AskKey func()
}

// Stream is a sequence of packets of one encoded picture, published once and sent by many Senders.
type Stream struct {
	codec  string
	askKey func()

	// publish is held by the one publisher, while the Senders use the room before each packet in turn.
	publish sync.Mutex
	chunk   [burst]entry
	queued  int   // packets in chunk that wait for Flush
	next    int64 // group sequence of the next composed packet
	ask     bool  // a key frame is to be asked for after this packet
	// picture is the newest picture ID, of 16 bits however many the producer's have; pictures says that there is one.
	picture  uint16
	pictures bool

	subscribing sync.Mutex // taken to change senders
	senders     atomic.Pointer[[]*Sender]

	mu         sync.Mutex // guards what follows; held for a copy of a packet at most
	cache      cache
	parameters []byte // H.264 parameter sets as a STAP-A
	keys       rtp.KeyFrames
	closed     bool
}

// New returns a Stream without subscribers. It takes memory for its cache when the first one comes.
func New(o Options) *Stream {
	s := &Stream{codec: o.Codec, askKey: o.AskKey, next: firstSequence}
	if s.askKey == nil {
		s.askKey = func() {}
	}
	s.senders.Store(new([]*Sender))
	return s
}

// Codec returns the codec's name.
func (s *Stream) Codec() string { return s.codec }

// Subscribers returns how many Senders carry the Stream or wait for its key frame.
func (s *Stream) Subscribers() int { return len(*s.senders.Load()) }

// KeysAsked returns how many key frames have been asked of the producer.
func (s *Stream) KeysAsked() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys.Asked
}

// Close gives the cache back. Senders that carry the Stream stay silent until they are switched.
func (s *Stream) Close() {
	s.publish.Lock()
	defer s.publish.Unlock()
	s.mu.Lock()
	s.closed, s.cache, s.queued = true, cache{}, 0
	s.mu.Unlock()
	s.subscribing.Lock()
	s.senders.Store(new([]*Sender))
	s.subscribing.Unlock()
}

func (s *Stream) subscribe(to *Sender) {
	s.subscribing.Lock()
	defer s.subscribing.Unlock()
	old := *s.senders.Load()
	if slices.Contains(old, to) {
		return
	}
	list := append(old[:len(old):len(old)], to)
	s.senders.Store(&list)
}

func (s *Stream) unsubscribe(from *Sender) {
	s.subscribing.Lock()
	defer s.subscribing.Unlock()
	old := *s.senders.Load()
	i := slices.Index(old, from)
	if i < 0 {
		return
	}
	list := make([]*Sender, 0, len(old)-1)
	list = append(append(list, old[:i]...), old[i+1:]...)
	s.senders.Store(&list)
}

// RequestKey asks the producer for a key frame, at once or as soon as [KeyInterval] is over.
func (s *Stream) RequestKey(now time.Time) {
	s.mu.Lock()
	s.keys.Want()
	ask := !s.closed && s.keys.Due(now)
	s.mu.Unlock()
	if ask {
		s.askKey()
	}
}

// SetParameters stores H.264 parameter sets, a STAP-A payload, that go before a key frame which comes without them.
func (s *Stream) SetParameters(payload []byte) {
	if len(payload) > MaxPayload {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parameters = append(s.parameters[:0], payload...)
}

// Publish sends one encoded frame: its RTP payloads as a [Packetizer] made them. They may be used again afterwards.
func (s *Stream) Publish(payloads [][]byte, timestamp uint32, now time.Time) error {
	s.publish.Lock()
	defer s.publish.Unlock()
	senders := *s.senders.Load()
	if len(senders) == 0 {
		s.next += int64(len(payloads))
		return nil
	}
	p := Packet{Timestamp: timestamp}
	s.flush(now)
	n := 0
	for i, payload := range payloads {
		p.Sequence, p.Payload, p.Marker = s.next, payload, i == len(payloads)-1
		if err := p.Describe(s.codec); err != nil {
			return fmt.Errorf("publish payload %d of %d: %w", i+1, len(payloads), err)
		}
		if !s.put(&p, n, now) {
			return nil
		}
		s.next++
		if n++; n == burst {
			s.fanOut(senders, s.chunk[:n], now)
			n = 0
		}
	}
	if n > 0 {
		s.fanOut(senders, s.chunk[:n], now)
	}
	s.askAfter()
	return nil
}

// askAfter asks for the key frame that had to wait for the end of [KeyInterval].
func (s *Stream) askAfter() {
	if s.ask {
		s.ask = false
		s.askKey()
	}
}

// PublishPacket sends one forwarded packet that has been described. Packets may come late or never, but not twice.
func (s *Stream) PublishPacket(p *Packet, now time.Time) error { return s.queue(p, now, true) }

// QueuePacket is [Stream.PublishPacket] up to the next [Stream.Flush], or the next 64 packets. Packets that came in one
// receive call leave in one send call to each receiver, which is most of what forwarding costs.
func (s *Stream) QueuePacket(p *Packet, now time.Time) error { return s.queue(p, now, false) }

func (s *Stream) queue(p *Packet, now time.Time, flush bool) error {
	if len(p.body) == 0 && p.Layer != nothing || len(p.Payload) > MaxPayload {
		return fmt.Errorf("packet of %d bytes that nobody has described", len(p.Payload))
	}
	senders := *s.senders.Load()
	if len(senders) == 0 {
		return nil
	}
	s.publish.Lock()
	defer s.publish.Unlock()
	if !s.put(p, s.queued, now) {
		return nil
	}
	if s.queued++; flush || s.queued == burst {
		s.flush(now)
	}
	return nil
}

// Flush sends what is queued.
func (s *Stream) Flush(now time.Time) {
	s.publish.Lock()
	defer s.publish.Unlock()
	s.flush(now)
}

func (s *Stream) flush(now time.Time) {
	if n := s.queued; n > 0 {
		s.queued = 0
		s.fanOut(*s.senders.Load(), s.chunk[:n], now)
		s.askAfter()
	}
}

// put stores a packet in the cache and in chunk[n].
func (s *Stream) put(p *Packet, n int, now time.Time) bool {
	picture := p.picture
	if p.pictures != 0 {
		picture = s.unwrapPicture(p.picture, p.pictures)
	}
	var flags uint8
	if p.Marker {
		flags |= flagMarker
	}
	if p.Start {
		flags |= flagStart
	}
	if p.Key {
		flags |= flagKey
	}
	if p.Sync {
		flags |= flagSync
	}
	if p.parameters {
		flags |= flagParameters
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.cache.entries == nil {
		s.cache = newCache()
	}
	e := s.cache.store(p.Sequence, p.body, clock(now))
	e.timestamp, e.flags, e.layer = p.Timestamp, flags, p.Layer
	e.prefix, e.picture, e.base = p.prefix, picture, p.baseLayer
	if p.Key && p.Start {
		s.keys.Came()
	}
	s.ask = s.ask || s.keys.Due(now)
	s.chunk[n] = *e
	return true
}

// unwrapPicture returns the picture ID nearest to the newest one. One of 7 bits goes round within seconds.
func (s *Stream) unwrapPicture(id, mask uint16) uint16 {
	if !s.pictures {
		s.pictures, s.picture = true, id
		return id
	}
	step := (id - s.picture) & mask
	if step > mask/2 { // late
		return s.picture + step - mask - 1
	}
	s.picture += step
	return s.picture
}

func (s *Stream) fanOut(senders []*Sender, chunk []entry, now time.Time) {
	for _, to := range senders {
		to.deliver(s, chunk, now)
	}
}
