// Package rtp owns what is between a decrypted datagram and a codec: the RTP header and its extensions (RFC 3550, 8285),
// the counters that wrap, reception statistics, RTCP (RFC 3550, 4585, 5104, REMB and transport-wide feedback), the decisions
// about lost packets, key frames and bandwidth, key tones (RFC 4733), and the limit against floods.
//
// Nothing here does input or output, starts a goroutine, reads a clock or locks: the present is an argument and the owner
// of a value guards it. So every decision can be replayed in a test. In steady state no call allocates; slices that are
// returned lie in the packet or in the caller's buffer, and are valid as long as that is.
//
// All packets are taken for hostile: lengths are checked before use, and every list that the far end can make longer has a
// bound. State lives in memory only; after a crash a stream starts as if it were new, which RTP allows at any packet.
package rtp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the length of a header without contributors and extensions.
const HeaderSize = 12

// version 2 in the two topmost bits of the first byte; RFC 3550 section 5.1.
const version = 2

// The profiles of RFC 8285 in the first half of the extension header: 0xBEDE, and 0x100 with four bits for the application.
const (
	profileOneByte = 0xBEDE
	profileTwoByte = 0x1000
)

// errors of Parse are values: a flood of bad packets must not allocate.
var (
	errShort     = errors.New("parse RTP header: packet is too short")
	errVersion   = errors.New("parse RTP header: version is not 2")
	errPadding   = errors.New("parse RTP header: padding is longer than the payload")
	errExtension = errors.New("extension does not fit into the header")
)

// Header is the header of one RTP packet. A Header may be reused for any number of packets.
type Header struct {
	Marker      bool
	PayloadType uint8
	Sequence    uint16
	Timestamp   uint32
	SSRC        uint32

	// contributors and block lie in the packet that was parsed; block is nil without extensions.
	contributors []byte
	profile      uint16
	block        []byte

	// own are the extensions that SetExtension made: id, length, data, as in the two-byte form. If owned, they replace block.
	owned bool
	used  int
	own   [maxExtensions]byte
	// contributor is the one that SetContributor made.
	contributor [4]byte
}

// maxExtensions bounds what SetExtension can hold: an identification (mid, rid, repaired rid) of 16 bytes each, level,
// send time and transport sequence come to 72 bytes with their heads.
const maxExtensions = 96

// Parse reads the header and returns the payload without its padding. Contributors and extensions stay in the packet.
// What was set before is forgotten.
func (h *Header) Parse(packet []byte) (payload []byte, err error) {
	if len(packet) < HeaderSize {
		return nil, errShort
	}
	first, second := packet[0], packet[1]
	if first>>6 != version {
		return nil, errVersion
	}
	n := HeaderSize + 4*int(first&0x0F)
	if len(packet) < n {
		return nil, errShort
	}
	h.Marker = second&0x80 != 0
	h.PayloadType = second & 0x7F
	h.Sequence = binary.BigEndian.Uint16(packet[2:])
	h.Timestamp = binary.BigEndian.Uint32(packet[4:])
	h.SSRC = binary.BigEndian.Uint32(packet[8:])
	h.contributors = packet[HeaderSize:n:n]
	h.profile, h.block, h.owned, h.used = 0, nil, false, 0
	if first&0x10 != 0 {
		if len(packet) < n+4 {
			return nil, errShort
		}
		h.profile = binary.BigEndian.Uint16(packet[n:])
		end := n + 4 + 4*int(binary.BigEndian.Uint16(packet[n+2:]))
		if len(packet) < end {
			return nil, errShort
		}
		h.block = packet[n+4 : end : end]
		n = end
	}
	payload = packet[n:]
	if first&0x20 != 0 {
		// The last byte counts itself, so 0 is as wrong as more than there is.
		if len(payload) == 0 {
			return nil, errPadding
		}
		padding := int(payload[len(payload)-1])
		if padding == 0 || padding > len(payload) {
			return nil, errPadding
		}
		payload = payload[:len(payload)-padding]
	}
	return payload, nil
}

// Size returns how many bytes the header of a packet takes, without looking at the payload; for those who must not touch
// what is still encrypted.
func Size(packet []byte) (int, error) {
	if len(packet) < HeaderSize {
		return 0, errShort
	}
	if packet[0]>>6 != version {
		return 0, errVersion
	}
	n := HeaderSize + 4*int(packet[0]&0x0F)
	if packet[0]&0x10 != 0 {
		if len(packet) < n+4 {
			return 0, errShort
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(packet[n+2:]))
	}
	if len(packet) < n {
		return 0, errShort
	}
	return n, nil
}

// IsRTCP tells RTCP from RTP on one port (RFC 5761 section 4): the packet types 192 to 223 are what payload types 64 to 95
// with the marker would be, and those are not used.
func IsRTCP(packet []byte) bool {
	return len(packet) >= 2 && packet[1] >= 192 && packet[1] <= 223
}

// Contributors returns the number of contributing sources, Contributor one of them.
func (h *Header) Contributors() int { return len(h.contributors) / 4 }

// Contributor returns the contributing source i, 0 ≤ i < Contributors.
func (h *Header) Contributor(i int) uint32 { return binary.BigEndian.Uint32(h.contributors[4*i:]) }

// SetContributor makes a source the only contributor: a mixer's word for who is heard in it (RFC 3550 section 7.1).
func (h *Header) SetContributor(id uint32) {
	binary.BigEndian.PutUint32(h.contributor[:], id)
	h.contributors = h.contributor[:]
}

// Append appends the header with its contributors and extensions to dst. Extensions that were set are written in the
// one-byte form where that holds them, since not every peer reads the other.
func (h *Header) Append(dst []byte) []byte {
	first := byte(version<<6) | byte(len(h.contributors)/4)
	extended := h.used > 0 || !h.owned && h.block != nil
	if extended {
		first |= 0x10
	}
	second := h.PayloadType & 0x7F
	if h.Marker {
		second |= 0x80
	}
	dst = append(dst, first, second)
	dst = binary.BigEndian.AppendUint16(dst, h.Sequence)
	dst = binary.BigEndian.AppendUint32(dst, h.Timestamp)
	dst = binary.BigEndian.AppendUint32(dst, h.SSRC)
	dst = append(dst, h.contributors...)
	switch {
	case !extended:
	case h.owned:
		dst = h.appendOwn(dst)
	default:
		dst = binary.BigEndian.AppendUint16(dst, h.profile)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.block)/4))
		dst = append(dst, h.block...)
	}
	return dst
}

// String is for logs and test failures.
func (h *Header) String() string {
	return fmt.Sprintf("ssrc %08x payload type %d sequence %d timestamp %d marker %t", h.SSRC, h.PayloadType, h.Sequence, h.Timestamp, h.Marker)
}
