package audio

import (
	"sync"
	"time"
)

// Config makes a bus.
type Config struct {
	Decoder func(codec string) (Decoder, error)
	Encoder func(codec string, o EncoderOptions) (Encoder, error)
	// Prompts caches sound files; one for all buses of a worker. Nil makes one.
	Prompts *Prompts
	// Loudest is how many sources are heard by rank; 0 means 3. Two more may be heard while they fade from the rank.
	Loudest int
	// Hold is how long a source stays in the mix after it was last loud; 0 means 400 ms.
	Hold time.Duration
	// OnSpeaker is called when the dominant speaker changes.
	OnSpeaker func(id uint32)
}

// Bus is one room.
type Bus struct {
	config Config
	mu     sync.Mutex
}

// NewBus makes an empty room.
func NewBus(c Config) *Bus { return &Bus{config: c} }

// AddSource adds a source with an id that is unique in the worker.
func (b *Bus) AddSource(id uint32, o SourceOptions) *Source { return &Source{id: id} }

// AddListener adds a listener that does not hear source id (0 for none). Send gets each payload in the audio thread; the bytes
// are valid until it returns and are shared with other listeners.
func (b *Bus) AddListener(id uint32, o ListenerOptions, send func(payload []byte, timestamp uint32, marker bool)) (*Listener, error) {
	return &Listener{id: id}, nil
}

// Tap gives the mix of everybody at 8, 16 or 48 kHz, 20 ms a call, in the audio thread.
func (b *Bus) Tap(rate int, f func(pcm []int16, at time.Time)) *Tap { return &Tap{} }

// TapSource gives one source alone, whether it is in the mix or not.
func (b *Bus) TapSource(id uint32, rate int, f func(pcm []int16, at time.Time)) *Tap { return &Tap{} }

// Play plays a prompt to everybody on the bus.
func (b *Bus) Play(p Play) error { return nil }

// Stop ends a prompt of the bus; an empty id ends all.
func (b *Bus) Stop(id string) {}

// Tick makes 20 ms of sound. Now is when it was due.
func (b *Bus) Tick(now time.Time) {}

// Speakers returns the sources that have been dominant speakers, the last one first.
func (b *Bus) Speakers() []uint32 { return nil }

// Close removes everything.
func (b *Bus) Close() {}
