package wire

import (
	"encoding/binary"
	"net/netip"
	"time"

	"rotunda/services/media/rtp"
	"rotunda/services/media/srtp"
)

// Far is one far end of a call: what it sends, and what it has got. All of it belongs to the thread of the [Load]; from
// elsewhere it is touched within [Load.Do] only.
type Far struct {
	// Remote is where its packets go.
	Remote netip.AddrPort
	// Protect and Unprotect are there once keys are.
	Protect, Unprotect *srtp.Context
	// Other takes what is neither RTP nor RTCP, STUN and DTLS, and may answer. The packet is valid until it returns.
	Other func(packet []byte, answer func([]byte))
	// Tap takes each RTP packet, as it came.
	Tap func(packet []byte, at time.Time)
	// Report takes each sender report.
	Report func(ssrc uint32, info rtp.SenderInfo)

	tracks   []*track
	incoming []*Incoming
}

// track is a clip that a far end plays.
type track struct {
	clip   *Clip
	header rtp.Header
	level  uint8
	next   int
	due    time.Time
	steady bool
	onSent func(unit int, at time.Time)
}

// TrackOptions of [Load.Play].
type TrackOptions struct {
	Clip        *Clip
	PayloadType uint8
	SSRC        uint32
	// Level is the header extension of RFC 6464, 0 for none.
	Level uint8
	// First is the unit to begin with, After when.
	First int
	After time.Duration
	// Steady goes on with the loop when a key frame is asked for; the clip has enough of them.
	Steady bool
	// OnSent is told each unit of which the last packet has just been sent.
	OnSent func(unit int, at time.Time)
}

// Incoming counts what came of one SSRC.
type Incoming struct {
	SSRC           uint32
	Packets, Bytes uint64
	// Frames are markers.
	Frames uint64

	begun       bool
	first, last uint16
	wraps       uint64
}

// Expected is how many packets were sent, as far as sequence numbers tell.
func (in *Incoming) Expected() uint64 {
	if !in.begun {
		return 0
	}
	return in.wraps<<16 + uint64(in.last) - uint64(in.first) + 1
}

// count reads what SRTP leaves legible too.
func (f *Far) count(packet []byte) {
	sequence, ssrc := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[8:])
	in := f.stream(ssrc)
	in.Packets++
	in.Bytes += uint64(len(packet))
	if packet[1]&0x80 != 0 {
		in.Frames++
	}
	switch {
	case !in.begun:
		in.begun, in.first, in.last = true, sequence, sequence
	case rtp.Newer(sequence, in.last):
		if sequence < in.last {
			in.wraps++
		}
		in.last = sequence
	}
}

func (f *Far) stream(ssrc uint32) *Incoming {
	for _, in := range f.incoming {
		if in.SSRC == ssrc {
			return in
		}
	}
	in := &Incoming{SSRC: ssrc}
	f.incoming = append(f.incoming, in)
	return in
}

// restart has the pictures of the far end begin anew with their key frame, as it was asked to.
func (f *Far) restart() {
	for _, t := range f.tracks {
		if t.clip.Video && !t.steady {
			t.next = 0
		}
	}
}
