package audio

import "time"

// ListenerOptions are what can change while a listener lives.
type ListenerOptions struct {
	Codec string
	// PacketMs is 10, 20 or 40; 0 means 20.
	PacketMs int
	// Bitrate in bits per second and Complexity, 0 for the codec's default.
	Bitrate, Complexity int
	FEC, DTX            bool
	// Deaf: it hears its own prompts only.
	Deaf bool
	// Hold sends nothing at all, as on a stream that is not sendrecv; time stamps go on.
	Hold bool
}

// Listener is the sound that goes to a leg.
type Listener struct{ id uint32 }

// Update changes the options; with another codec the next packet is in it.
func (l *Listener) Update(o ListenerOptions) error { return nil }

// Play plays a prompt to this listener.
func (l *Listener) Play(p Play) error { return nil }

// Stop ends a prompt; an empty id ends all.
func (l *Listener) Stop(id string) {}

// Timestamp is the RTP time that belongs to a moment, for sender reports.
func (l *Listener) Timestamp(at time.Time) uint32 { return 0 }

// Move takes the listener and its prompts to another bus; time stamps go on.
func (l *Listener) Move(to *Bus) {}

// Remove takes the listener away; its prompts are done.
func (l *Listener) Remove() {}

// Tap hands PCM to a recorder.
type Tap struct{}

// Remove ends it. After it has returned the function is not called any more.
func (t *Tap) Remove() {}
