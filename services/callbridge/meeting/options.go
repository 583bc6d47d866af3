package meeting

import (
	"log/slog"
	"time"

	"rotunda/services/callbridge/attendant"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/store"
)

// Options are what meetings need. The functions among them are called under a lock: they must not wait, nor ask meetings for anything.
type Options struct {
	Mixer  *mixer.Mixer
	Dialer Dialer
	// Log and Clock may be nil.
	Log   *slog.Logger
	Clock Clock
	// View is the objects now; nil while the database does not answer: the last ones that were seen count then.
	View func() store.View
	// Prompts may be nil: nothing is said then.
	Prompts Prompts
	// Limiter bounds wrong passcodes and meeting IDs over all calls; nil is [attendant.Guesses] as they are by default.
	Limiter attendant.Limiter
	// Licence says what missing licences ask for; nil, and the zero value, ask for nothing.
	Licence func() LicenceEffects
}

// LicenceEffects are what callers notice of missing licences (guide chapter 17.1.2). The zero value is a system with all of them.
type LicenceEffects struct {
	// Message is shown to everybody who joins, for MessageTime, or as long as they are there for 0; empty for none.
	Message     string
	MessageTime time.Duration
	// Prompt says whether it is spoken to those who join as well.
	Prompt bool
	// RefuseEncrypted ends calls whose media are encrypted.
	RefuseEncrypted bool
	// NoCustomizations leaves layouts of one's own out.
	NoCustomizations bool
	// MayStart says whether a recording or a stream may start beside those that run; nil for yes.
	MayStart func(recordings, streams int) (recording, stream bool)
}

// Clock is the time. Tests have one that they move themselves.
type Clock interface {
	Now() time.Time
	// AfterFunc runs f in a goroutine of its own after d, unless stop comes before.
	AfterFunc(d time.Duration, f func()) (stop func())
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// Prompts finds what is played and shown (guide chapter 2.9, reference section 5.9). A location is the resourceLocation of a branding profile,
// "" for what is built in. Its methods do not wait: what is not there yet is that of the system.
type Prompts interface {
	// Prepare fetches a location of a kind: a call that begins will want it.
	Prepare(kind prompt.Kind, location string)
	// Files returns the WAV files of prompts, one after the other.
	Files(kind prompt.Kind, location string, names ...prompt.Name) []string
	// Background returns a picture, "" for none.
	Background(kind prompt.Kind, location string) string
}
