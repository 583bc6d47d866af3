package transport

import (
	"errors"
	"time"

	"rotunda/services/media/srtp"
)

// input takes one datagram from a socket. It runs on the loop's thread; the packet is unprotected in place.
func (e *Endpoint) input(s *socket, packet []byte, from *sockaddr, at time.Time) {
	if e.closed.Load() {
		return
	}
	set := e.settings.Load()
	if set != e.applied {
		e.adopt(set)
	}
	src := &e.source[s.component]
	// Until there is a source, nobody is a stranger; at an exchange nobody ever is.
	limit := &e.peer
	if src.from.known() && src.from != *from {
		limit = &e.stranger
	}
	if !limit.take(at) {
		e.dropped[dropFlood].Add(1)
		e.flood()
		return
	}
	e.received.packets++
	e.received.bytes += uint64(len(packet))
	switch k := classify(packet); {
	case k == unknown:
		e.dropped[dropMalformed].Add(1)
	case k == stunMessage && e.ice != nil:
		e.ice.input(s, packet, from)
	case k == dtlsRecord && e.dtls != nil:
		if !set.ice {
			e.out.handshakeFrom(s, from)
		}
		e.dtls.records.Load().push(packet, from.addrPort())
	case k == rtpPacket || k == rtcpPacket:
		if !set.mux {
			// Each has its own port, and payload types 64–95 with a marker are RTP.
			if s.component == 1 && k == rtpPacket {
				e.dropped[dropMalformed].Add(1)
				return
			}
			if s.component == 0 && k == rtcpPacket {
				if len(packet) < rtpHeader {
					e.dropped[dropMalformed].Add(1)
					return
				}
				k = rtpPacket
			}
		}
		e.media(k, set, src, s, packet, from, at)
	default:
		e.dropped[dropUnknown].Add(1)
	}
}

// media opens and delivers a packet of RTP or RTCP.
func (e *Endpoint) media(k kind, set *settings, src *source, s *socket, packet []byte, from *sockaddr, at time.Time) {
	if set.secured {
		in := e.in.Load()
		if in == nil {
			e.dropped[dropKeys].Add(1)
			return
		}
		var err error
		if k == rtpPacket {
			packet, err = in.UnprotectRTP(packet)
		} else {
			packet, err = in.UnprotectRTCP(packet)
		}
		if err != nil {
			e.dropped[reason(err)].Add(1)
			return
		}
	}
	if !e.shared && (src.from != *from || src.at != s) {
		if !set.secured && !e.admits(set, src, s, from, at) {
			e.dropped[dropUnknown].Add(1)
			return
		}
		if !set.ice {
			src.from, src.at = *from, s
			if set.latch {
				e.out.latch(s, from)
				e.evaluate()
			}
		}
	}
	src.last = at
	if k == rtpPacket {
		e.handler.RTP(packet, at)
	} else {
		e.handler.RTCP(packet, at)
	}
}

// admits decides whether plain packets of a new source are taken. With ICE only the selected pair is. Otherwise the first
// source has the component until it is silent, but gives way to the address that was signalled.
func (e *Endpoint) admits(set *settings, src *source, s *socket, from *sockaddr, at time.Time) bool {
	if set.ice {
		return false
	}
	return !src.from.known() || *from == set.remote[s.component] || at.Sub(src.last) > silence
}

// adopt takes over new settings: a new signalled address frees the lock on the old source.
func (e *Endpoint) adopt(set *settings) {
	for c := range e.source {
		if e.applied != nil && !set.ice && set.remote[c] != e.applied.remote[c] {
			e.source[c] = source{}
		}
	}
	e.applied = set
}

// lock makes the remote end of the selected ICE pair the source.
func (e *Endpoint) lock(from sockaddr, at *socket) {
	e.loop.post(func() { e.source[0].from, e.source[0].at = from, at })
}

// flood remembers that the handler is to be told.
func (e *Endpoint) flood() {
	e.flooded++
	if !e.reported {
		e.reported = true
		e.loop.flooding = append(e.loop.flooding, e)
	}
}

func (l *Loop) reportFloods() {
	for i, e := range l.flooding {
		n := e.flooded
		e.flooded, e.reported = 0, false
		l.flooding[i] = nil
		if !e.closed.Load() {
			e.handler.Flood(n)
		}
	}
	l.flooding = l.flooding[:0]
}

// tally ends a batch: it is added to the counters that other threads read, and the handler is told.
func (e *Endpoint) tally(now time.Time) {
	e.packetsReceived.Add(e.received.packets)
	e.bytesReceived.Add(e.received.bytes)
	e.received.packets, e.received.bytes = 0, 0
	if !e.closed.Load() {
		e.handler.Batch(now)
	}
}

func reason(err error) drop {
	switch {
	case errors.Is(err, srtp.ErrReplay):
		return dropReplay
	case errors.Is(err, srtp.ErrMalformed):
		return dropMalformed
	}
	return dropAuth
}
