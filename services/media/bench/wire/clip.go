package wire

import "time"

// Clip is sound or picture that was encoded beforehand, to be played in a loop.
type Clip struct {
	Units []Unit
	// Every is the time between two units, Step what it is in time stamps.
	Every time.Duration
	Step  uint32
	// Video sets the marker on the last packet of each unit.
	Video bool
}

// Unit is what is sent at one time: a packet of sound, or the packets of one picture.
type Unit struct {
	Payloads [][]byte
	// Level in dBov for RFC 6464.
	Level int8
}

// Slower is the clip at a fraction of its speed: the same pictures, fewer of them a second.
func (c *Clip) Slower(factor int) *Clip {
	s := *c
	s.Every *= time.Duration(factor)
	s.Step *= uint32(factor)
	return &s
}
