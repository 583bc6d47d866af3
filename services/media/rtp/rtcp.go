package rtp

import (
	"encoding/binary"
	"errors"
)

// Kind is what an RTCP packet is, its type and format in one.
type Kind uint8

// The kinds that are read. What is none of them is OtherRTCP.
const (
	OtherRTCP Kind = iota
	SenderReport
	ReceiverReport
	SourceDescription
	Goodbye
	Application
	NACK  // generic NACK, RFC 4585
	PLI   // picture loss indication, RFC 4585
	FIR   // full intra request, RFC 5104
	TMMBR // RFC 5104
	TMMBN
	REMB      // draft-alvestrand-rmcat-remb
	Transport // transport-wide congestion feedback, draft-holmer-rmcat-transport-wide-cc-extensions
)

// Packet types (IANA) and feedback formats.
const (
	typeSR, typeRR, typeSDES, typeBYE, typeAPP = 200, 201, 202, 203, 204
	typeRTPFB, typePSFB                        = 205, 206

	formatNACK, formatTMMBR, formatTMMBN, formatTransport = 1, 3, 4, 15
	formatPLI, formatFIR, formatAFB                       = 1, 4, 15

	itemCNAME = 1
)

var (
	errRTCPShort   = errors.New("walk RTCP: packet is too short")
	errRTCPVersion = errors.New("walk RTCP: version is not 2")
	errRTCPLength  = errors.New("walk RTCP: length is beyond the compound packet")
	errRTCPPadding = errors.New("walk RTCP: bad padding")
	errRTCPBody    = errors.New("walk RTCP: body does not hold what it announces")
)

// Compound walks over the packets of a compound RTCP packet, or of a reduced-size one (RFC 5506):
//
//	c := rtp.Walk(packet)
//	for c.Next() {
//		switch c.Kind {
//		case rtp.NACK:
//			for i := range c.Entries { first, mask := c.Lost(i) … }
//		}
//	}
//
// Next has checked lengths, so that the methods for a kind are safe for 0 ≤ i < Entries. They must not be called for
// another kind.
type Compound struct {
	// Kind of the current packet.
	Kind Kind
	// Sender is the SSRC of who sent it; of a Goodbye or SourceDescription the first one that it is about, or 0.
	Sender uint32
	// Media is the SSRC that feedback is about; 0 where the entries name it.
	Media uint32
	// Entries is the number of reports, chunks, leaving sources, NACK pairs, requests or limits.
	Entries int

	body []byte // behind the first four bytes, without padding
	rest []byte
	err  error
}

// Walk begins a walk.
func Walk(packet []byte) Compound { return Compound{rest: packet} }

// Err returns why the walk ended early. What Next gave before is good.
func (c *Compound) Err() error { return c.err }

// Next goes on to the next packet.
func (c *Compound) Next() bool {
	if len(c.rest) == 0 || c.err != nil {
		return false
	}
	c.err = c.take()
	return c.err == nil
}

func (c *Compound) take() error {
	if len(c.rest) < 4 {
		return errRTCPShort
	}
	first, kind := c.rest[0], c.rest[1]
	if first>>6 != version {
		return errRTCPVersion
	}
	end := 4 + 4*int(binary.BigEndian.Uint16(c.rest[2:]))
	if end > len(c.rest) {
		return errRTCPLength
	}
	c.body, c.rest = c.rest[4:end], c.rest[end:]
	if first&0x20 != 0 {
		// RFC 3550 section 6.4.1 wants only the last packet padded, and in whole words. Transport-wide feedback is padded
		// wherever it stands, with one to three bytes.
		n := 0
		if len(c.body) > 0 {
			n = int(c.body[len(c.body)-1])
		}
		if n == 0 || n > len(c.body) {
			return errRTCPPadding
		}
		c.body = c.body[:len(c.body)-n]
	}
	c.Kind, c.Sender, c.Media, c.Entries = OtherRTCP, 0, 0, 0
	if len(c.body) >= 4 {
		c.Sender = binary.BigEndian.Uint32(c.body)
	}
	count := int(first & 0x1F)
	ok := true
	switch kind {
	case typeSR:
		c.Kind, c.Entries = SenderReport, count
		ok = len(c.body) >= 24+24*count
	case typeRR:
		c.Kind, c.Entries = ReceiverReport, count
		ok = len(c.body) >= 4+24*count
	case typeSDES:
		c.Kind, c.Entries = SourceDescription, count
		ok = c.holdsChunks(count)
	case typeBYE:
		c.Kind, c.Entries = Goodbye, count
		ok = len(c.body) >= 4*count
	case typeAPP:
		c.Kind = Application
		ok = len(c.body) >= 8
	case typeRTPFB, typePSFB:
		ok = c.feedback(kind, count)
	}
	if !ok {
		return errRTCPBody
	}
	return nil
}

// feedback reads the common part of feedback packets, RFC 4585 section 6.1.
func (c *Compound) feedback(kind byte, format int) bool {
	if len(c.body) < 8 {
		return false
	}
	c.Media = binary.BigEndian.Uint32(c.body[4:])
	n := len(c.body) - 8
	if kind == typeRTPFB {
		switch format {
		case formatNACK:
			c.Kind, c.Entries = NACK, n/4
		case formatTMMBR:
			c.Kind, c.Entries = TMMBR, n/8
		case formatTMMBN:
			c.Kind, c.Entries = TMMBN, n/8
		case formatTransport:
			c.Kind = Transport
			return n >= 8
		}
		return true
	}
	switch format {
	case formatPLI:
		c.Kind = PLI
	case formatFIR:
		c.Kind, c.Entries = FIR, n/8
	case formatAFB:
		if n >= 8 && string(c.body[8:12]) == "REMB" {
			c.Kind, c.Entries = REMB, int(c.body[12])
			return n >= 8+4*c.Entries
		}
	}
	return true
}

// Report is one report block: what its sender has received of SSRC.
type Report struct {
	SSRC uint32
	// Fraction of packets lost since the last report, in 1/256; Lost is the sum, which duplicates can make negative.
	Fraction uint8
	Lost     int32
	// Highest sequence number, with the count of wraps in the upper half.
	Highest uint32
	// Jitter in units of the stream's clock.
	Jitter uint32
	// LastSR is the middle of the NTP stamp of the last sender report, 0 for none; Delay since it came, in 1/65536 s.
	LastSR, Delay uint32
}

// SenderInfo is the sender's part of a sender report.
type SenderInfo struct {
	NTP     uint64
	RTP     uint32
	Packets uint32
	Octets  uint32
}

// SenderInfo returns the sender's part of a SenderReport.
func (c *Compound) SenderInfo() SenderInfo {
	return SenderInfo{
		NTP:     binary.BigEndian.Uint64(c.body[4:]),
		RTP:     binary.BigEndian.Uint32(c.body[12:]),
		Packets: binary.BigEndian.Uint32(c.body[16:]),
		Octets:  binary.BigEndian.Uint32(c.body[20:]),
	}
}

// Report returns report i of a SenderReport or ReceiverReport.
func (c *Compound) Report(i int) Report {
	b := c.body[4+24*i:]
	if c.Kind == SenderReport {
		b = b[20:]
	}
	word := binary.BigEndian.Uint32(b[4:])
	return Report{
		SSRC:     binary.BigEndian.Uint32(b),
		Fraction: uint8(word >> 24),
		Lost:     int32(word<<8) >> 8,
		Highest:  binary.BigEndian.Uint32(b[8:]),
		Jitter:   binary.BigEndian.Uint32(b[12:]),
		LastSR:   binary.BigEndian.Uint32(b[16:]),
		Delay:    binary.BigEndian.Uint32(b[20:]),
	}
}

// holdsChunks reports whether the body of a SourceDescription holds so many whole chunks.
func (c *Compound) holdsChunks(count int) bool {
	b := c.body
	for range count {
		if len(b) < 4 {
			return false
		}
		n, _ := chunkItems(b[4:])
		if n < 0 {
			return false
		}
		b = b[4+n:]
	}
	return true
}

// chunkItems returns the length of the items of one chunk with their padding, -1 if they do not end, and the CNAME.
func chunkItems(items []byte) (n int, cname []byte) {
	for n < len(items) {
		if items[n] == 0 {
			// One to four zeros up to the next word (RFC 3550 section 6.5).
			n = (n + 4) &^ 3
			if n > len(items) {
				return -1, nil
			}
			return n, cname
		}
		if n+2 > len(items) {
			return -1, nil
		}
		end := n + 2 + int(items[n+1])
		if end > len(items) {
			return -1, nil
		}
		if items[n] == itemCNAME {
			cname = items[n+2 : end : end]
		}
		n = end
	}
	return -1, nil
}

// Chunk returns the source and the canonical name of chunk i of a SourceDescription; the name is nil if it has none.
func (c *Compound) Chunk(i int) (ssrc uint32, cname []byte) {
	b := c.body
	for ; ; i-- {
		n, name := chunkItems(b[4:])
		if i == 0 {
			return binary.BigEndian.Uint32(b), name
		}
		b = b[4+n:]
	}
}

// Leaving returns source i of a Goodbye.
func (c *Compound) Leaving(i int) uint32 { return binary.BigEndian.Uint32(c.body[4*i:]) }

// Application returns name and data of an Application packet.
func (c *Compound) Application() (name, data []byte) { return c.body[4:8:8], c.body[8:] }

// Lost returns entry i of a NACK: the first sequence number, and a mask of the 16 that follow it, the lowest bit first.
func (c *Compound) Lost(i int) (first, mask uint16) {
	b := c.body[8+4*i:]
	return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
}

// IntraRequest returns entry i of a FIR: the source that shall send a key frame, and the number of the command; a repeat
// of the last number asks for nothing new.
func (c *Compound) IntraRequest(i int) (ssrc uint32, number uint8) {
	b := c.body[8+8*i:]
	return binary.BigEndian.Uint32(b), b[4]
}

// Limit returns entry i of a TMMBR or TMMBN: the source, the bits per second, and the bytes per packet that are counted on
// top of the RTP packet.
func (c *Compound) Limit(i int) (ssrc uint32, bitrate uint64, overhead int) {
	b := c.body[8+8*i:]
	word := binary.BigEndian.Uint32(b[4:])
	return binary.BigEndian.Uint32(b), scale(uint64(word>>9&0x1FFFF), word>>26), int(word & 0x1FF)
}

// MaximumBitrate returns the bits per second of a REMB. It is for all its sources together.
func (c *Compound) MaximumBitrate() uint64 {
	word := binary.BigEndian.Uint32(c.body[12:]) & 0xFFFFFF
	return scale(uint64(word&0x3FFFF), word>>18)
}

// Source returns source i of a REMB.
func (c *Compound) Source(i int) uint32 { return binary.BigEndian.Uint32(c.body[16+4*i:]) }

// scale returns mantissa·2^exponent, or the largest number if that is too large for 64 bits.
func scale(mantissa uint64, exponent uint32) uint64 {
	if mantissa>>(64-exponent) != 0 {
		return 1<<64 - 1
	}
	return mantissa << exponent
}
