package camera

import (
	"errors"
	"fmt"
)

// The clients of H.224.
const (
	managementClient = 0x00 // CME
	cameraClient     = 0x01 // FECC, H.281
	extendedClient   = 0x7e // the next octet tells
	privateClient    = 0x7f // five more octets tell

	headSize   = 9
	maxMessage = 512 // octets of a message in segments
)

// frame is one H.224 frame (H.224, figure 2).
type frame struct {
	client      byte
	first, last bool // segments of a message
	segment     byte
	data        []byte
}

// parseFrame reads an RTP payload. Either priority is taken, and all terminal addresses: there are only two ends here.
func parseFrame(b []byte) (f frame, err error) {
	if len(b) < headSize {
		return f, fmt.Errorf("%d octets: want %d at least", len(b), headSize)
	}
	// Q.922 address of DLCI 6 or 7 with its end bit, and an unnumbered information frame.
	if b[0] != 0 || b[1] != 0x61 && b[1] != 0x71 || b[2] != 0x03 {
		return f, fmt.Errorf("address and control %x: want 0061 or 0071, and 03", b[:3])
	}
	f.client = b[7] & 0x7f
	rest := b[8:]
	skip := 0
	switch f.client {
	case extendedClient:
		skip = 1
	case privateClient:
		skip = 5
	}
	if len(rest) < skip+1 {
		return f, errors.New("ends within the client's number")
	}
	rest = rest[skip:]
	f.last, f.first, f.segment = rest[0]&0x80 != 0, rest[0]&0x40 != 0, rest[0]&0x0f
	f.data = rest[1:]
	return f, nil
}

// build makes the frame of a message that fits one segment; all of ours do.
func build(client byte, data ...byte) []byte {
	return append([]byte{0x00, 0x71, 0x03, 0, 0, 0, 0, client, 0xc0}, data...)
}

// joiner puts the segments of one message together.
type joiner struct {
	client byte
	next   byte
	data   []byte
	open   bool
}

// add gives the message when f ends it. A segment out of turn loses the message.
func (j *joiner) add(f frame) ([]byte, bool) {
	if f.first {
		*j = joiner{client: f.client, data: append([]byte(nil), f.data...), open: true, next: (f.segment + 1) & 0x0f}
	} else {
		if !j.open || f.client != j.client || f.segment != j.next || len(j.data)+len(f.data) > maxMessage {
			j.open = false
			return nil, false
		}
		j.data = append(j.data, f.data...)
		j.next = (j.next + 1) & 0x0f
	}
	if !f.last {
		return nil, false
	}
	j.open = false
	return j.data, true
}
