package stream

// vp8Descriptor is the payload descriptor of RFC 7741, section 4.2.
type vp8Descriptor struct {
	start        bool  // S: a partition begins
	nonReference bool  // N: no other frame refers to this one
	partition    uint8 // PID
	picture      uint16
	pictures     uint16 // mask of the picture ID's bits, 0 for none
	base         uint8  // TL0PICIDX
	hasBase      bool
	layer        uint8 // TID
	sync         bool  // Y
	keyIndex     uint8
	hasLayer     bool // T
	hasKeyIndex  bool // K
}

// parse returns the payload behind the descriptor.
func (d *vp8Descriptor) parse(b []byte) ([]byte, error) {
	*d = vp8Descriptor{}
	if len(b) < 1 {
		return nil, malformed("VP8 descriptor")
	}
	first := b[0]
	d.nonReference, d.start, d.partition = first&0x20 != 0, first&0x10 != 0, first&0x07
	b = b[1:]
	if len(b) < 1 {
		return nil, malformed("VP8 payload: it is empty")
	}
	if first&0x80 == 0 {
		return b, nil
	}
	bits := b[0]
	b = b[1:]
	if bits&0x80 != 0 {
		if len(b) < 1 || b[0]&0x80 != 0 && len(b) < 2 {
			return nil, malformed("VP8 picture ID")
		}
		if b[0]&0x80 != 0 {
			d.picture, d.pictures = uint16(b[0]&0x7f)<<8|uint16(b[1]), 0x7fff
			b = b[2:]
		} else {
			d.picture, d.pictures = uint16(b[0]), 0x7f
			b = b[1:]
		}
	}
	if bits&0x40 != 0 {
		if len(b) < 1 {
			return nil, malformed("VP8 TL0PICIDX")
		}
		d.base, d.hasBase = b[0], true
		b = b[1:]
	}
	if bits&0x30 != 0 {
		if len(b) < 1 {
			return nil, malformed("VP8 temporal layer")
		}
		d.hasLayer, d.hasKeyIndex = bits&0x20 != 0, bits&0x10 != 0
		if d.hasLayer {
			d.layer, d.sync = b[0]>>6, b[0]&0x20 != 0
		}
		d.keyIndex = b[0] & 0x1f
		b = b[1:]
	}
	if len(b) == 0 {
		return nil, malformed("VP8 payload: it is empty")
	}
	return b, nil
}

// vp8FrameSize reads the size of a key frame (RFC 6386, 9.1): a frame tag of 3 bytes, a start code of 3, width and height of
// 14 bits with a scale of 2.
func vp8FrameSize(frame []byte) (width, height int, ok bool) {
	if len(frame) < 10 || frame[3] != 0x9d || frame[4] != 0x01 || frame[5] != 0x2a {
		return 0, 0, false
	}
	return int(frame[6]) | int(frame[7]&0x3f)<<8, int(frame[8]) | int(frame[9]&0x3f)<<8, true
}

// prefix returns the descriptor in our own form.
func (d *vp8Descriptor) prefix() prefix {
	var p prefix
	if d.start {
		p.data[0] |= 0x10
	}
	if d.nonReference {
		p.data[0] |= 0x20
	}
	p.data[0] |= d.partition
	p.length = 1
	if d.pictures == 0 && !d.hasBase && !d.hasLayer && !d.hasKeyIndex {
		return p
	}
	p.data[0] |= 0x80
	p.length = 2
	if d.pictures != 0 {
		p.data[1] |= 0x80
		p.picture, p.length = 2, 4
	}
	if d.hasBase && d.pictures != 0 { // without a picture ID nothing can be told from TL0PICIDX
		p.data[1] |= 0x40
		p.base, p.length = true, 5
	}
	if d.hasLayer || d.hasKeyIndex {
		if d.hasLayer {
			p.data[1] |= 0x20
		}
		if d.hasKeyIndex {
			p.data[1] |= 0x10
		}
		last := d.layer<<6 | d.keyIndex
		if d.sync {
			last |= 0x20
		}
		p.data[p.length] = last
		p.length++
	}
	return p
}

// vp8Depacketizer puts the packets of a frame together.
type vp8Depacketizer struct {
	width, height int
	next          bool // the frame has begun
}

func (d *vp8Depacketizer) begins(payload []byte) bool {
	var v vp8Descriptor
	_, err := v.parse(payload)
	return err == nil && v.start && v.partition == 0
}

func (d *vp8Depacketizer) push(u *AccessUnit, payload []byte) error {
	var v vp8Descriptor
	body, err := v.parse(payload)
	if err != nil {
		return err
	}
	if v.start && v.partition == 0 {
		if d.next {
			return malformed("VP8 frame: two beginnings")
		}
		d.next = true
		if body[0]&1 == 0 {
			var ok bool
			if d.width, d.height, ok = vp8FrameSize(body); !ok {
				return malformed("VP8 key frame")
			}
			u.Key = true
		}
	} else if !d.next {
		return malformed("VP8 frame: no beginning")
	}
	return u.write(body)
}

func (d *vp8Depacketizer) finish(u *AccessUnit, whole bool) bool {
	begun := d.next
	d.next = false
	u.Width, u.Height = d.width, d.height
	return begun && whole && len(u.Data) > 0
}
