package rtp

import (
	"encoding/binary"
	"math/bits"
)

// maxReports is how many report blocks fit under the count of five bits.
const maxReports = 31

// begin appends the first four bytes of an RTCP packet; end sets the length.
func begin(dst []byte, kind byte, count int) []byte {
	return append(dst, version<<6|byte(count), kind, 0, 0)
}

// end pads what was appended since start to whole words with zeros and writes its length.
func end(dst []byte, start int) []byte {
	for (len(dst)-start)%4 != 0 {
		dst = append(dst, 0)
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16((len(dst)-start)/4-1))
	return dst
}

func beginFeedback(dst []byte, kind byte, format int, sender, media uint32) []byte {
	dst = begin(dst, kind, format)
	dst = binary.BigEndian.AppendUint32(dst, sender)
	return binary.BigEndian.AppendUint32(dst, media)
}

func appendReports(dst []byte, reports []Report) []byte {
	for i := range reports {
		r := &reports[i]
		dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
		dst = binary.BigEndian.AppendUint32(dst, uint32(r.Fraction)<<24|uint32(r.Lost)&0xFFFFFF)
		dst = binary.BigEndian.AppendUint32(dst, r.Highest)
		dst = binary.BigEndian.AppendUint32(dst, r.Jitter)
		dst = binary.BigEndian.AppendUint32(dst, r.LastSR)
		dst = binary.BigEndian.AppendUint32(dst, r.Delay)
	}
	return dst
}

// AppendSenderReport appends a sender report; of more than 31 reports the rest goes into receiver reports behind it.
func AppendSenderReport(dst []byte, ssrc uint32, info SenderInfo, reports []Report) []byte {
	start := len(dst)
	n := min(len(reports), maxReports)
	dst = begin(dst, typeSR, n)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = binary.BigEndian.AppendUint64(dst, info.NTP)
	dst = binary.BigEndian.AppendUint32(dst, info.RTP)
	dst = binary.BigEndian.AppendUint32(dst, info.Packets)
	dst = binary.BigEndian.AppendUint32(dst, info.Octets)
	dst = end(appendReports(dst, reports[:n]), start)
	if n < len(reports) {
		dst = AppendReceiverReport(dst, ssrc, reports[n:])
	}
	return dst
}

// AppendReceiverReport appends receiver reports, 31 blocks in each. Without any report it appends an empty one, which is
// what a compound packet of somebody who neither sends nor receives begins with.
func AppendReceiverReport(dst []byte, ssrc uint32, reports []Report) []byte {
	for {
		start := len(dst)
		n := min(len(reports), maxReports)
		dst = begin(dst, typeRR, n)
		dst = binary.BigEndian.AppendUint32(dst, ssrc)
		dst = end(appendReports(dst, reports[:n]), start)
		if reports = reports[n:]; len(reports) == 0 {
			return dst
		}
	}
}

// AppendCNAME appends a source description with the canonical name of one source; what is longer than 255 bytes is cut.
func AppendCNAME(dst []byte, ssrc uint32, cname string) []byte {
	start := len(dst)
	cname = cname[:min(len(cname), 255)]
	dst = begin(dst, typeSDES, 1)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = append(dst, itemCNAME, byte(len(cname)))
	dst = append(dst, cname...)
	return end(append(dst, 0), start)
}

// AppendGoodbye appends a BYE of one source.
func AppendGoodbye(dst []byte, ssrc uint32) []byte {
	start := len(dst)
	return end(binary.BigEndian.AppendUint32(begin(dst, typeBYE, 1), ssrc), start)
}

// AppendApplication appends an APP packet (RFC 3550 section 6.7) of one source with a name of four bytes; the data is padded
// to whole words with zeros.
func AppendApplication(dst []byte, sender uint32, name [4]byte, data []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(begin(dst, typeAPP, 0), sender)
	return end(append(append(dst, name[:]...), data...), start)
}

// AppendNACK appends a generic NACK for the packets of one stream, in ascending order (which may wrap). Nothing is
// appended for an empty list.
func AppendNACK(dst []byte, sender, media uint32, lost []uint16) []byte {
	if len(lost) == 0 {
		return dst
	}
	start := len(dst)
	dst = beginFeedback(dst, typeRTPFB, formatNACK, sender, media)
	for i := 0; i < len(lost); {
		first, mask := lost[i], uint16(0)
		for i++; i < len(lost) && lost[i]-first-1 < 16; i++ {
			mask |= 1 << (lost[i] - first - 1)
		}
		dst = binary.BigEndian.AppendUint16(dst, first)
		dst = binary.BigEndian.AppendUint16(dst, mask)
	}
	return end(dst, start)
}

// AppendPLI appends a picture loss indication.
func AppendPLI(dst []byte, sender, media uint32) []byte {
	start := len(dst)
	return end(beginFeedback(dst, typePSFB, formatPLI, sender, media), start)
}

// AppendFIR appends a full intra request; number is one higher for each new request, and the same for a repeat.
func AppendFIR(dst []byte, sender, media uint32, number uint8) []byte {
	start := len(dst)
	dst = beginFeedback(dst, typePSFB, formatFIR, sender, 0) // RFC 5104 section 4.3.1.2: media source is 0
	dst = binary.BigEndian.AppendUint32(dst, media)
	return end(append(dst, number, 0, 0, 0), start)
}

// AppendTMMBR appends a request to stay under a bit rate, counted with so many bytes of overhead for each packet.
func AppendTMMBR(dst []byte, sender, media uint32, bitrate uint64, overhead int) []byte {
	return appendLimit(dst, formatTMMBR, sender, media, bitrate, overhead)
}

// AppendTMMBN appends the notification that answers a TMMBR. owner is who set the limit.
func AppendTMMBN(dst []byte, sender, owner uint32, bitrate uint64, overhead int) []byte {
	return appendLimit(dst, formatTMMBN, sender, owner, bitrate, overhead)
}

func appendLimit(dst []byte, format int, sender, about uint32, bitrate uint64, overhead int) []byte {
	start := len(dst)
	dst = beginFeedback(dst, typeRTPFB, format, sender, 0)
	dst = binary.BigEndian.AppendUint32(dst, about)
	mantissa, exponent := unscale(bitrate, 17)
	dst = binary.BigEndian.AppendUint32(dst, exponent<<26|mantissa<<9|uint32(min(max(overhead, 0), 0x1FF)))
	return end(dst, start)
}

// AppendREMB appends a receiver's estimate of what may be sent to it in all, and the sources that it is about.
func AppendREMB(dst []byte, sender uint32, bitrate uint64, sources ...uint32) []byte {
	start := len(dst)
	sources = sources[:min(len(sources), 255)]
	dst = beginFeedback(dst, typePSFB, formatAFB, sender, 0)
	dst = append(dst, 'R', 'E', 'M', 'B')
	mantissa, exponent := unscale(bitrate, 18)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(sources))<<24|exponent<<18|mantissa)
	for _, s := range sources {
		dst = binary.BigEndian.AppendUint32(dst, s)
	}
	return end(dst, start)
}

// unscale returns the largest number mantissa·2^exponent that is not above n, with so many bits of mantissa.
func unscale(n uint64, width int) (mantissa, exponent uint32) {
	exponent = uint32(max(bits.Len64(n)-width, 0))
	return uint32(n >> exponent), exponent
}
