package stream

import (
	"bytes"
	"fmt"
	"slices"
)

// NAL unit types of H.264 (table 7-1) and of RFC 6184 (table 1).
const (
	nalSlice = 1
	nalIDR   = 5
	nalSEI   = 6
	nalSPS   = 7
	nalPPS   = 8
	nalAUD   = 9
	nalSTAPA = 24
	nalFUA   = 28
)

var startCode = []byte{0, 0, 0, 1}

// Bounds of what is remembered of a stream's parameter sets. Real ones have 10 to 60 bytes; streams use one or two of each.
const (
	maxParameterSet  = 512
	maxParameterSets = 8
)

// parameterSets remembers the parameter sets of one H.264 stream, for pictures that come without them.
type parameterSets struct {
	sps, pps      [][]byte // by order of arrival; a set of the same ID replaces the older one
	width, height int
	profile       [3]byte
}

// note remembers a NAL unit if it is a parameter set, and says whether that was news.
func (s *parameterSets) note(nal []byte) bool {
	if len(nal) < 2 || len(nal) > maxParameterSet {
		return false
	}
	switch nal[0] & 0x1f {
	case nalSPS:
		info, err := ParseSPS(nal)
		if err != nil {
			return false
		}
		s.width, s.height, s.profile = info.Width, info.Height, info.Profile
		return remember(&s.sps, nal, spsID)
	case nalPPS:
		return remember(&s.pps, nal, ppsID)
	}
	return false
}

func (s *parameterSets) clone() parameterSets {
	c := *s
	c.sps, c.pps = slices.Clone(s.sps), slices.Clone(s.pps)
	for _, list := range [2][][]byte{c.sps, c.pps} {
		for i := range list {
			list[i] = bytes.Clone(list[i])
		}
	}
	return c
}

func spsID(nal []byte) uint32 {
	r := bitReader{data: nal[4:]}
	return r.golomb()
}

func ppsID(nal []byte) uint32 {
	r := bitReader{data: nal[1:]}
	return r.golomb()
}

// remember stores a copy of nal, in the place of the one with the same ID, and says whether that was news.
func remember(list *[][]byte, nal []byte, id func([]byte) uint32) bool {
	want := id(nal)
	for i, have := range *list {
		if id(have) != want {
			continue
		}
		if bytes.Equal(have, nal) {
			return false
		}
		(*list)[i] = append(have[:0], nal...)
		return true
	}
	if len(*list) == maxParameterSets {
		*list = (*list)[1:]
	}
	*list = append(*list, bytes.Clone(nal))
	return true
}

// known says whether there is at least one of each.
func (s *parameterSets) known() bool { return len(s.sps) > 0 && len(s.pps) > 0 }

// aggregate returns the sets as one STAP-A of at most limit bytes, nil when they are not known or too long.
func (s *parameterSets) aggregate(limit int) []byte {
	if !s.known() {
		return nil
	}
	out := []byte{nalSTAPA}
	for _, list := range [2][][]byte{s.sps, s.pps} {
		for _, nal := range list {
			out[0] |= nal[0] & 0x60
			out = append(out, byte(len(nal)>>8), byte(len(nal)))
			out = append(out, nal...)
		}
	}
	if len(out) > limit {
		return nil
	}
	return out
}

// notePayload remembers the parameter sets in a payload, and says whether there was news.
func (s *parameterSets) notePayload(b []byte) (news bool) {
	switch b[0] & 0x1f {
	case nalSPS, nalPPS:
		return s.note(b)
	case nalSTAPA:
		for rest := b[1:]; len(rest) > 2; {
			n := int(rest[0])<<8 | int(rest[1])
			if n == 0 || n > len(rest)-2 {
				break
			}
			news = s.note(rest[2:2+n]) || news
			rest = rest[2+n:]
		}
	}
	return news
}

// h264Depacketizer puts the packets of an access unit together (RFC 6184, modes 0 and 1).
type h264Depacketizer struct {
	sets       parameterSets
	fragment   bool // a FU-A has begun and not ended
	parameters bool // this access unit has its own parameter sets
	slices     int  // coded slices in this access unit
}

// begins says whether an access unit can begin with this payload, as far as one can know: H.264 does not number slices.
func (d *h264Depacketizer) begins(payload []byte) bool {
	p := Packet{Payload: payload}
	return p.describeH264() == nil && p.Start
}

func (d *h264Depacketizer) push(u *AccessUnit, b []byte) error {
	if len(b) < 2 {
		return malformed("H.264 payload")
	}
	kind := b[0] & 0x1f
	if d.fragment && kind != nalFUA {
		return malformed("FU-A: no end")
	}
	switch {
	case kind == nalSTAPA:
		for rest := b[1:]; len(rest) > 0; {
			if len(rest) < 3 {
				return malformed("STAP-A")
			}
			n := int(rest[0])<<8 | int(rest[1])
			if n == 0 || n > len(rest)-2 {
				return malformed("STAP-A")
			}
			if err := d.nal(u, rest[2], rest[2:2+n]); err != nil {
				return err
			}
			rest = rest[2+n:]
		}
		return nil
	case kind == nalFUA:
		if len(b) < 3 {
			return malformed("FU-A")
		}
		start, end := b[1]&0x80 != 0, b[1]&0x40 != 0
		if start == d.fragment {
			return malformed("FU-A: wrong start")
		}
		if start {
			header := [1]byte{b[0]&0xe0 | b[1]&0x1f}
			if err := d.nal(u, header[0], header[:]); err != nil {
				return err
			}
		}
		d.fragment = !end
		return u.write(b[2:])
	case kind >= 1 && kind <= 23:
		return d.nal(u, b[0], b)
	}
	return malformed("NAL unit type")
}

// nal writes a NAL unit, or the beginning of a fragmented one.
func (d *h264Depacketizer) nal(u *AccessUnit, header byte, data []byte) error {
	switch kind := header & 0x1f; kind {
	case nalSPS, nalPPS:
		d.sets.note(data)
		d.parameters = d.parameters || kind == nalSPS
	case nalIDR:
		u.Key = true
		if !d.parameters && d.slices == 0 {
			for _, list := range [2][][]byte{d.sets.sps, d.sets.pps} {
				for _, set := range list {
					if err := writeNAL(u, set); err != nil {
						return err
					}
				}
			}
		}
		d.slices++
	case nalSlice, 2:
		d.slices++
	case 0, nalSTAPA, 25, 26, 27, nalFUA, 29, 30, 31:
		return malformed("NAL unit type")
	}
	return writeNAL(u, data)
}

func writeNAL(u *AccessUnit, nal []byte) error {
	if err := u.write(startCode); err != nil {
		return err
	}
	return u.write(nal)
}

func (d *h264Depacketizer) finish(u *AccessUnit, whole bool) bool {
	ok := whole && !d.fragment && d.slices > 0
	d.fragment, d.parameters, d.slices = false, false, 0
	u.Width, u.Height = d.sets.width, d.sets.height
	return ok
}

// SPS is what a sequence parameter set tells of the pictures.
type SPS struct {
	// Profile is profile_idc, the constraint flags and level_idc, as in SDP's profile-level-id.
	Profile       [3]byte
	Width, Height int
}

// ParseSPS reads a sequence parameter set (H.264, 7.3.2.1.1), a NAL unit without a start code.
func ParseSPS(nal []byte) (SPS, error) {
	if len(nal) < 5 || nal[0]&0x1f != nalSPS {
		return SPS{}, malformed("SPS")
	}
	info := SPS{Profile: [3]byte(nal[1:4])}
	r := bitReader{data: nal[4:]}
	r.golomb() // seq_parameter_set_id
	chroma, separate := uint32(1), false
	switch nal[1] {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma = r.golomb()
		if chroma > 3 {
			return SPS{}, malformed("SPS: chroma_format_idc")
		}
		if chroma == 3 {
			separate = r.bit() == 1
		}
		r.golomb() // bit_depth_luma_minus8
		r.golomb() // bit_depth_chroma_minus8
		r.bit()    // qpprime_y_zero_transform_bypass_flag
		if r.bit() == 1 {
			lists := 8
			if chroma == 3 {
				lists = 12
			}
			for i := range lists {
				if r.bit() == 1 {
					r.scalingList(i)
				}
			}
		}
	}
	r.golomb() // log2_max_frame_num_minus4
	switch r.golomb() {
	case 0:
		r.golomb() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.bit()
		r.golomb()
		r.golomb()
		n := r.golomb()
		if n > 255 {
			return SPS{}, malformed("SPS: num_ref_frames_in_pic_order_cnt_cycle")
		}
		for range n {
			r.golomb()
		}
	}
	r.golomb() // max_num_ref_frames
	r.bit()    // gaps_in_frame_num_value_allowed_flag
	width := r.golomb() + 1
	height := r.golomb() + 1
	fields := uint32(1)
	if r.bit() == 0 { // frame_mbs_only_flag
		fields = 2
		r.bit()
	}
	r.bit() // direct_8x8_inference_flag
	// 8192 pixels a side is level 6's.
	if width > 512 || height > 512 {
		return SPS{}, malformed("SPS: size")
	}
	w, h := width*16, height*16*fields
	if r.bit() == 1 { // frame_cropping_flag
		unitX, unitY := uint32(1), fields
		if !separate {
			if chroma == 1 || chroma == 2 {
				unitX = 2
			}
			if chroma == 1 {
				unitY *= 2
			}
		}
		left, right, top, bottom := r.golomb(), r.golomb(), r.golomb(), r.golomb()
		// Each is at most 2^32−2: compare in 64 bits.
		x := (uint64(left) + uint64(right)) * uint64(unitX)
		y := (uint64(top) + uint64(bottom)) * uint64(unitY)
		if x >= uint64(w) || y >= uint64(h) {
			return SPS{}, malformed("SPS: cropping")
		}
		w, h = w-uint32(x), h-uint32(y)
	}
	if r.err {
		return SPS{}, fmt.Errorf("parse SPS: %d bytes are too few", len(nal))
	}
	info.Width, info.Height = int(w), int(h)
	return info, nil
}

// bitReader reads the bits of a NAL unit and leaves out emulation prevention bytes. Reading behind the end gives zeros
// and sets err.
type bitReader struct {
	data  []byte
	at    int
	have  uint // unread bits of data[at-1]
	zeros int
	err   bool
}

func (r *bitReader) bit() uint32 {
	if r.have == 0 {
		if r.zeros >= 2 && r.at < len(r.data) && r.data[r.at] == 3 {
			r.at++
			r.zeros = 0
		}
		if r.at >= len(r.data) {
			r.err = true
			return 0
		}
		if r.data[r.at] == 0 {
			r.zeros++
		} else {
			r.zeros = 0
		}
		r.at++
		r.have = 8
	}
	r.have--
	return uint32(r.data[r.at-1]>>r.have) & 1
}

// golomb reads ue(v).
func (r *bitReader) golomb() uint32 {
	zeros := 0
	for r.bit() == 0 {
		zeros++
		if zeros > 31 || r.err {
			r.err = true
			return 0
		}
	}
	v := uint32(0)
	for range zeros {
		v = v<<1 | r.bit()
	}
	return v + 1<<zeros - 1
}

func (r *bitReader) signedGolomb() int32 {
	v := r.golomb()
	if v&1 == 1 {
		return int32(v/2 + 1)
	}
	return -int32(v / 2)
}

// scalingList skips list i of H.264, 7.3.2.1.1.1.
func (r *bitReader) scalingList(i int) {
	size := 16
	if i >= 6 {
		size = 64
	}
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			next = (last + r.signedGolomb() + 256) & 0xff
		}
		if next != 0 {
			last = next
		}
	}
}
