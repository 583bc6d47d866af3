package stream

import (
	"bytes"
	"errors"
	"fmt"

	"rotunda/services/media/control"
)

// ErrSliceTooLarge says that a NAL unit does not fit into a packet of packetization mode 0.
var ErrSliceTooLarge = errors.New("NAL unit larger than a packet in packetization mode 0")

// PayloadSize returns the largest RTP payload for a UDP payload of mtu bytes: less the header with its extensions
// ([Sender.HeaderSize]), the SRTP tag (16 bytes at most, RFC 7714), the RTX number and the VP8 descriptor's growth.
func PayloadSize(mtu, header int) int {
	return min(max(mtu-header-16-osnSize, 200), MaxPayload-64)
}

// Packetizer splits encoded frames into RTP payloads. Its buffers are used again by the next call.
type Packetizer struct {
	codec   string
	size    int
	mode    int
	buffer  []byte
	nals    [][]byte
	out     [][]byte
	picture uint16
}

// NewPacketizer returns a Packetizer for payloads of at most size bytes. Mode is H.264's packetization mode.
func NewPacketizer(codec string, size, mode int) (*Packetizer, error) {
	switch {
	case codec != control.H264 && codec != control.VP8:
		return nil, fmt.Errorf("packetize codec %q: want H264 or VP8", codec)
	case size < 100 || size > MaxPayload:
		return nil, fmt.Errorf("packetize into %d bytes: want 100 to %d", size, MaxPayload)
	case mode != 0 && mode != 1:
		return nil, fmt.Errorf("packetization mode %d: want 0 or 1", mode)
	}
	return &Packetizer{codec: codec, size: size, mode: mode}, nil
}

// Split returns the payloads of one frame: an H.264 access unit in Annex B, or a VP8 frame. They are valid until the next call.
func (p *Packetizer) Split(frame []byte) ([][]byte, error) {
	if len(frame) > MaxUnit {
		return nil, errUnitTooLarge
	}
	// Each payload has its own copy of the frame's bytes with a few before them; twice the frame is always enough.
	p.out, p.buffer = p.out[:0], p.buffer[:0]
	if need := 2*len(frame) + 1024; cap(p.buffer) < need {
		p.buffer = make([]byte, 0, need)
	}
	if p.codec == control.VP8 {
		return p.splitVP8(frame)
	}
	return p.splitH264(frame)
}

// cut makes a payload of some bytes and the part of the frame behind them.
func (p *Packetizer) cut(body []byte, head ...byte) {
	at := len(p.buffer)
	p.buffer = append(append(p.buffer, head...), body...)
	p.out = append(p.out, p.buffer[at:len(p.buffer):len(p.buffer)])
}

// splitVP8 makes equal payloads: a segmented send needs equal sizes, and a short last one is the same work as a long one.
func (p *Packetizer) splitVP8(frame []byte) ([][]byte, error) {
	if len(frame) == 0 {
		return nil, malformed("VP8 frame: it is empty")
	}
	p.picture = (p.picture + 1) & 0x7fff
	high, low := 0x80|byte(p.picture>>8), byte(p.picture)
	start := byte(0x10)
	for part := equal(len(frame), p.size-4); len(frame) > 0; start = 0 {
		n := min(part, len(frame))
		p.cut(frame[:n], 0x80|start, 0x80, high, low)
		frame = frame[n:]
	}
	return p.out, nil
}

// equal returns the size of the parts when total is split into as few equal parts as possible; the last may be shorter.
func equal(total, largest int) int {
	parts := (total + largest - 1) / largest
	return (total + parts - 1) / parts
}

// splitH264 makes one packet of each run of small NAL units (STAP-A), and equal fragments (FU-A) of each large one.
func (p *Packetizer) splitH264(unit []byte) ([][]byte, error) {
	p.nals = splitAnnexB(p.nals[:0], unit)
	if len(p.nals) == 0 {
		return nil, malformed("H.264 access unit: no NAL unit")
	}
	for i := 0; i < len(p.nals); {
		nal := p.nals[i]
		if len(nal) > p.size {
			if p.mode == 0 {
				return nil, fmt.Errorf("%d bytes: %w", len(nal), ErrSliceTooLarge)
			}
			rest := nal[1:]
			start := byte(0x80)
			for part := equal(len(rest), p.size-2); len(rest) > 0; start = 0 {
				n := min(part, len(rest))
				end := byte(0)
				if n == len(rest) {
					end = 0x40
				}
				p.cut(rest[:n], nal[0]&0xe0|nalFUA, start|end|nal[0]&0x1f)
				rest = rest[n:]
			}
			i++
			continue
		}
		run, size := 1, 1+2+len(nal)
		if p.mode == 1 {
			for i+run < len(p.nals) && size+2+len(p.nals[i+run]) <= p.size {
				size += 2 + len(p.nals[i+run])
				run++
			}
		}
		if run == 1 {
			p.cut(nal)
		} else {
			p.aggregate(p.nals[i : i+run])
		}
		i += run
	}
	return p.out, nil
}

// aggregate makes a STAP-A. Its nal_ref_idc is the largest of its units.
func (p *Packetizer) aggregate(nals [][]byte) {
	at := len(p.buffer)
	p.buffer = append(p.buffer, nalSTAPA)
	for _, nal := range nals {
		p.buffer[at] = max(p.buffer[at]&0x60, nal[0]&0x60) | nalSTAPA
		p.buffer = append(p.buffer, byte(len(nal)>>8), byte(len(nal)))
		p.buffer = append(p.buffer, nal...)
	}
	p.out = append(p.out, p.buffer[at:len(p.buffer):len(p.buffer)])
}

var shortStartCode = []byte{0, 0, 1}

// splitAnnexB appends the NAL units of an access unit, without start codes and the zeros around them.
func splitAnnexB(nals [][]byte, unit []byte) [][]byte {
	i := bytes.Index(unit, shortStartCode)
	for i >= 0 {
		unit = unit[i+3:]
		i = bytes.Index(unit, shortStartCode)
		nal := unit
		if i >= 0 {
			nal = unit[:i]
		}
		// A NAL unit ends with a one bit: zeros are the next start code's or padding (7.4.1).
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 {
			nals = append(nals, nal)
		}
	}
	return nals
}
