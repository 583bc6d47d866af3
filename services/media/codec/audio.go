package codec

import (
	"errors"
	"fmt"

	"rotunda/services/media/control"
)

// AudioDecoder turns packets into 16-bit mono sound. It serves one stream, and one thread at a time.
type AudioDecoder interface {
	// Decode writes the sound of one packet into pcm and returns how many samples it is.
	Decode(pcm []int16, packet []byte) (n int, err error)
	// DecodeFEC fills pcm with the sound of the lost packet before next, as well as next or else the past can tell.
	DecodeFEC(pcm []int16, next []byte) (n int, err error)
	// Conceal fills pcm with what might have been in a lost packet.
	Conceal(pcm []int16) (n int, err error)
	// Rate is the number of samples a second.
	Rate() int
	Close()
}

// AudioEncoder turns 16-bit mono sound into packets. It serves one stream, and one thread at a time.
type AudioEncoder interface {
	// Encode writes the packet for pcm, which is one packet time long, and returns its length; 0 means that nothing
	// needs to be sent, since nothing is to be heard.
	Encode(packet []byte, pcm []int16) (n int, err error)
	// Rate is the number of samples a second.
	Rate() int
	// SetBitrate and SetLoss (per cent, of what was sent) adapt to the path; codecs of a fixed rate ignore them.
	SetBitrate(bps int) error
	SetLoss(percent int) error
	Close()
}

// AudioOptions of an encoder; zero values mean the codec's default.
type AudioOptions struct {
	// Bitrate in bits per second: 32,000 for Opus unless given.
	Bitrate int
	// Complexity of Opus, 0 to 10.
	Complexity int
	// FEC: the far end decodes Opus' in-band redundancy. It is used while SetLoss says that packets are lost.
	FEC bool
	// DTX: nothing is sent while nothing is to be heard.
	DTX bool
	// PacketMs is the packet time: 10, 20, 40 or 60 ms, 0 means 20.
	PacketMs int
}

// Limits of what comes from the network.
const (
	// MaxAudioPacket is the largest packet: 1,500 bytes is a whole Ethernet frame.
	MaxAudioPacket = 1500
	// maxPacketMs is the longest packet that an Opus stream may hold (RFC 6716, section 3.2).
	maxPacketMs = 120
)

var (
	errShort = errors.New("buffer too small")
	errEmpty = errors.New("empty packet")
	errLarge = errors.New("packet too large")
)

// NewAudioDecoder returns a decoder for one of the codecs of package control.
func NewAudioDecoder(codec string) (AudioDecoder, error) {
	switch codec {
	case control.PCMU:
		return &g711Decoder{table: &fromMuLaw}, nil
	case control.PCMA:
		return &g711Decoder{table: &fromALaw}, nil
	case control.G722:
		return newG722Decoder()
	case control.Opus:
		return newOpusDecoder()
	case control.L16:
		return l16Decoder{}, nil
	}
	return nil, fmt.Errorf("audio codec %q: want %s, %s, %s or %s", codec, control.PCMU, control.PCMA, control.G722, control.Opus)
}

// NewAudioEncoder returns an encoder for one of the codecs of package control.
func NewAudioEncoder(codec string, o AudioOptions) (AudioEncoder, error) {
	if o.PacketMs == 0 {
		o.PacketMs = 20
	}
	if o.PacketMs != 10 && o.PacketMs != 20 && o.PacketMs != 40 && o.PacketMs != 60 {
		return nil, fmt.Errorf("packet time of %d ms: want 10, 20, 40 or 60", o.PacketMs)
	}
	switch codec {
	case control.PCMU:
		return g711Encoder{table: &toMuLaw}, nil
	case control.PCMA:
		return g711Encoder{table: &toALaw}, nil
	case control.G722:
		return newG722Encoder()
	case control.Opus:
		return newOpusEncoder(o)
	}
	return nil, fmt.Errorf("audio codec %q: want %s, %s, %s or %s", codec, control.PCMU, control.PCMA, control.G722, control.Opus)
}
