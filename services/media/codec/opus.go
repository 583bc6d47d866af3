package codec

/*
#include <opus/opus.h>

// Go calls no functions with a variable number of arguments.
static int set(OpusEncoder *e, int request, int value) { return opus_encoder_ctl(e, request, value); }

// Forces the CELT or the automatic mode. The request is in libopus' internal header only, but part of its binary
// interface: the library's own demo and tests use it.
enum { FORCE_MODE = 11002, MODE_CELT = 1002 };
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Opus (RFC 6716, RFC 7587), always at 48,000 samples a second, mono. A stereo packet is decoded to mono by libopus.
//
// The speech modes of Opus cost several times what its CELT mode costs (107 streams a core with redundancy, against 344
// in CELT at the same complexity and 904 at complexity 0), and from 24 kbit/s on a listener gains nothing by them. What they
// have and CELT lacks is redundancy against loss, so the encoder uses them for exactly as long as the far end reports loss
// and said that it can use the redundancy.

const opusRate = 48000

// opusLoss is the loss in per cent from which the speech modes and their redundancy are worth their time.
const opusLoss = 2

// opusBitrate is used unless told otherwise: transparent for mono speech, and 80 bytes a packet.
const opusBitrate = 32000

type opusDecoder struct{ c *C.OpusDecoder }

func newOpusDecoder() (*opusDecoder, error) {
	var code C.int
	c := C.opus_decoder_create(opusRate, 1, &code)
	if c == nil {
		return nil, fmt.Errorf("open Opus decoder: %w", opusError(code))
	}
	return &opusDecoder{c}, nil
}

func (d *opusDecoder) Decode(pcm []int16, packet []byte) (int, error) {
	if len(packet) == 0 {
		return 0, errEmpty
	}
	return d.decode(pcm, packet, 0)
}

// DecodeFEC takes the redundancy that next carries for the packet before it; libopus conceals if there is none.
func (d *opusDecoder) DecodeFEC(pcm []int16, next []byte) (int, error) {
	if len(next) == 0 {
		return d.Conceal(pcm)
	}
	return d.decode(pcm, next, 1)
}

// Conceal fills pcm: a multiple of 2.5 ms.
func (d *opusDecoder) Conceal(pcm []int16) (int, error) { return d.decode(pcm, nil, 0) }

func (d *opusDecoder) decode(pcm []int16, packet []byte, fec C.int) (int, error) {
	switch {
	case d.c == nil:
		return 0, errClosed
	case len(packet) > MaxAudioPacket:
		return 0, errLarge
	case len(pcm) == 0:
		return 0, errShort
	}
	// libopus treats more room than it can ever use as an error when it conceals.
	pcm = pcm[:min(len(pcm), opusRate*maxPacketMs/1000)]
	n := C.opus_decode(d.c, (*C.uchar)(unsafe.SliceData(packet)), C.opus_int32(len(packet)), (*C.opus_int16)(unsafe.SliceData(pcm)), C.int(len(pcm)), fec)
	if n < 0 {
		return 0, fmt.Errorf("decode Opus: %w", opusError(n))
	}
	return int(n), nil
}

func (d *opusDecoder) Rate() int { return opusRate }

func (d *opusDecoder) Close() {
	if d.c != nil {
		C.opus_decoder_destroy(d.c)
		d.c = nil
	}
}

// opusError is a result code of libopus.
type opusError C.int

func (e opusError) Error() string { return C.GoString(C.opus_strerror(C.int(e))) }

const (
	// After dtxAfterMs of digital silence nothing more is sent, but one packet each dtxRefreshMs, as often as libopus itself
	// updates comfort noise: the far end can tell silence from a dead path.
	dtxAfterMs   = 200
	dtxRefreshMs = 400
)

type opusEncoder struct {
	c        *C.OpusEncoder
	fec, dtx bool
	// speech is true while libopus chooses the mode, false while CELT is forced.
	speech bool
	// frame is the number of samples in a packet, silent how many were silent until now.
	frame, silent int
	// intra is true while the next packet must not depend on the one before, which was not sent.
	intra bool
}

func newOpusEncoder(o AudioOptions) (*opusEncoder, error) {
	if o.Bitrate == 0 {
		o.Bitrate = opusBitrate
	}
	if o.Complexity < 0 || o.Complexity > 10 {
		return nil, fmt.Errorf("complexity %d of Opus: want 0 to 10", o.Complexity)
	}
	var code C.int
	c := C.opus_encoder_create(opusRate, 1, C.OPUS_APPLICATION_VOIP, &code)
	if c == nil {
		return nil, fmt.Errorf("open Opus encoder: %w", opusError(code))
	}
	e := &opusEncoder{c: c, fec: o.FEC, dtx: o.DTX, frame: opusRate / 1000 * o.PacketMs}
	err := e.set(C.OPUS_SET_COMPLEXITY_REQUEST, C.int(o.Complexity))
	if err == nil {
		err = e.set(C.OPUS_SET_VBR_REQUEST, 1)
	}
	if err == nil {
		err = e.SetBitrate(o.Bitrate)
	}
	if err == nil {
		err = e.SetLoss(0)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *opusEncoder) set(request, value C.int) error {
	if e.c == nil {
		return errClosed
	}
	if code := C.set(e.c, request, value); code != C.OPUS_OK {
		return fmt.Errorf("set option %d of Opus to %d: %w", request, value, opusError(code))
	}
	return nil
}

func (e *opusEncoder) SetBitrate(bps int) error {
	if bps < 6000 || bps > 510_000 {
		return fmt.Errorf("%d bit/s of Opus: want 6,000 to 510,000", bps)
	}
	return e.set(C.OPUS_SET_BITRATE_REQUEST, C.int(bps))
}

func (e *opusEncoder) SetLoss(percent int) error {
	percent = max(0, min(percent, 100))
	if err := e.set(C.OPUS_SET_PACKET_LOSS_PERC_REQUEST, C.int(percent)); err != nil {
		return err
	}
	e.speech = e.fec && percent >= opusLoss
	mode, fec := C.int(C.MODE_CELT), C.int(0)
	if e.speech {
		mode, fec = C.OPUS_AUTO, 1
	}
	if err := e.set(C.OPUS_SET_INBAND_FEC_REQUEST, fec); err != nil {
		return err
	}
	return e.set(C.FORCE_MODE, mode)
}

func (e *opusEncoder) Encode(packet []byte, pcm []int16) (int, error) {
	switch {
	case e.c == nil:
		return 0, errClosed
	case len(pcm) != e.frame:
		return 0, fmt.Errorf("encode Opus: %d samples: want %d", len(pcm), e.frame)
	case len(packet) == 0:
		return 0, errShort
	}
	if e.dtx && e.rests(pcm) {
		e.intra = true
		return 0, nil
	}
	if e.intra {
		if err := e.set(C.OPUS_SET_PREDICTION_DISABLED_REQUEST, 1); err != nil {
			return 0, err
		}
	}
	n := C.opus_encode(e.c, (*C.opus_int16)(unsafe.SliceData(pcm)), C.int(len(pcm)), (*C.uchar)(unsafe.SliceData(packet)), C.opus_int32(len(packet)))
	if n < 0 {
		return 0, fmt.Errorf("encode Opus: %w", opusError(n))
	}
	if e.intra {
		e.intra = false
		if err := e.set(C.OPUS_SET_PREDICTION_DISABLED_REQUEST, 0); err != nil {
			return 0, err
		}
	}
	return int(n), nil
}

// rests tells whether this packet need not be sent: digital silence for a while, and it is not the time of a refresh.
// In a mix silence is digital, or else somebody is to be heard; libopus' own detection would need the speech modes.
func (e *opusEncoder) rests(pcm []int16) bool {
	for _, s := range pcm {
		if s != 0 {
			e.silent = 0
			return false
		}
	}
	e.silent += len(pcm)
	over := e.silent - opusRate/1000*dtxAfterMs
	if over < 0 {
		return false
	}
	return over%(opusRate/1000*dtxRefreshMs) >= len(pcm)
}

func (e *opusEncoder) Rate() int { return opusRate }

func (e *opusEncoder) Close() {
	if e.c != nil {
		C.opus_encoder_destroy(e.c)
		e.c = nil
	}
}
