package audio

import "time"

// LevelUnknown is the Level of a packet without the extension of RFC 6464.
const LevelUnknown = 1

// Packet is one packet of sound as it came from the net.
type Packet struct {
	Codec     string
	SSRC      uint32
	Sequence  uint16
	Timestamp uint32
	Marker    bool
	// Level is in dBov: 0 loudest, -127 silence, [LevelUnknown] without the header extension.
	Level   int8
	Arrival time.Time
	// Payload is copied by Push.
	Payload []byte
}
