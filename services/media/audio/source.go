package audio

import "time"

// SourceOptions are what can change while a source lives.
type SourceOptions struct {
	// Muted: nobody hears it, and it is no speaker.
	Muted bool
	// Gain evens out its loudness.
	Gain bool
	// Link is the mix of another worker: it is heard whenever it is not silent, and takes nobody's place.
	Link bool
}

// Source is the sound that comes from a leg.
type Source struct{ id uint32 }

// SourceStats are figures since the source began.
type SourceStats struct {
	Codec string
	// Level is the last one in dBov, -127 for silence.
	Level int
	// Delay of the jitter buffer now, its Target, and Jitter of the packets by RFC 3550.
	Delay, Target, Jitter time.Duration
	// Packets came; Lost were missing when their time came and Late came after it. Duplicates came twice.
	Packets, Lost, Late, Duplicates uint64
	// Concealed are packet times (20 ms) that were guessed, Recovered came out of FEC.
	Concealed, Recovered uint64
	// Stretched and Shrunk are how often the sound was made longer or shorter to follow the target.
	Stretched, Shrunk uint64
	// Resets of the time base: jumps of time stamps, changes of SSRC.
	Resets uint64
	// Gain in dB.
	Gain float64
	// Heard is true while it is in the mix.
	Heard bool
}

// Push takes a packet from the network thread.
func (s *Source) Push(p Packet) {}

// Update changes the options.
func (s *Source) Update(o SourceOptions) {}

// Stats returns the figures.
func (s *Source) Stats() SourceStats { return SourceStats{} }

// Move takes the source to another bus without a gap.
func (s *Source) Move(to *Bus) {}

// Remove takes the source away.
func (s *Source) Remove() {}
