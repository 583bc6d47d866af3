package engine

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/audio"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
	"rotunda/services/media/transport"
)

// sound is a leg's voice in its room: what comes, as a source, and what goes, as a listener.
type sound struct {
	leg  *leg
	ssrc uint32
	// flow is where packets go; source and listener are nil where nothing comes or goes, keys where none can be sent.
	flow     atomic.Pointer[flow]
	source   atomic.Pointer[audio.Source]
	listener atomic.Pointer[audio.Listener]
	keys     atomic.Pointer[keyQueue]
	// The network thread's: keys that are being pressed, and the codec of what came last.
	pressed rtp.Keys
	presses *rtp.Flood
	codec   string

	mu       sync.Mutex
	want     control.Audio
	sequence uint16
	sent     rtp.Transmission
	rate     rateMeter // of what is sent

	// The audio thread's.
	header rtp.Header
	packet []byte
	press  [8]byte
	burst  [1][]byte
}

func newSound(l *leg) *sound {
	return &sound{leg: l, ssrc: rtp.NewSSRC(), sequence: uint16(rtp.NewSSRC()), packet: make([]byte, 0, 1600),
		presses: rtp.NewFlood(maxPresses, 1<<20, time.Second)}
}

// maxPresses of keys a second are more than anybody types and any dialler sends (100 ms a key); each is an event to the owner.
const maxPresses = 25

// update brings the sound to the wanted state.
func (s *sound) update(want *control.Audio) error {
	bus := s.leg.conference.Load().bus
	comes := want.Direction == control.SendReceive || want.Direction == control.ReceiveOnly
	goes := want.Direction == control.SendReceive || want.Direction == control.SendOnly
	options := audio.ListenerOptions{Codec: want.Send.Codec, PacketMs: int(want.PacketTime), Bitrate: want.Send.Bitrate,
		FEC: want.Send.FEC, DTX: want.Send.DTX, Deaf: want.Deaf, Hold: !goes}

	s.mu.Lock()
	s.want = *want
	s.sent.Clock = 8000
	if want.Send.Codec == control.Opus {
		s.sent.Clock = 48000
	}
	s.mu.Unlock()

	switch listener := s.listener.Load(); {
	case listener == nil && goes:
		// A listener is made once and held when nothing is to be sent: time stamps then go on.
		l, err := bus.AddListener(s.leg.source, options, s.send)
		if err != nil {
			return err
		}
		s.listener.Store(l)
	case listener != nil:
		if want.Send.Codec == "" {
			options.Codec = control.PCMU
		}
		if err := listener.Update(options); err != nil {
			return err
		}
	}
	switch {
	case want.DTMF == 0:
		s.keys.Store(nil)
	case s.keys.Load() == nil:
		s.keys.Store(&keyQueue{})
	}
	heard := audio.SourceOptions{Muted: want.Muted, Gain: want.Gain}
	switch source := s.source.Load(); {
	case comes && source == nil:
		s.source.Store(bus.AddSource(s.leg.source, heard))
	case comes:
		source.Update(heard)
	case source != nil:
		// Nothing comes on a stream that is on hold; the source stays and is muted, so that a race between the last packets
		// and the change harms nobody.
		source.Update(audio.SourceOptions{Muted: true})
	}
	return nil
}

func (s *sound) move(to *audio.Bus) {
	if source := s.source.Load(); source != nil {
		source.Move(to)
	}
	if listener := s.listener.Load(); listener != nil {
		if err := listener.Move(to); err != nil {
			s.leg.engine.c.Log.Error("a leg hears nobody", "leg", s.leg.id, "error", err)
		}
	}
}

func (s *sound) close() {
	if listener := s.listener.Load(); listener != nil {
		listener.Remove()
	}
	if source := s.source.Load(); source != nil {
		source.Remove()
	}
}

// push takes a packet of sound from the network thread; an empty codec is that of the packet before.
func (s *sound) push(codec string, h *rtp.Header, level int8, payload []byte, arrival time.Time) {
	if codec == "" {
		codec = s.codec
	}
	s.codec = codec
	if source := s.source.Load(); source != nil && codec != "" {
		source.Push(audio.Packet{Codec: codec, SSRC: h.SSRC, Sequence: h.Sequence, Timestamp: h.Timestamp, Marker: h.Marker,
			Level: level, Arrival: arrival, Payload: payload})
	}
}

// key takes a packet of telephone-event.
func (s *sound) key(payload []byte, timestamp uint32, marker bool, arrival time.Time) {
	if key, ok := s.pressed.Packet(payload, timestamp, marker, arrival); ok && s.presses.Allow(1, arrival) {
		s.leg.emit(control.Event{Event: control.EventKey, Key: string(key)})
	}
}

// send takes what the listener is to get, in the audio thread. While a key is pressed its packets go instead (RFC 4733).
func (s *sound) send(payload []byte, timestamp uint32, marker bool) {
	f := s.flow.Load()
	if f == nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	payloadType, extension := s.want.Send.PayloadType, s.want.TransportSequence
	if keys := s.keys.Load(); keys != nil {
		if press, at, mark, ok := keys.next(s.press[:0], timestamp, cmp.Or(s.want.DTMFClock, 8000), cmp.Or(s.want.PacketTime, 20).Duration()); ok {
			payload, timestamp, marker, payloadType = press, at, mark, s.want.DTMF
		}
	}
	h := &s.header
	h.Marker, h.PayloadType, h.Sequence, h.Timestamp, h.SSRC = marker, payloadType, s.sequence, timestamp, s.ssrc
	s.sequence++
	s.sent.Packet(timestamp, len(payload), now)
	s.rate.add(len(payload)+rtp.HeaderSize, now)
	s.mu.Unlock()

	if extension != 0 {
		// An extension of two bytes always fits.
		_ = h.SetTransportSequence(extension, f.Next(len(payload)+rtp.HeaderSize, now))
	} else {
		h.ClearExtensions()
	}
	s.packet = append(h.Append(s.packet[:0]), payload...)
	s.burst[0] = s.packet
	f.endpoint.SendRTP(s.burst[:], transport.Audio)
}

// info is the sender's part of a report.
func (s *sound) info(now time.Time) (rtp.SenderInfo, bool) {
	s.mu.Lock()
	info, ok := s.sent.Info(now)
	s.mu.Unlock()
	if listener := s.listener.Load(); ok && listener != nil {
		info.RTP = listener.Timestamp(now)
	}
	return info, ok
}

// clock is that of what is sent.
func (s *sound) clock() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.sent.Clock, 8000)
}
