package srtp

import (
	"crypto/subtle"
	"encoding/binary"

	"rotunda/services/media/rtp"
)

// maxIndex is the last index of RTP: 32 bits of rollover counter and 16 of sequence number.
const maxIndex = 1<<48 - 1

// ProtectRTP appends the protected form of packet to dst. In place: dst is packet[:0], with [Context.Overhead] bytes of
// capacity behind the packet; otherwise the two must not overlap.
func (c *Context) ProtectRTP(dst, packet []byte) ([]byte, error) {
	head, err := rtp.Size(packet)
	if err != nil {
		return dst, ErrMalformed
	}
	ssrc := binary.BigEndian.Uint32(packet[8:])
	s := c.find(ssrc)
	if s == nil {
		if s, err = c.add(ssrc); err != nil {
			return dst, err
		}
	}
	index, ok := s.rtp.guess(binary.BigEndian.Uint16(packet[2:]))
	if !ok || !c.repeats && !s.rtp.fresh(index) {
		return dst, ErrRepeat
	}
	if index > maxIndex {
		return dst, ErrExhausted
	}
	s.rtp.use(index)

	all, out := extend(dst, packet, c.suite.tag)
	if &out[0] != &packet[0] {
		copy(out[:head], packet[:head])
	}
	n := len(packet)
	iv := c.vector(&c.rtp, ssrc, index)
	if c.rtp.aead != nil {
		c.rtp.aead.Seal(out[head:head], iv, packet[head:], out[:head])
		return all, nil
	}
	c.rtp.ctr.xor(out[head:n], packet[head:], &c.iv, &c.tail)
	// The rollover counter is authenticated after the packet and not sent; the tag takes its place.
	binary.BigEndian.PutUint32(out[n:n+4], uint32(index>>16))
	copy(out[n:], c.authenticate(&c.rtp, out[:n+4]))
	return all, nil
}

// UnprotectRTP checks and decrypts a packet in place and returns its plain form, a part of packet. After an error the
// packet's bytes are undefined.
func (c *Context) UnprotectRTP(packet []byte) ([]byte, error) {
	head, err := rtp.Size(packet)
	n := len(packet) - c.suite.tag
	if err != nil || head > n {
		return nil, ErrMalformed
	}
	ssrc := binary.BigEndian.Uint32(packet[8:])
	sequence := binary.BigEndian.Uint16(packet[2:])
	var index uint64
	s := c.find(ssrc)
	if s != nil {
		ok := false
		if index, ok = s.rtp.guess(sequence); !ok || !s.rtp.fresh(index) {
			return nil, ErrReplay
		}
		if index > maxIndex {
			return nil, ErrExhausted
		}
	} else if len(c.sources) >= MaxSources {
		return nil, ErrSources
	}

	if s == nil {
		if index, err = c.first(packet, head, ssrc, sequence); err != nil {
			return nil, err
		}
		if s, err = c.add(ssrc); err != nil {
			return nil, err
		}
	} else if !c.open(packet, head, ssrc, index) {
		return nil, ErrAuthentication
	}
	s.rtp.use(index)
	return packet[:n], nil
}

// open checks and decrypts a packet of an index in place. After a failure the packet's bytes are undefined.
func (c *Context) open(packet []byte, head int, ssrc uint32, index uint64) bool {
	iv := c.vector(&c.rtp, ssrc, index)
	if c.rtp.aead != nil {
		_, err := c.rtp.aead.Open(packet[head:head], iv, packet[head:], packet[:head])
		return err == nil
	}
	n := len(packet) - c.suite.tag
	tag := c.tag[:copy(c.tag[:], packet[n:])]
	binary.BigEndian.PutUint32(packet[n:], uint32(index>>16))
	if subtle.ConstantTimeCompare(c.authenticate(&c.rtp, packet[:n+4]), tag) != 1 {
		return false
	}
	c.rtp.ctr.xor(packet[head:n], packet[head:n], &c.iv, &c.tail)
	return true
}

const (
	// MaxRollovers is how many times a source's sequence numbers may have begun anew before its first packet came here: 90 hours of sound, 18
	// of pictures. A far end does not begin its stream anew when a media worker takes the place of one that died, and nothing in a packet
	// says its rollover counter.
	MaxRollovers = 255
	// maxTries bounds what packets of strangers cost: 30 ms in the life of a context.
	maxTries = 1 << 14
)

// first opens the first packet of a source and returns its index.
func (c *Context) first(packet []byte, head int, ssrc uint32, sequence uint16) (uint64, error) {
	c.whole = append(c.whole[:0], packet...)
	for rollovers := range uint64(MaxRollovers + 1) {
		if rollovers > 0 {
			if c.tries++; c.tries > maxTries {
				break
			}
			copy(packet, c.whole)
		}
		if index := rollovers<<16 | uint64(sequence); c.open(packet, head, ssrc, index) {
			return index, nil
		}
	}
	return 0, ErrAuthentication
}
