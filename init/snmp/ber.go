package snmp

import (
	"errors"
	"fmt"
)

// The tags of SNMP (RFC 3416 section 3, RFC 2578 section 7).
const (
	tagInteger     = 0x02
	tagOctets      = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagSequence    = 0x30
	tagIPAddress   = 0x40
	tagCounter32   = 0x41
	tagGauge32     = 0x42
	tagTimeTicks   = 0x43
	tagCounter64   = 0x46
	tagNoObject    = 0x80
	tagNoInstance  = 0x81
	tagEndOfView   = 0x82
	tagGet         = 0xa0
	tagGetNext     = 0xa1
	tagResponse    = 0xa2
	tagSet         = 0xa3
	tagGetBulk     = 0xa5
	tagInform      = 0xa6
	tagNotify      = 0xa7
	tagReport      = 0xa8
	maxSubidentity = 128 // RFC 2578 section 3.5
)

var errShort = errors.New("message ends too early")

// reader reads BER from a slice. It takes lengths of at most two bytes more than the short form: no datagram needs longer ones.
type reader struct{ rest []byte }

// take returns tag and content of the next element, and the bytes of both.
func (r *reader) take() (tag byte, content []byte, err error) {
	if len(r.rest) < 2 {
		return 0, nil, errShort
	}
	tag = r.rest[0]
	if tag&0x1f == 0x1f {
		return 0, nil, fmt.Errorf("tag %#x has more than one byte", tag)
	}
	n, at := int(r.rest[1]), 2
	if n >= 0x80 {
		count := n & 0x7f
		// RFC 3417 section 8 has definite lengths alone. Some send four bytes of length for everything.
		if count == 0 || count > 4 {
			return 0, nil, fmt.Errorf("length of %d bytes", count)
		}
		if len(r.rest) < at+count {
			return 0, nil, errShort
		}
		n = 0
		for _, b := range r.rest[at : at+count] {
			if n > len(r.rest) {
				return 0, nil, errShort
			}
			n = n<<8 | int(b)
		}
		at += count
	}
	if n > len(r.rest)-at {
		return 0, nil, errShort
	}
	content, r.rest = r.rest[at:at+n], r.rest[at+n:]
	return tag, content, nil
}

// want takes an element of a tag.
func (r *reader) want(tag byte) ([]byte, error) {
	got, content, err := r.take()
	if err == nil && got != tag {
		err = fmt.Errorf("tag %#x where %#x belongs", got, tag)
	}
	return content, err
}

// inner takes an element of a tag and reads in it.
func (r *reader) inner(tag byte) (reader, error) {
	content, err := r.want(tag)
	return reader{content}, err
}

// integer takes an INTEGER of at most 32 bits.
func (r *reader) integer() (int32, error) {
	content, err := r.want(tagInteger)
	if err != nil {
		return 0, err
	}
	if len(content) == 0 || len(content) > 4 {
		return 0, fmt.Errorf("integer of %d bytes", len(content))
	}
	n := int32(int8(content[0]))
	for _, b := range content[1:] {
		n = n<<8 | int32(b)
	}
	return n, nil
}

// natural takes an INTEGER that is not negative.
func (r *reader) natural() (int32, error) {
	n, err := r.integer()
	if err == nil && n < 0 {
		err = fmt.Errorf("%d is negative", n)
	}
	return n, err
}

// name takes an OBJECT IDENTIFIER.
func (r *reader) name() (oid, error) {
	content, err := r.want(tagOID)
	if err != nil {
		return nil, err
	}
	var o oid
	var n uint64
	for i, b := range content {
		n = n<<7 | uint64(b&0x7f)
		if n > 0xffffffff {
			return nil, errors.New("part of an object identifier beyond 32 bits")
		}
		if b&0x80 != 0 {
			if i == len(content)-1 {
				return nil, errShort
			}
			continue
		}
		if o == nil {
			first := min(n/40, 2)
			o = append(o, uint32(first), uint32(n-first*40))
		} else {
			o = append(o, uint32(n))
		}
		if len(o) > maxSubidentity {
			return nil, fmt.Errorf("object identifier of more than %d parts", maxSubidentity)
		}
		n = 0
	}
	if o == nil {
		return nil, errors.New("empty object identifier")
	}
	return o, nil
}

// element appends an element.
func element(to []byte, tag byte, content []byte) []byte {
	to = append(to, tag)
	switch n := len(content); {
	case n < 0x80:
		to = append(to, byte(n))
	case n < 0x100:
		to = append(to, 0x81, byte(n))
	default:
		// A message has at most 64 kB.
		to = append(to, 0x82, byte(n>>8), byte(n))
	}
	return append(to, content...)
}

// signed appends a number in as few bytes as it takes.
func signed(to []byte, tag byte, n int64) []byte {
	var content [8]byte
	for i := range content {
		content[i] = byte(n >> (8 * (7 - i)))
	}
	first := 0
	for first < 7 && (content[first] == 0 && content[first+1] < 0x80 || content[first] == 0xff && content[first+1] >= 0x80) {
		first++
	}
	return element(to, tag, content[first:])
}

// unsigned does the same for one that is never negative.
func unsigned(to []byte, tag byte, n uint64) []byte {
	if n < 1<<63 {
		return signed(to, tag, int64(n))
	}
	content := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0}
	for i := range 8 {
		content[i+1] = byte(n >> (8 * (7 - i)))
	}
	return element(to, tag, content)
}

// identifier appends an object identifier.
func identifier(to []byte, o oid) []byte {
	var content []byte
	part := func(n uint64) {
		shift := 0
		for n>>(shift+7) != 0 {
			shift += 7
		}
		for ; shift > 0; shift -= 7 {
			content = append(content, byte(n>>shift)|0x80)
		}
		content = append(content, byte(n&0x7f))
	}
	for len(o) < 2 {
		o = append(o, 0)
	}
	part(uint64(o[0])*40 + uint64(o[1]))
	for _, n := range o[2:] {
		part(uint64(n))
	}
	return element(to, tagOID, content)
}
