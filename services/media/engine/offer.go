package engine

import (
	"encoding/binary"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// Workers tell each other what they have and what they want of it in APP packets of RTCP (RFC 3550, 6.7), from the
// number of their mix in a conference. Both are soft state: said once a second and at each change, and forgotten when
// it has not been said for [forgetAfter].
var (
	nameHave = [4]byte{'H', 'A', 'V', 'E'} // layers of the worker's own legs: a list of offers
	nameWant = [4]byte{'W', 'A', 'N', 'T'} // the numbers of layers that it wants to be sent
)

// offer is one layer of a leg, as a worker tells the others.
type offer struct {
	// source is the number of the leg's picture, number that of the layer, place its place in a simulcast.
	source, number uint32
	place          uint8
	offered
}

const (
	offerSize = 24
	// maxSaid bounds the bytes of one list: with its head it fits into a packet of 2,048 bytes, the most that is taken.
	maxSaid = 80 * offerSize
)

// carried are the codecs of pictures between workers by their numbers.
var carried = [...]string{control.H264, control.VP8, control.VP9}

func numberOf(codec string) int {
	for i, name := range carried {
		if name == codec {
			return i
		}
	}
	return -1
}

// append adds an offer of a carried codec to a list.
func (o *offer) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, o.source)
	dst = binary.BigEndian.AppendUint32(dst, o.number)
	dst = binary.BigEndian.AppendUint32(dst, uint32(min(max(o.bitrate, 0), 1<<31-1)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(o.width))
	dst = binary.BigEndian.AppendUint16(dst, uint16(o.height))
	return append(dst, o.profile[0], o.profile[1], o.profile[2], uint8(numberOf(o.codec)), o.place, 0, 0, 0)
}

// parseOffer reads the first offer of a list; false at its end, or when it is none that could have been said.
func parseOffer(list []byte) (o offer, ok bool) {
	if len(list) < offerSize || int(list[19]) >= len(carried) || list[20] >= maxPlaces {
		return o, false
	}
	o.source, o.number = binary.BigEndian.Uint32(list), binary.BigEndian.Uint32(list[4:])
	o.bitrate = int(binary.BigEndian.Uint32(list[8:]) & (1<<31 - 1))
	o.width, o.height = int(binary.BigEndian.Uint16(list[12:])), int(binary.BigEndian.Uint16(list[14:]))
	o.profile = [3]byte(list[16:19])
	o.codec, o.place = carried[list[19]], list[20]
	return o, o.source != 0 && o.number != 0
}

// maxPlaces is how many layers a picture may have: three of a simulcast, and those that a far end used before.
const maxPlaces = 8

// say appends APP packets with a list of entries, as many as it takes, and calls send for each.
func say(packet []byte, from uint32, name [4]byte, list []byte, send func(packet []byte)) []byte {
	for len(list) > 0 {
		n := min(len(list), maxSaid)
		packet = rtp.AppendApplication(packet[:0], from, name, list[:n])
		send(packet)
		list = list[n:]
	}
	return packet
}
