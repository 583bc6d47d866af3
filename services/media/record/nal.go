package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// NAL unit types of ISO/IEC 14496-10, table 7-1, that samples are made of. The others do not belong into a file
// (delimiters, filler) or are layers of scalable video above the base layer.
const (
	nalSlice = 1 // to 4
	nalIDR   = 5
	nalSEI   = 6
	nalSPS   = 7
	nalPPS   = 8
)

// maxUnit bounds an access unit; a key frame of 1080p has some hundred kB.
const maxUnit = 1 << 20

// maxSets bounds the parameter sets of one kind that count at one time. The format has 32 sequence and 256 picture sets;
// encoders for live video use one or two.
const maxSets = 8

var startCode = []byte{0, 0, 1}

// splitUnit returns the first NAL unit of an Annex B byte stream, and what follows it.
func splitUnit(b []byte) (nal, rest []byte) {
	start := bytes.Index(b, startCode)
	if start < 0 {
		return nil, nil
	}
	b = b[start+3:]
	if end := bytes.Index(b, startCode); end >= 0 {
		b, rest = b[:end], b[end:]
	}
	return bytes.TrimRight(b, "\x00"), rest
}

// parameters are the parameter sets of a stretch of video, and what follows from them.
type parameters struct {
	sps, pps      [][]byte
	width, height int
	// record is the AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
	record []byte
}

// pictures turns access units of Annex B into samples: NAL units behind 32-bit lengths, parameter sets apart.
type pictures struct {
	// current is what the samples of now are decoded with; nil before the first key frame.
	current *parameters
	// waiting for a key frame; samples before it are of no use.
	waiting bool
	// asked is the timestamp at which a key frame was asked for last.
	asked    time.Duration
	hasAsked bool
	sps, pps [][]byte // of the unit at hand
}

// add appends the sample of a unit to dst, which it returns as it was if there is nothing to keep.
func (p *pictures) add(dst, unit []byte, key bool) (out []byte, isKey bool) {
	if len(unit) > maxUnit {
		p.wait()
		return dst, false
	}
	out = dst
	p.sps, p.pps = p.sps[:0], p.pps[:0]
	for rest := unit; ; {
		var nal []byte
		nal, rest = splitUnit(rest)
		if len(nal) > 0 {
			switch nal[0] & 31 {
			case nalSPS:
				if len(p.sps) < maxSets {
					p.sps = append(p.sps, nal)
				}
			case nalPPS:
				if len(p.pps) < maxSets {
					p.pps = append(p.pps, nal)
				}
			case nalIDR:
				key = true
				out = appendUnit(out, nal)
			case nalSlice, nalSlice + 1, nalSlice + 2, nalSlice + 3, nalSEI:
				out = appendUnit(out, nal)
			}
		}
		if rest == nil {
			break
		}
	}
	if len(out)-len(dst) > maxUnit {
		p.wait() // lengths of units of one byte took more room than their start codes
		return dst, false
	}
	if len(out) == len(dst) {
		p.keepSets() // parameter sets that travel alone, ahead of their key frame
		return dst, false
	}
	if key {
		p.keepSets()
		p.waiting = p.current == nil
	}
	if p.waiting {
		return dst, false
	}
	if !key && p.news() {
		// New parameter sets between key frames: a sample entry cannot change here, so they stay where they are.
		out = dst
		for _, set := range p.sps {
			out = appendUnit(out, set)
		}
		for _, set := range p.pps {
			out = appendUnit(out, set)
		}
		for rest := unit; rest != nil; {
			var nal []byte
			if nal, rest = splitUnit(rest); len(nal) > 0 && nal[0]&31 < nalSPS {
				out = appendUnit(out, nal)
			}
		}
	}
	return out, key
}

// wantKey reports whether a key frame is to be asked for, at most once a second of media.
func (p *pictures) wantKey(timestamp time.Duration) bool {
	if !p.waiting || p.hasAsked && timestamp-p.asked < time.Second {
		return false
	}
	p.asked, p.hasAsked = timestamp, true
	return true
}

// wait drops all samples until the next key frame.
func (p *pictures) wait() { p.waiting, p.hasAsked = true, false }

func appendUnit(dst, nal []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(nal)))
	return append(dst, nal...)
}

// news reports whether the unit at hand has parameter sets that are not the current ones.
func (p *pictures) news() bool {
	if p.current == nil {
		return len(p.sps) > 0
	}
	known := func(sets, of [][]byte) bool {
		for _, set := range sets {
			if !slices.ContainsFunc(of, func(b []byte) bool { return bytes.Equal(b, set) }) {
				return false
			}
		}
		return true
	}
	return !known(p.sps, p.current.sps) || !known(p.pps, p.current.pps)
}

// keepSets makes the sets of the unit at hand the current ones. Sets that cannot be read are passed over.
func (p *pictures) keepSets() {
	if !p.news() {
		return
	}
	sps, pps := p.sps, p.pps
	if p.current != nil {
		if len(sps) == 0 {
			sps = p.current.sps
		}
		if len(pps) == 0 {
			pps = p.current.pps
		}
	}
	if len(sps) == 0 || len(pps) == 0 {
		return
	}
	if next, err := newParameters(sps, pps); err == nil {
		p.current = next
	}
}

var errParameters = errors.New("malformed sequence parameter set")

// newParameters copies the sets.
func newParameters(sps, pps [][]byte) (*parameters, error) {
	info, err := parseSPS(sps[0])
	if err != nil {
		return nil, err
	}
	p := &parameters{width: info.width, height: info.height}
	b := []byte{1, sps[0][1], sps[0][2], sps[0][3], 0xff, 0xe0 | byte(len(sps))}
	appendSet := func(set []byte) []byte {
		b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
		return append(b, set...)
	}
	for _, set := range sps {
		if len(set) > maxSetSize {
			return nil, errParameters
		}
		b = appendSet(set)
		p.sps = append(p.sps, bytes.Clone(set))
	}
	b = append(b, byte(len(pps)))
	for _, set := range pps {
		if len(set) > maxSetSize {
			return nil, errParameters
		}
		b = appendSet(set)
		p.pps = append(p.pps, bytes.Clone(set))
	}
	if hasChroma(sps[0][1]) {
		b = append(b, 0xfc|byte(info.chroma), 0xf8|byte(info.lumaDepth), 0xf8|byte(info.chromaDepth), 0)
	}
	p.record = b
	return p, nil
}

// maxSetSize bounds a parameter set: with all scaling lists and VUI some 300 bytes.
const maxSetSize = 1024
