package stream

// vp9Descriptor is the payload descriptor of RFC 9628, section 4.2.
type vp9Descriptor struct {
	predicted  bool // P: refers to earlier pictures
	flexible   bool // F
	start, end bool // B, E: of one layer's frame
	picture    uint16
	pictures   uint16 // mask of the picture ID's bits, 0 for none
	temporal   uint8
	switching  bool // U: a receiver may begin to take this temporal layer
	spatial    uint8
	base       uint8 // TL0PICIDX
	hasBase    bool
	hasLayers  bool
	// From the scalability structure: the size of the largest layer, 0 where there is none.
	width, height int
}

// parse returns the payload behind the descriptor.
func (d *vp9Descriptor) parse(packet []byte) ([]byte, error) {
	*d = vp9Descriptor{}
	b := packet
	if len(b) < 1 {
		return nil, malformed("VP9 descriptor")
	}
	first := b[0]
	b = b[1:]
	d.predicted, d.hasLayers, d.flexible = first&0x40 != 0, first&0x20 != 0, first&0x10 != 0
	d.start, d.end = first&0x08 != 0, first&0x04 != 0
	if first&0x80 != 0 {
		if len(b) < 1 || b[0]&0x80 != 0 && len(b) < 2 {
			return nil, malformed("VP9 picture ID")
		}
		if b[0]&0x80 != 0 {
			d.picture, d.pictures = uint16(b[0]&0x7f)<<8|uint16(b[1]), 0x7fff
			b = b[2:]
		} else {
			d.picture, d.pictures = uint16(b[0]), 0x7f
			b = b[1:]
		}
	}
	if d.hasLayers {
		if len(b) < 1 {
			return nil, malformed("VP9 layers")
		}
		d.temporal, d.switching, d.spatial = b[0]>>5, b[0]&0x10 != 0, b[0]>>1&0x07
		b = b[1:]
		if !d.flexible {
			if len(b) < 1 {
				return nil, malformed("VP9 TL0PICIDX")
			}
			d.base, d.hasBase = b[0], true
			b = b[1:]
		}
	}
	if d.flexible && d.predicted {
		for i := 0; ; i++ {
			if len(b) < 1 || i == 3 {
				return nil, malformed("VP9 reference indices")
			}
			more := b[0]&1 != 0
			b = b[1:]
			if !more {
				break
			}
		}
	}
	if first&0x02 != 0 {
		var err error
		if b, err = d.structure(b); err != nil {
			return nil, err
		}
	}
	if len(b) == 0 {
		return nil, malformed("VP9 payload: it is empty")
	}
	return b, nil
}

// structure reads the scalability structure (section 4.2.1).
func (d *vp9Descriptor) structure(b []byte) ([]byte, error) {
	if len(b) < 1 {
		return nil, malformed("VP9 scalability structure")
	}
	layers, sizes, group := int(b[0]>>5)+1, b[0]&0x10 != 0, b[0]&0x08 != 0
	b = b[1:]
	if sizes {
		if len(b) < 4*layers {
			return nil, malformed("VP9 scalability structure")
		}
		for range layers {
			w, h := int(b[0])<<8|int(b[1]), int(b[2])<<8|int(b[3])
			d.width, d.height = max(d.width, w), max(d.height, h)
			b = b[4:]
		}
	}
	if group {
		if len(b) < 1 {
			return nil, malformed("VP9 picture group")
		}
		n := int(b[0])
		b = b[1:]
		for range n {
			if len(b) < 1 {
				return nil, malformed("VP9 picture group")
			}
			skip := 1 + int(b[0]>>2&0x03)
			if len(b) < skip {
				return nil, malformed("VP9 picture group")
			}
			b = b[skip:]
		}
	}
	return b, nil
}

// prefix returns the descriptor up to TL0PICIDX in our own form, and the rest of the payload with the rest of the descriptor.
func (d *vp9Descriptor) prefix(payload []byte) (prefix, []byte) {
	if d.pictures == 0 {
		return prefix{}, payload
	}
	var p prefix
	p.data[0] = payload[0]
	p.picture, p.length = 1, 3
	rest := payload[2:]
	if d.pictures == 0x7fff {
		rest = payload[3:]
	}
	if d.hasLayers {
		p.data[3] = rest[0]
		p.length, rest = 4, rest[1:]
		if d.hasBase {
			p.base, p.length, rest = true, 5, rest[1:]
		}
	}
	return p, rest
}

// maxSpatial is the number of spatial layers that RFC 9628 can tell apart.
const maxSpatial = 8

// vp9Depacketizer puts the packets of a picture together: the frames of its spatial layers, as far as they are complete.
type vp9Depacketizer struct {
	width, height int
	frames        [maxSpatial]int // lengths of the complete frames
	complete      int             // how many
	open          bool            // a frame has begun and not ended
}

func (d *vp9Depacketizer) begins(payload []byte) bool {
	var v vp9Descriptor
	_, err := v.parse(payload)
	return err == nil && v.start && v.spatial == 0
}

func (d *vp9Depacketizer) written() int {
	n := 0
	for _, length := range d.frames[:d.complete] {
		n += length
	}
	return n
}

func (d *vp9Depacketizer) push(u *AccessUnit, payload []byte) error {
	var v vp9Descriptor
	body, err := v.parse(payload)
	if err != nil {
		return err
	}
	if v.start == d.open {
		return malformed("VP9 frame: wrong beginning")
	}
	if v.start {
		if d.complete == maxSpatial {
			return malformed("VP9 picture: more than eight layers")
		}
		d.open = true
		if w, h, ok := vp9FrameSize(body); ok {
			d.width, d.height = w, h
			u.Key = u.Key || d.complete == 0
		}
	}
	if v.width > 0 && v.height > 0 {
		d.width, d.height = v.width, v.height
	}
	if err := u.write(body); err != nil {
		return err
	}
	if v.end {
		d.frames[d.complete] = len(u.Data) - d.written()
		d.complete++
		d.open = false
	}
	return nil
}

// finish keeps the complete layers. More than one make a superframe, which needs its index (VP9 bitstream, annex B):
// without it, decoders take the first frame for all of it.
func (d *vp9Depacketizer) finish(u *AccessUnit, _ bool) bool {
	n := d.complete
	u.Data = u.Data[:d.written()]
	u.Width, u.Height = d.width, d.height
	frames := d.frames
	d.complete, d.open, d.frames = 0, false, [maxSpatial]int{}
	if n < 2 {
		return n == 1
	}
	largest := 0
	for _, length := range frames[:n] {
		largest = max(largest, length)
	}
	size := 1
	for largest>>(8*size) > 0 {
		size++
	}
	var index [2 + 4*maxSpatial]byte
	marker := 0xc0 | byte(size-1)<<3 | byte(n-1)
	index[0] = marker
	at := 1
	for _, length := range frames[:n] {
		for i := range size {
			index[at] = byte(length >> (8 * i))
			at++
		}
	}
	index[at] = marker
	return u.write(index[:at+1]) == nil
}

// vp9FrameSize reads the size from the uncompressed header of a frame (VP9 bitstream, 6.2); ok is false unless it is a key
// frame.
func vp9FrameSize(frame []byte) (width, height int, ok bool) {
	r := plainBits{data: frame}
	if r.take(2) != 2 { // frame_marker
		return 0, 0, false
	}
	profile := r.take(1) | r.take(1)<<1
	if profile == 3 {
		r.take(1)
	}
	if r.take(1) == 1 { // show_existing_frame
		return 0, 0, false
	}
	if r.take(1) != 0 { // frame_type: 0 is a key frame
		return 0, 0, false
	}
	r.take(2) // show_frame, error_resilient_mode
	if r.take(24) != 0x498342 {
		return 0, 0, false
	}
	if profile >= 2 {
		r.take(1) // ten_or_twelve_bit
	}
	if r.take(3) != 7 { // color_space is not RGB
		r.take(1)
		if profile&1 == 1 {
			r.take(3)
		}
	} else if profile&1 == 1 {
		r.take(1)
	}
	width, height = int(r.take(16))+1, int(r.take(16))+1
	return width, height, !r.err
}

// plainBits reads bits as they are.
type plainBits struct {
	data []byte
	at   int
	err  bool
}

func (r *plainBits) take(n int) uint32 {
	v := uint32(0)
	for range n {
		if r.at>>3 >= len(r.data) {
			r.err = true
			return 0
		}
		v = v<<1 | uint32(r.data[r.at>>3]>>(7-r.at&7))&1
		r.at++
	}
	return v
}
