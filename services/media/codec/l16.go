package codec

import (
	"encoding/binary"
	"errors"
)

// l16Rate is that of sound between workers.
const l16Rate = 48000

var errOdd = errors.New("decode L16: odd number of bytes, or more samples than there is room for")

// AppendL16 appends samples in network order (RFC 3551, 4.5.11).
func AppendL16(dst []byte, pcm []int16) []byte {
	for _, v := range pcm {
		dst = binary.BigEndian.AppendUint16(dst, uint16(v))
	}
	return dst
}

// l16Decoder has no state: what is lost is silence.
type l16Decoder struct{}

func (l16Decoder) Decode(pcm []int16, packet []byte) (int, error) {
	n := len(packet) / 2
	if len(packet)%2 != 0 || n > len(pcm) {
		return 0, errOdd
	}
	for i := range n {
		pcm[i] = int16(binary.BigEndian.Uint16(packet[2*i:]))
	}
	return n, nil
}

func (d l16Decoder) DecodeFEC(pcm []int16, _ []byte) (int, error) { return d.Conceal(pcm) }

func (l16Decoder) Conceal(pcm []int16) (int, error) {
	clear(pcm)
	return len(pcm), nil
}

func (l16Decoder) Rate() int { return l16Rate }
func (l16Decoder) Close()    {}
