package srtp

import (
	"crypto/subtle"
	"encoding/binary"
)

const (
	// headRTCP is what stays in the clear: the first header and the sender's SSRC.
	headRTCP = 8
	// trailerRTCP is the encryption flag and the index.
	trailerRTCP = 4
	encrypted   = 1 << 31
	// maxIndexRTCP is the last index that 31 bits hold.
	maxIndexRTCP = 1<<31 - 1
)

// OverheadRTCP is how many bytes protection adds to a compound RTCP packet.
func (c *Context) OverheadRTCP() int { return c.suite.tagRTCP + trailerRTCP }

// ProtectRTCP appends the protected form of a compound packet to dst; in place as with ProtectRTP. Counter mode puts flag
// and index before the tag (RFC 3711 section 3.4), GCM after it (RFC 7714 section 9.3).
func (c *Context) ProtectRTCP(dst, packet []byte) ([]byte, error) {
	if len(packet) < headRTCP || packet[0]>>6 != 2 {
		return dst, ErrMalformed
	}
	ssrc := binary.BigEndian.Uint32(packet[4:])
	s := c.find(ssrc)
	if s == nil {
		var err error
		if s, err = c.add(ssrc); err != nil {
			return dst, err
		}
	}
	// The first index is 0 under a new key: nothing has been sent with it.
	var index uint64
	if s.rtcp.started {
		index = s.rtcp.highest + 1
	}
	if index > maxIndexRTCP {
		return dst, ErrExhausted
	}
	s.rtcp.started, s.rtcp.highest = true, index
	word := uint32(index) | encrypted

	all, out := extend(dst, packet, c.OverheadRTCP())
	if &out[0] != &packet[0] {
		copy(out[:headRTCP], packet[:headRTCP])
	}
	n := len(packet)
	iv := c.vector(&c.rtcp, ssrc, index)
	if c.rtcp.aead != nil {
		c.rtcp.aead.Seal(out[headRTCP:headRTCP], iv, packet[headRTCP:], c.additional(out, word))
		binary.BigEndian.PutUint32(out[n+c.suite.tagRTCP:], word)
		return all, nil
	}
	c.rtcp.ctr.xor(out[headRTCP:n], packet[headRTCP:], &c.iv, &c.tail)
	binary.BigEndian.PutUint32(out[n:], word)
	copy(out[n+trailerRTCP:], c.authenticate(&c.rtcp, out[:n+trailerRTCP]))
	return all, nil
}

// additional returns what GCM authenticates without encrypting it: the head and the trailer.
func (c *Context) additional(packet []byte, word uint32) []byte {
	copy(c.extra[:headRTCP], packet)
	binary.BigEndian.PutUint32(c.extra[headRTCP:], word)
	return c.extra[:]
}

// UnprotectRTCP checks and decrypts a compound packet in place and returns its plain form, a part of packet. After an
// error the packet's bytes are undefined.
func (c *Context) UnprotectRTCP(packet []byte) ([]byte, error) {
	n := len(packet) - c.OverheadRTCP()
	if n < headRTCP || packet[0]>>6 != 2 {
		return nil, ErrMalformed
	}
	at := n
	if c.rtcp.aead != nil {
		at += c.suite.tagRTCP
	}
	word := binary.BigEndian.Uint32(packet[at:])
	if word&encrypted == 0 {
		return nil, ErrMalformed
	}
	index := uint64(word &^ encrypted)
	ssrc := binary.BigEndian.Uint32(packet[4:])
	s := c.find(ssrc)
	switch {
	case s != nil && !s.rtcp.fresh(index):
		return nil, ErrReplay
	case s == nil && len(c.sources) >= MaxSources:
		return nil, ErrSources
	}

	iv := c.vector(&c.rtcp, ssrc, index)
	if c.rtcp.aead != nil {
		if _, err := c.rtcp.aead.Open(packet[headRTCP:headRTCP], iv, packet[headRTCP:at], c.additional(packet, word)); err != nil {
			return nil, ErrAuthentication
		}
	} else {
		if subtle.ConstantTimeCompare(c.authenticate(&c.rtcp, packet[:n+trailerRTCP]), packet[n+trailerRTCP:]) != 1 {
			return nil, ErrAuthentication
		}
		c.rtcp.ctr.xor(packet[headRTCP:n], packet[headRTCP:n], &c.iv, &c.tail)
	}
	if s == nil {
		var err error
		if s, err = c.add(ssrc); err != nil {
			return nil, err
		}
	}
	s.rtcp.use(index)
	return packet[:n], nil
}
