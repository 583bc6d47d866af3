package transport

import (
	"golang.org/x/sys/unix"

	"rotunda/services/media/control"
)

// Class is the kind of stream that a packet belongs to; it decides the DSCP of what is sent.
type Class uint8

// The classes. RTCP travels in the class of its stream.
const (
	Audio Class = iota
	Video
	Presentation
	classes
)

// marks are the code points (RFC 2474) of a transport by class, in IPv4 and in IPv6.
type marks struct{ four, six [classes]uint8 }

func points(d control.DSCP) (m marks) {
	m.four = [classes]uint8{Audio: d.Audio & 0x3f, Video: d.Video & 0x3f, Presentation: d.Presentation & 0x3f}
	if m.six = m.four; d.Apart {
		m.six = [classes]uint8{Audio: d.Six.Audio & 0x3f, Video: d.Six.Video & 0x3f, Presentation: d.Six.Presentation & 0x3f}
	}
	return m
}

// point is the code point that a class is sent with in a family; a class that is none has 0.
func (e *Endpoint) point(c Class, family uint16) uint8 {
	set := e.settings.Load()
	switch {
	case set == nil || c >= classes:
		return 0
	case family == unix.AF_INET6:
		return set.dscp.six[c]
	}
	return set.dscp.four[c]
}
