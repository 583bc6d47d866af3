package rtp

import (
	"encoding/binary"
	"time"
)

// Extension returns the data of the extension with this id (RFC 8285), in either form, or nil. Of a parsed header it is
// part of the packet: who writes to it patches the packet, which is how a sender numbers packets at the last moment.
// The id 0 means "not negotiated" everywhere in this package, and finds nothing.
func (h *Header) Extension(id uint8) []byte {
	if id == 0 {
		return nil
	}
	if h.owned {
		for e := h.own[:h.used]; len(e) > 0; {
			n := 2 + int(e[1])
			if e[0] == id {
				return e[2:n:n]
			}
			e = e[n:]
		}
		return nil
	}
	e := extensions{profile: h.profile, rest: h.block}
	for e.next() {
		if e.id == id {
			return e.data
		}
	}
	return nil
}

// extensions walks over an extension block. It stops at the first thing that is not well formed; what came before counts.
type extensions struct {
	profile uint16
	rest    []byte
	id      uint8
	data    []byte
}

func (e *extensions) next() bool {
	switch {
	case e.profile == profileOneByte:
		for len(e.rest) > 0 {
			head := e.rest[0]
			if head == 0 { // padding
				e.rest = e.rest[1:]
				continue
			}
			// Section 4.2: id 15 ends the block, and what would follow is ignored.
			n := 2 + int(head&0x0F)
			if head>>4 == 15 || len(e.rest) < n {
				break
			}
			e.id, e.data, e.rest = head>>4, e.rest[1:n:n], e.rest[n:]
			// Id 0 with a length is no padding; it is skipped like an extension that nobody negotiated.
			if e.id == 0 {
				continue
			}
			return true
		}
	case e.profile&0xFFF0 == profileTwoByte:
		for len(e.rest) > 0 {
			if e.rest[0] == 0 {
				e.rest = e.rest[1:]
				continue
			}
			if len(e.rest) < 2 {
				break
			}
			n := 2 + int(e.rest[1])
			if len(e.rest) < n {
				break
			}
			e.id, e.data, e.rest = e.rest[0], e.rest[2:n:n], e.rest[n:]
			return true
		}
	}
	e.rest = nil
	return false
}

// ClearExtensions forgets all extensions, parsed or set, and the contributors: a packet that goes on to another leg has
// other ids there.
func (h *Header) ClearExtensions() {
	h.owned, h.used = true, 0
	h.contributors = nil
}

// SetExtension adds an extension, or replaces the one with the same id; those of a parsed header are kept. The data is
// copied. With id 0 nothing is done. There is room for 96 bytes in all, two of them per extension for its head.
func (h *Header) SetExtension(id uint8, data []byte) error {
	if id == 0 {
		return nil
	}
	if len(data) > 255 {
		return errExtension
	}
	if !h.owned {
		if err := h.adopt(); err != nil {
			return err
		}
	}
	for at := 0; at < h.used; {
		n := 2 + int(h.own[at+1])
		if h.own[at] == id {
			if int(h.own[at+1]) == len(data) {
				copy(h.own[at+2:], data)
				return nil
			}
			h.used = at + copy(h.own[at:], h.own[at+n:h.used])
			break
		}
		at += n
	}
	return h.add(id, data)
}

func (h *Header) add(id uint8, data []byte) error {
	if h.used+2+len(data) > len(h.own) {
		return errExtension
	}
	h.own[h.used], h.own[h.used+1] = id, uint8(len(data))
	h.used += 2 + copy(h.own[h.used+2:], data)
	return nil
}

// adopt copies the parsed extensions, so that they can be changed.
func (h *Header) adopt() error {
	h.owned, h.used = true, 0
	e := extensions{profile: h.profile, rest: h.block}
	for e.next() {
		if err := h.add(e.id, e.data); err != nil {
			return err
		}
	}
	return nil
}

func (h *Header) appendOwn(dst []byte) []byte {
	short := true
	for e := h.own[:h.used]; len(e) > 0; e = e[2+int(e[1]):] {
		if e[0] > 14 || e[1] == 0 || e[1] > 16 {
			short = false
		}
	}
	profile := uint16(profileTwoByte)
	if short {
		profile = profileOneByte
	}
	dst = binary.BigEndian.AppendUint16(dst, profile)
	at := len(dst)
	dst = append(dst, 0, 0)
	for e := h.own[:h.used]; len(e) > 0; {
		n := 2 + int(e[1])
		if short {
			dst = append(dst, e[0]<<4|(e[1]-1))
			dst = append(dst, e[2:n]...)
		} else {
			dst = append(dst, e[:n]...)
		}
		e = e[n:]
	}
	for (len(dst)-at-2)%4 != 0 {
		dst = append(dst, 0)
	}
	binary.BigEndian.PutUint16(dst[at:], uint16((len(dst)-at-2)/4))
	return dst
}

// UnknownLevel is what Level says when the packet carries none.
const UnknownLevel = 1

// Level returns the loudness of the packet in dBov, 0 loudest to -127 silence (RFC 6464), and whether its sender takes it
// for voice; [UnknownLevel] if the packet does not say.
func (h *Header) Level(id uint8) (dBov int8, voice bool) {
	e := h.Extension(id)
	if len(e) < 1 {
		return UnknownLevel, false
	}
	return -int8(e[0] & 0x7F), e[0]&0x80 != 0
}

// SetLevel writes the level, 0 to -127 dBov.
func (h *Header) SetLevel(id uint8, dBov int8, voice bool) error {
	level := min(max(-int(dBov), 0), 127)
	b := [1]byte{byte(level)}
	if voice {
		b[0] |= 0x80
	}
	return h.SetExtension(id, b[:])
}

// TransportSequence returns the number of the packet on its transport (draft-holmer-rmcat-transport-wide-cc-extensions-01).
func (h *Header) TransportSequence(id uint8) (number uint16, ok bool) {
	e := h.Extension(id)
	if len(e) < 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(e), true
}

// SetTransportSequence writes the number of the packet on its transport.
func (h *Header) SetTransportSequence(id uint8, number uint16) error {
	b := [2]byte{byte(number >> 8), byte(number)}
	return h.SetExtension(id, b[:])
}

// AbsoluteSendTime returns the 24 bits of the time of sending: 6 bits of seconds and 18 of a fraction, so that it wraps
// every 64 s.
func (h *Header) AbsoluteSendTime(id uint8) (fixed uint32, ok bool) {
	e := h.Extension(id)
	if len(e) < 3 {
		return 0, false
	}
	return uint32(e[0])<<16 | uint32(e[1])<<8 | uint32(e[2]), true
}

// SetAbsoluteSendTime writes the time of sending.
func (h *Header) SetAbsoluteSendTime(id uint8, now time.Time) error {
	fixed := NTP(now) >> 14
	b := [3]byte{byte(fixed >> 16), byte(fixed >> 8), byte(fixed)}
	return h.SetExtension(id, b[:])
}

// SetIdentification writes a MID (RFC 8843), RID or repaired RID (RFC 8852); they are read by [Header.Extension], and a
// comparison string(e) == mid does not allocate. A name is at most 16 bytes, so that the one-byte form holds it.
func (h *Header) SetIdentification(id uint8, name string) error {
	var b [16]byte
	if len(name) > len(b) {
		return errExtension
	}
	return h.SetExtension(id, b[:copy(b[:], name)])
}
