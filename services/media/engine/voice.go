package engine

import (
	"slices"
	"sync"
	"time"

	"rotunda/services/media/audio"
	"rotunda/services/media/codec"
)

// voice is one sound as AAC-LC, encoded once for all sinks that take it.
type voice struct {
	tap     *audio.Tap
	encoder *codec.AACEncoder

	mu     sync.Mutex
	sinks  []*sink
	pcm    []int16
	packet []byte
	// at is the time of the next frame.
	at time.Time
}

// Sound of sinks: 48 kHz mono, 64 kbit/s, which is past what 32 kbit/s of Opus can hold.
const (
	sinkRate    = 48000
	sinkBitrate = 64_000
	frameTime   = codec.AACFrame * time.Second / sinkRate
)

// listen begins to encode a sound for a first sink.
func listen(first *sink, tap func(take func([]int16, time.Time)) *audio.Tap) (*voice, error) {
	e, err := codec.NewAACEncoder(sinkRate, 1, sinkBitrate)
	if err != nil {
		return nil, err
	}
	v := &voice{encoder: e, pcm: make([]int16, 0, 2*codec.AACFrame), packet: make([]byte, e.MaxPacket()), sinks: []*sink{first}}
	v.tap = tap(v.take)
	return v, nil
}

// hear has a sink take the mix of a conference.
func (c *conference) hear(k *sink) (*voice, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.voice != nil && c.voice.join(k) {
		return c.voice, nil
	}
	v, err := listen(k, func(take func([]int16, time.Time)) *audio.Tap { return c.bus.Tap(sinkRate, take) })
	if err != nil {
		return nil, err
	}
	c.voice = v
	return v, nil
}

// join adds a sink; false if the last one has just gone.
func (v *voice) join(k *sink) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.sinks) == 0 {
		return false
	}
	v.sinks = append(v.sinks, k)
	return true
}

// part takes a sink away; nothing comes to it any more when this returns.
func (v *voice) part(k *sink) {
	v.mu.Lock()
	v.sinks = slices.DeleteFunc(v.sinks, func(o *sink) bool { return o == k })
	last := len(v.sinks) == 0
	v.mu.Unlock()
	if last {
		v.tap.Remove()
		v.encoder.Close()
	}
}

// take gets 20 ms of sound in the audio thread.
func (v *voice) take(pcm []int16, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.sinks) == 0 {
		return
	}
	// The first frame is made of silence before the sound and of its first samples, and what a decoder gives out for it is
	// the silence. After a stall of the sound's thread the mix has a gap, which the frames' times follow.
	begin := at.Add(-frameTime - time.Duration(len(v.pcm))*time.Second/sinkRate)
	if begin.Sub(v.at).Abs() > frameTime/2 {
		v.at = begin
	}
	v.pcm = append(v.pcm, pcm...)
	for len(v.pcm) >= codec.AACFrame {
		n, err := v.encoder.Encode(v.packet, v.pcm[:codec.AACFrame])
		v.pcm = v.pcm[:copy(v.pcm, v.pcm[codec.AACFrame:])]
		if err != nil || n == 0 {
			continue
		}
		for _, k := range v.sinks {
			k.sound(v.packet[:n], v.at)
		}
		v.at = v.at.Add(frameTime)
	}
}
