package rtp

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// keyNames are the events 0 to 15 of RFC 4733 section 3.2.
const keyNames = "0123456789*#ABCD"

const (
	keyEnd       = 0x80
	maxDuration  = 0xFFFF
	keyVolume    = 10 // -10 dBm0, within the range of ITU-T Q.24
	endPackets   = 3  // RFC 4733 section 2.5.1.4
	keySilence   = 5 * time.Second
	minimalPress = 40 * time.Millisecond // what receivers must recognise, ITU-T Q.24
)

// Keys finds key presses in the packets of telephone-event (RFC 4733): one for each press, as soon as any packet of it comes,
// so that a lost start or end costs nothing. The clock does not matter. The zero value is ready.
type Keys struct {
	started   bool
	event     byte
	ended     bool
	timestamp uint32
	duration  uint16
	arrival   time.Time
}

// Packet takes the payload of one packet and returns the key that it begins, one of 0-9*#A-D.
func (k *Keys) Packet(payload []byte, timestamp uint32, marker bool, arrival time.Time) (key byte, ok bool) {
	if len(payload) < 4 {
		return 0, false
	}
	event, end, duration := payload[0], payload[1]&keyEnd != 0, binary.BigEndian.Uint16(payload[2:])
	if int(event) >= len(keyNames) {
		return 0, false // flash and tones
	}
	// A sender that starts its clock over is believed after a silence that no retransmission outlives.
	if k.started && arrival.Sub(k.arrival) < keySilence {
		switch distance := timestamp - k.timestamp; {
		case distance == 0:
			k.ended = k.ended || end
			k.duration = max(k.duration, duration)
			k.arrival = arrival
			return 0, false
		case distance > 1<<31:
			return 0, false // late, of a press before this one
		case k.continues(event, distance, marker):
			k.timestamp, k.duration, k.ended, k.arrival = timestamp, duration, end, arrival
			return 0, false
		}
	}
	*k = Keys{started: true, event: event, ended: end, timestamp: timestamp, duration: duration, arrival: arrival}
	return keyNames[event], true
}

// continues tells the next segment of a long press (RFC 4733 section 2.5.1.3) from the same key pressed again. A duration
// holds 8.2 s at 8 kHz, and only 1.4 s at 48 kHz; then the timestamp moves to where the segment ended, without marker and
// without an end before. If packets were lost, the end of the segment is between what was seen and the most it can be; a
// sender uses it up, so less than three quarters of it is a new press.
func (k *Keys) continues(event byte, distance uint32, marker bool) bool {
	if event != k.event || k.ended || marker || distance > maxDuration {
		return false
	}
	return distance == uint32(k.duration) || distance > uint32(k.duration) && distance >= maxDuration/4*3
}

// KeyPress makes the packets of one key press. Its packets take the place of audio packets: the caller sends one each packet
// time, with the sequence numbers and SSRC of the audio stream.
type KeyPress struct {
	event     byte
	step      uint32 // units of the clock in a packet time
	left      uint32 // packets until the end
	ends      int
	timestamp uint32 // of the segment
	duration  uint32
	begun     bool
}

// NewKeyPress begins a press at a timestamp of the audio stream. Length is at least 40 ms and is rounded to packets; clock is
// that of telephone-event, which is the audio's.
func NewKeyPress(key byte, timestamp uint32, clock int, length, packet time.Duration) (KeyPress, error) {
	event := strings.IndexByte(keyNames, key)
	step := ticks(packet, clock)
	if event < 0 {
		return KeyPress{}, fmt.Errorf("key %q is not one of %s", key, keyNames)
	}
	if step <= 0 || step > maxDuration {
		return KeyPress{}, fmt.Errorf("packets of %v at %d Hz: want 1 to %d units", packet, clock, maxDuration)
	}
	length = max(length, minimalPress)
	return KeyPress{
		event:     byte(event),
		step:      uint32(step),
		left:      uint32((length + packet - 1) / packet),
		ends:      endPackets,
		timestamp: timestamp,
	}, nil
}

// Next appends the payload of the next packet. ok is false when the press is over; the last packet is sent three times, a
// packet time apart.
func (k *KeyPress) Next(dst []byte) (payload []byte, timestamp uint32, marker, ok bool) {
	if k.ends == 0 {
		return dst, 0, false, false
	}
	flags := byte(keyVolume)
	if k.left > 0 {
		if k.duration+k.step > maxDuration {
			k.timestamp += k.duration
			k.duration = 0
		}
		k.duration += k.step
		k.left--
	}
	if k.left == 0 {
		flags |= keyEnd
		k.ends--
	}
	marker = !k.begun
	k.begun = true
	dst = append(dst, k.event, flags)
	return binary.BigEndian.AppendUint16(dst, uint16(k.duration)), k.timestamp, marker, true
}
