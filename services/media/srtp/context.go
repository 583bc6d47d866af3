// Package srtp owns the protection of RTP and RTCP packets: RFC 3711 with AES_CM_128_HMAC_SHA1_80 and _32, and RFC 7714
// with AEAD_AES_128_GCM and AEAD_AES_256_GCM. Keys come from SDP (RFC 4568) or from the DTLS exporter (RFC 5764).
//
// A [Context] serves one direction under one master key. It holds a few kilobytes a synchronisation source and allocates
// only when it meets a new one. Not supported, because it is never negotiated here: MKI, key derivation rates, SRTCP without
// encryption, and encrypted header extensions (RFC 6904).
//
// # Locking
//
// A Context is not safe for concurrent use: packets go through scratch space inside it, RTP and RTCP alike. Its owner
// holds a lock over each call (the send lock of an endpoint), or calls from one thread only (the network thread).
//
// # Invariants
//
// No key stream is used twice: an index that was protected once is refused a second time (see [Context.AllowRepeats]), and
// a context whose table of sources is full, or whose index space is used up, refuses packets rather than forget where it
// was. On the receiving side nothing of an unauthenticated packet changes the state. After a crash keys are gone, and new
// ones must be negotiated.
package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
)

// The errors of packets are values, without allocation: a flood of bad packets must cost little.
var (
	// ErrMalformed is a packet that cannot be what it should be.
	ErrMalformed = errors.New("packet is malformed")
	// ErrAuthentication is a packet whose tag is wrong: forged, damaged, or of another key.
	ErrAuthentication = errors.New("packet is not authentic")
	// ErrReplay is a packet that came before, or too late to tell.
	ErrReplay = errors.New("packet is a replay or too old")
	// ErrRepeat is a packet to send whose index was used before, or is too old to tell.
	ErrRepeat = errors.New("packet was protected before")
	// ErrSources is a packet of one source more than [MaxSources].
	ErrSources = errors.New("too many sources under one key")
	// ErrExhausted is a source that has used up its index: 2^48 RTP packets or 2^31 RTCP packets. New keys are needed.
	ErrExhausted = errors.New("key is used up")
)

// MaxSources bounds the synchronisation sources under one key. A leg with 25 slots and their retransmissions sends 50, a
// browser about ten and two more each time it shares its screen. A source that is forgotten could be replayed when it
// receives and would reuse key stream when it sends, so sources are never evicted.
const MaxSources = 256

// Context protects or unprotects the packets of one direction.
type Context struct {
	suite   *suite
	repeats bool

	rtp, rtcp session
	sources   map[uint32]*source
	// last spares the map for runs of packets of one source.
	last *source

	// whole keeps the first packet of a source while its rollover counter is looked for, tries counts how often one was tried.
	whole []byte
	tries int

	// Scratch, in here because arguments of interface calls would escape to the heap otherwise.
	iv    [16]byte
	extra [12]byte
	tag   [aes.BlockSize]byte
	sum   [sha1.Size]byte
	tail  [tailSize]byte
}

// session is what is derived from the master key for RTP or for RTCP.
type session struct {
	aead cipher.AEAD
	ctr  counterMode
	// mac is HMAC-SHA1. From its second Reset on, crypto/hmac keeps the state behind the key, which is what makes it cheap.
	mac  hash.Hash
	size int // of the tag
	salt [16]byte
}

// source is the state of one SSRC.
type source struct {
	ssrc      uint32
	rtp, rtcp window
}

// New returns a context for one of [Suites]. Key and salt must have the lengths of [Lengths].
func New(name string, key, salt []byte) (*Context, error) {
	s := suiteOf(name)
	if s == nil {
		return nil, fmt.Errorf("unknown SRTP suite %q", name)
	}
	if len(key) != s.key || len(salt) != s.salt {
		return nil, fmt.Errorf("%s with a key of %d and a salt of %d bytes: want %d and %d", name, len(key), len(salt), s.key, s.salt)
	}
	c := &Context{suite: s, sources: map[uint32]*source{}}
	if err := c.rtp.init(s, key, salt, labelRTP, s.tag); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := c.rtcp.init(s, key, salt, labelRTCP, s.tagRTCP); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// Suite returns the name of the suite in use.
func (c *Context) Suite() string { return c.suite.name }

// Overhead is how many bytes protection adds to an RTP packet.
func (c *Context) Overhead() int { return c.suite.tag }

// AllowRepeats lets a packet be protected twice, for answers to NACK without a retransmission stream. The caller vouches
// that each repeat equals the first packet byte by byte, header extensions included: two different packets under one
// index give away the key stream, and with GCM the authentication key.
func (c *Context) AllowRepeats() { c.repeats = true }

// Inherit continues the rollover counters of the context whose key this one replaces: re-keying does not restart them
// (RFC 3711 section 3.3.1). Replay lists start empty, since nothing was ever sent under the new key.
func (c *Context) Inherit(old *Context) {
	for ssrc, s := range old.sources {
		if s.rtp.started {
			c.sources[ssrc] = &source{ssrc: ssrc, rtp: window{started: true, highest: s.rtp.highest}}
		}
	}
}

// find returns the state of a source, or nil if it is new.
func (c *Context) find(ssrc uint32) *source {
	if c.last != nil && c.last.ssrc == ssrc {
		return c.last
	}
	s := c.sources[ssrc]
	if s != nil {
		c.last = s
	}
	return s
}

// add makes the state of a new source.
func (c *Context) add(ssrc uint32) (*source, error) {
	if len(c.sources) >= MaxSources {
		return nil, ErrSources
	}
	s := &source{ssrc: ssrc}
	c.sources[ssrc] = s
	c.last = s
	return s, nil
}

// vector writes the initial value of a packet into the scratch: for counter mode salt·2^16 ⊕ SSRC·2^64 ⊕ index·2^16 (RFC
// 3711 section 4.1.1), for GCM the same without the two bytes of block counter and shifted by two (RFC 7714 section 8.1).
func (c *Context) vector(s *session, ssrc uint32, index uint64) []byte {
	salt := &s.salt
	if s.aead != nil {
		iv := c.iv[:12]
		binary.BigEndian.PutUint32(iv[0:], binary.BigEndian.Uint32(salt[0:])^ssrc>>16)
		binary.BigEndian.PutUint64(iv[4:], binary.BigEndian.Uint64(salt[4:])^uint64(ssrc)<<48^index)
		return iv
	}
	binary.BigEndian.PutUint64(c.iv[0:], binary.BigEndian.Uint64(salt[0:])^uint64(ssrc))
	binary.BigEndian.PutUint64(c.iv[8:], binary.BigEndian.Uint64(salt[8:])^index<<16)
	return c.iv[:]
}

// authenticate returns the tag over data, valid until the next call.
func (c *Context) authenticate(s *session, data []byte) []byte {
	s.mac.Reset()
	s.mac.Write(data)
	return s.mac.Sum(c.sum[:0])[:s.size]
}

// extend makes room for n more bytes after the packet that is appended to dst. If packet lies where dst ends (in place),
// nothing is copied.
func extend(dst, packet []byte, n int) (all, out []byte) {
	at, total := len(dst), len(dst)+len(packet)+n
	if cap(dst) >= total {
		all = dst[:total]
	} else {
		all = make([]byte, total, total+64)
		copy(all, dst)
	}
	out = all[at:]
	return all, out
}
