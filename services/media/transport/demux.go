package transport

import "encoding/binary"

// kind is what a datagram claims to be.
type kind uint8

const (
	unknown kind = iota
	stunMessage
	dtlsRecord
	rtpPacket
	rtcpPacket
)

const (
	stunHeader  = 20
	stunCookie  = 0x2112a442
	dtlsHeader  = 13
	rtpHeader   = 12
	rtcpHeader  = 8
	firstDTLS   = 20
	lastDTLS    = 63
	firstRTP    = 128
	lastRTP     = 191
	firstRTCPPT = 192 // with the marker bit: payload types 64–95 of RFC 5761, section 4
	lastRTCPPT  = 223
)

// classify tells what a datagram claims to be by its first bytes (RFC 7983, section 7; RFC 5761, section 4). What is too
// short for the fixed header of its kind is unknown, so that the code behind it may read that header unchecked.
func classify(packet []byte) kind {
	if len(packet) == 0 {
		return unknown
	}
	switch first := packet[0]; {
	case first < 4:
		if len(packet) >= stunHeader && binary.BigEndian.Uint32(packet[4:]) == stunCookie {
			return stunMessage
		}
	case first >= firstDTLS && first <= lastDTLS:
		if len(packet) >= dtlsHeader {
			return dtlsRecord
		}
	case first >= firstRTP && first <= lastRTP:
		if len(packet) >= rtcpHeader && packet[1] >= firstRTCPPT && packet[1] <= lastRTCPPT {
			return rtcpPacket
		}
		if len(packet) >= rtpHeader {
			return rtpPacket
		}
	}
	return unknown
}
