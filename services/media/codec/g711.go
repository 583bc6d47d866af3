package codec

// G.711 (ITU-T G.711): 8,000 samples a second, one byte each. Decoding is one look-up; encoding is one in a table over
// all 65,536 sample values, made once, which costs 64 KiB a law and no branch a sample.

const g711Rate = 8000

var (
	fromMuLaw, fromALaw [256]int16
	toMuLaw, toALaw     [65536]byte
)

func init() {
	for b := range 256 {
		fromMuLaw[b] = expandMuLaw(byte(b))
		fromALaw[b] = expandALaw(byte(b))
	}
	for v := range 65536 {
		toMuLaw[v] = compressMuLaw(int16(v))
		toALaw[v] = compressALaw(int16(v))
	}
}

// expandMuLaw is table 2 of G.711 in its usual closed form: sign, three bits of segment, four of step; all bits inverted on
// the line. 14-bit values, left-justified.
func expandMuLaw(b byte) int16 {
	b = ^b
	v := (int(b&0x0f)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

// compressMuLaw is its inverse. The bias of 0x84 makes the segment the position of the highest bit.
func compressMuLaw(s int16) byte {
	const bias, clip = 0x84, 32635
	v, sign := int(s), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, clip) + bias
	segment := 7
	for mask := 0x4000; v&mask == 0; mask >>= 1 {
		segment--
	}
	return ^(sign | byte(segment)<<4 | byte(v>>(segment+3)&0x0f))
}

// expandALaw is table 1 of G.711; every other bit is inverted on the line. 13-bit values, left-justified.
func expandALaw(b byte) int16 {
	b ^= 0x55
	v := int(b&0x0f)<<4 + 8
	if segment := b >> 4 & 7; segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return int16(v)
}

// compressALaw is its inverse. Negative values are mirrored with an offset of one, so that -1 falls next to zero.
func compressALaw(s int16) byte {
	v, sign := int(s), byte(0x80)
	if v < 0 {
		v, sign = -v-1, 0
	}
	segment := 0
	for v>>(segment+8) != 0 {
		segment++
	}
	shift := max(segment, 1) + 3
	return (sign | byte(segment)<<4 | byte(v>>shift&0x0f)) ^ 0x55
}

type g711Decoder struct {
	table *[256]int16
	past  past
}

func (d *g711Decoder) Decode(pcm []int16, packet []byte) (int, error) {
	if len(packet) == 0 {
		return 0, errEmpty
	}
	if len(packet) > len(pcm) {
		return 0, errShort
	}
	for i, b := range packet {
		pcm[i] = d.table[b]
	}
	d.past.heard(pcm[:len(packet)], g711Rate)
	return len(packet), nil
}

func (d *g711Decoder) DecodeFEC(pcm []int16, _ []byte) (int, error) { return d.Conceal(pcm) }

func (d *g711Decoder) Conceal(pcm []int16) (int, error) {
	d.past.conceal(pcm, g711Rate)
	return len(pcm), nil
}

func (d *g711Decoder) Rate() int { return g711Rate }
func (d *g711Decoder) Close()    {}

type g711Encoder struct{ table *[65536]byte }

func (e g711Encoder) Encode(packet []byte, pcm []int16) (int, error) {
	if len(pcm) > len(packet) {
		return 0, errShort
	}
	for i, s := range pcm {
		packet[i] = e.table[uint16(s)]
	}
	return len(pcm), nil
}

func (g711Encoder) Rate() int            { return g711Rate }
func (g711Encoder) SetBitrate(int) error { return nil }
func (g711Encoder) SetLoss(int) error    { return nil }
func (g711Encoder) Close()               {}
