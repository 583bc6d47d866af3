package stream

import (
	"fmt"

	"rotunda/services/media/control"
)

// Packet is one RTP payload, described once for all who will send it on.
type Packet struct {
	// Sequence is the group sequence: the sequence number that the producer gave it, unwrapped.
	Sequence  int64
	Timestamp uint32
	Marker    bool
	Payload   []byte

	// What Describe finds out.

	// Start says that a frame begins here, Key that it needs no frame before it: a Sender may begin with it.
	Start, Key bool
	// Layer is 0 for what every receiver needs; frames of a higher layer may be left out from there up.
	Layer uint8
	// Sync says that a receiver without this layer so far may begin to take it here.
	Sync bool

	parameters    bool // holds an H.264 sequence parameter set
	width, height int  // of the key frame of VP8 or VP9 that begins here, 0 where it does not say
	// The part of the payload that a Sender writes itself: the VP8 descriptor or the beginning of VP9's. Body is the rest.
	prefix    prefix
	body      []byte
	picture   uint16 // as it came: 7 or 15 bits
	pictures  uint16 // mask of picture's bits, 0 for none
	baseLayer uint8  // TL0PICIDX
}

// prefix is a payload descriptor in our own form: the picture ID always has 15 bits, so that streams with short and long
// ones can follow each other. The picture ID is at byte picture, TL0PICIDX at byte 4.
type prefix struct {
	data    [6]byte
	length  uint8
	picture uint8 // where the picture ID is, 0 for nowhere
	base    bool  // TL0PICIDX is there
}

const baseAt = 4

// malformed says what cannot be parsed. It is a constant behind an interface: a flood of such packets allocates nothing.
type malformed string

func (m malformed) Error() string { return "malformed " + string(m) }

// MaxPayload bounds a payload: what does not fit into an Ethernet packet is not forwarded.
const MaxPayload = 1500

// Describe parses the payload as far as a Sender needs it. The payload must stay as it is until the packet is published.
func (p *Packet) Describe(codec string) error {
	if len(p.Payload) == 0 || len(p.Payload) > MaxPayload {
		return fmt.Errorf("payload of %d bytes: want 1 to %d", len(p.Payload), MaxPayload)
	}
	p.Start, p.Key, p.Layer, p.Sync, p.parameters = false, false, 0, false, false
	p.prefix, p.body, p.pictures = prefix{}, p.Payload, 0
	p.width, p.height = 0, 0
	switch codec {
	case control.H264:
		return p.describeH264()
	case control.VP8:
		return p.describeVP8()
	case control.VP9:
		return p.describeVP9()
	}
	return fmt.Errorf("codec %q has no packets here", codec)
}

func (p *Packet) describeH264() error {
	b := p.Payload
	switch kind := b[0] & 0x1f; {
	case kind == nalSTAPA:
		disposable := true
		for rest := b[1:]; len(rest) > 2; {
			n := int(rest[0])<<8 | int(rest[1])
			if n == 0 || n > len(rest)-2 {
				return malformed("STAP-A")
			}
			p.noteNAL(rest[2], rest[3:2+n])
			disposable = disposable && rest[2]&0x60 == 0
			rest = rest[2+n:]
		}
		p.dispose(disposable)
	case kind == nalFUA:
		if len(b) < 3 {
			return malformed("FU-A")
		}
		header := b[0]&0xe0 | b[1]&0x1f
		if b[1]&0x80 != 0 {
			p.noteNAL(header, b[2:])
		}
		p.dispose(b[0]&0x60 == 0)
	case kind >= 1 && kind <= 23:
		p.noteNAL(b[0], b[1:])
		p.dispose(b[0]&0x60 == 0)
	default:
		return malformed("NAL unit type")
	}
	return nil
}

// noteNAL looks at the beginning of a NAL unit.
func (p *Packet) noteNAL(header byte, rest []byte) {
	switch header & 0x1f {
	case nalSPS:
		p.Start, p.Key, p.parameters = true, true, true
	case nalIDR:
		// first_mb_in_slice is 0, which is the single bit 1, in the first slice of a picture.
		if len(rest) > 0 && rest[0]&0x80 != 0 {
			p.Start, p.Key = true, true
		}
	case nalSlice, nalAUD:
		if header&0x1f == nalAUD || len(rest) > 0 && rest[0]&0x80 != 0 {
			p.Start = true
		}
	}
}

// dispose puts what no other picture refers to (nal_ref_idc 0) into a layer that may be left out.
func (p *Packet) dispose(disposable bool) {
	if disposable && !p.Key {
		p.Layer, p.Sync = 1, true
	}
}

func (p *Packet) describeVP8() error {
	var d vp8Descriptor
	body, err := d.parse(p.Payload)
	if err != nil {
		return err
	}
	p.body = body
	p.Start = d.start && d.partition == 0
	p.Key = p.Start && len(body) > 0 && body[0]&1 == 0
	if p.Key {
		p.width, p.height, _ = vp8FrameSize(body)
	}
	p.Layer, p.Sync = d.layer, d.sync
	p.picture, p.pictures, p.baseLayer = d.picture, d.pictures, d.base
	p.prefix = d.prefix()
	return nil
}

func (p *Packet) describeVP9() error {
	var d vp9Descriptor
	frame, err := d.parse(p.Payload)
	if err != nil {
		return err
	}
	if p.Start = d.start && d.spatial == 0; p.Start {
		// The descriptor's P bit does not tell: some senders never set it, and it is clear for intra-only frames too.
		p.width, p.height, p.Key = vp9FrameSize(frame)
		// With spatial layers the descriptor knows the largest, and the frame its own.
		p.width, p.height = max(p.width, d.width), max(p.height, d.height)
	}
	p.Layer, p.Sync = d.temporal, d.switching
	p.picture, p.pictures, p.baseLayer = d.picture, d.pictures, d.base
	p.prefix, p.body = d.prefix(p.Payload)
	return nil
}
