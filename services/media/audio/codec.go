package audio

import "rotunda/services/media/control"

// Decoder makes PCM of packets, 16 bits mono at Rate. It is used by one thread at a time.
type Decoder interface {
	// Decode decodes one packet and returns the samples.
	Decode(pcm []int16, packet []byte) (n int, err error)
	// DecodeFEC fills pcm with what was in the packet before next, as far as next tells.
	DecodeFEC(pcm []int16, next []byte) (int, error)
	// Conceal fills pcm with a guess.
	Conceal(pcm []int16) (int, error)
	Rate() int
	Close()
}

// Encoder makes packets of PCM, 16 bits mono at Rate. It is used by one thread at a time.
type Encoder interface {
	// Encode encodes the samples of one packet time. With DTX, two bytes or less mean that nothing needs to be sent. An
	// encoder that also has SetLoss(percent int) error is told what part of its packets gets lost.
	Encode(packet []byte, pcm []int16) (n int, err error)
	Rate() int
	Close()
}

// EncoderOptions are what an encoder is made for. Zero values are the codec's defaults.
type EncoderOptions struct {
	Bitrate, Complexity int
	FEC, DTX            bool
	PacketMs            int
}

// The inner format.
const (
	rate       = 48000
	tickMs     = 20
	tickLength = rate * tickMs / 1000
	// maxPayload bounds a packet: 20 ms of L16, which only workers send each other. Opus never needs more than 1,275 bytes.
	maxPayload = 2 * tickLength
	// maxPacket is the longest sound in one packet: 120 ms, the most of Opus.
	maxPacket = rate * 120 / 1000
)

// clockOf is the RTP clock of a codec. That of G.722 is 8,000 by an old mistake (RFC 3551, 4.5.2).
func clockOf(codec string) int {
	if codec == control.Opus || codec == control.L16 {
		return 48000
	}
	return 8000
}
