package record

import "slices"

// spsInfo is what a sequence parameter set says that a container has to repeat.
type spsInfo struct {
	width, height int
	// chroma is chroma_format_idc; depths are bits above 8.
	chroma, lumaDepth, chromaDepth uint
}

// hasChroma reports whether parameter sets of the profile say the chroma format (ISO/IEC 14496-10, 7.3.2.1.1).
func hasChroma(profile byte) bool {
	return slices.Contains([]byte{100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}, profile)
}

// parseSPS reads a sequence parameter set up to the cropping (ISO/IEC 14496-10, 7.3.2.1.1).
func parseSPS(nal []byte) (spsInfo, error) {
	if len(nal) < 4 || len(nal) > maxSetSize || nal[0]&31 != nalSPS {
		return spsInfo{}, errParameters
	}
	info := spsInfo{chroma: 1}
	r := bitReader{b: nal[4:]}
	r.exp() // seq_parameter_set_id
	separate := uint(0)
	if hasChroma(nal[1]) {
		info.chroma = r.exp()
		if info.chroma == 3 {
			separate = r.bit()
		}
		info.lumaDepth, info.chromaDepth = r.exp(), r.exp()
		r.bit() // qpprime_y_zero_transform_bypass_flag
		if info.chroma > 3 || info.lumaDepth > 6 || info.chromaDepth > 6 {
			return spsInfo{}, errParameters
		}
		if r.bit() == 1 {
			lists := 8
			if info.chroma == 3 {
				lists = 12
			}
			for i := range lists {
				if r.bit() == 1 {
					size := 16
					if i >= 6 {
						size = 64
					}
					r.skipScalingList(size)
				}
			}
		}
	}
	r.exp() // log2_max_frame_num_minus4
	switch r.exp() {
	case 0:
		r.exp() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.bit()
		r.exp()
		r.exp()
		n := r.exp()
		if n > 255 {
			return spsInfo{}, errParameters
		}
		for range n {
			r.exp()
		}
	}
	r.exp() // max_num_ref_frames
	r.bit() // gaps_in_frame_num_value_allowed_flag
	wide, high := r.exp()+1, r.exp()+1
	fields := 2 - r.bit()
	if fields == 2 {
		r.bit() // mb_adaptive_frame_field_flag
	}
	r.bit() // direct_8x8_inference_flag
	var left, right, top, bottom uint
	if r.bit() == 1 {
		left, right, top, bottom = r.exp(), r.exp(), r.exp(), r.exp()
	}
	const limit = 1024 // macroblocks, 16384 pixels: above every level
	if r.failed || wide > limit || high > limit || left > limit*16 || right > limit*16 || top > limit*16 || bottom > limit*16 {
		return spsInfo{}, errParameters
	}
	unitX, unitY := uint(1), fields
	if separate == 0 {
		if info.chroma == 1 || info.chroma == 2 {
			unitX = 2
		}
		if info.chroma == 1 {
			unitY *= 2
		}
	}
	info.width = int(wide*16) - int(unitX*(left+right))
	info.height = int(high*16*fields) - int(unitY*(top+bottom))
	if info.width <= 0 || info.height <= 0 || info.width > 0xffff || info.height > 0xffff {
		return spsInfo{}, errParameters
	}
	return info, nil
}

// bitReader reads the raw byte sequence payload of a NAL unit, emulation prevention bytes removed.
type bitReader struct {
	b      []byte
	pos    int // of the next byte
	zeros  int // before it
	cache  uint
	left   uint
	failed bool
}

func (r *bitReader) bit() uint {
	if r.left == 0 {
		if r.pos < len(r.b) && r.zeros >= 2 && r.b[r.pos] == 3 {
			r.pos++
			r.zeros = 0
		}
		if r.pos >= len(r.b) {
			r.failed = true
			return 0
		}
		r.cache, r.left = uint(r.b[r.pos]), 8
		r.pos++
		if r.cache == 0 {
			r.zeros++
		} else {
			r.zeros = 0
		}
	}
	r.left--
	return r.cache >> r.left & 1
}

// exp reads an unsigned Exp-Golomb code (9.1); a signed one is as long.
func (r *bitReader) exp() uint {
	n := 0
	for r.bit() == 0 {
		if n++; n > 31 || r.failed {
			r.failed = true
			return 0
		}
	}
	v := uint(1)
	for range n {
		v = v<<1 | r.bit()
	}
	return v - 1
}

// skipScalingList passes over a scaling list (7.3.2.1.1.1).
func (r *bitReader) skipScalingList(size int) {
	last, next := 8, 8
	for range size {
		if next != 0 {
			code := r.exp()
			delta := int(code+1) / 2
			if code%2 == 0 {
				delta = -delta
			}
			next = (last + delta) & 255
		}
		if next != 0 {
			last = next
		}
	}
}
