package transport

import "rotunda/services/media/control"

// Class is the kind of stream that a packet belongs to; it decides the DSCP of what is sent.
type Class uint8

// The classes. RTCP travels in the class of its stream.
const (
	Audio Class = iota
	Video
	Presentation
	classes
)

// points are the code points (RFC 2474) of a transport by class; a class that is none has 0.
func points(d control.DSCP) [classes]uint8 {
	return [classes]uint8{Audio: d.Audio & 0x3f, Video: d.Video & 0x3f, Presentation: d.Presentation & 0x3f}
}

// point is the code point that a class is sent with.
func (e *Endpoint) point(c Class) uint8 {
	if set := e.settings.Load(); set != nil && c < classes {
		return set.dscp[c]
	}
	return 0
}
