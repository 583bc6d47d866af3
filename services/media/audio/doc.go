// Package audio is the sound of a worker: it takes packets of many sources, mixes those who are heard, and encodes what
// listeners get.
//
// # Model
//
// A [Bus] is one room: a conference, or one leg alone with its prompts. A [Source] is what comes from a leg or a link to
// another worker; a [Listener] is what goes to a leg; a [Tap] hands PCM to a recorder. Each can be on a bus without the
// others. One audio thread calls [Bus.Tick] for every bus every 20 ms (see [Ticker]); the network thread calls
// [Source.Push]; control threads do the rest.
//
// Work is done once. Loudness is read from the packet (RFC 6464) or judged on the payload, so that only the loudest few
// are decoded; they are mixed once; all listeners with the same codec, packet time, bit rate, FEC and DTX get the bytes
// of one encode; only who is in the mix gets a mix without itself and an encode of its own. A room in which nobody talks
// costs no encode at all: the last encode of silence is sent again.
//
// Of a room on several workers each mixes its own sources for the others ([Bus.TapInner]) and hears theirs as a link
// ([SourceOptions].Link): what comes over a link goes into no mix for others. As a speaker a link stands for whoever leads at its other
// end, so that all workers find the same dominant speaker.
//
// A listener moves between the common encode and its own at a packet boundary. Resampler and limiter are handed over with
// their memory; the encoder that takes over first encodes, for nobody, the last packet that the far end heard, and if the
// other encoder is not needed any more it is handed over itself. What remains, measured over the worst 33 ms: nothing
// for G.711 and Opus, −26 dB for G.722, whose predictors meet again soon after.
//
// # Invariants
//
//   - Inside, sound is float32 at 48 kHz in units of a 16-bit sample, 960 samples a tick.
//   - Tick and Push do not allocate in steady state.
//   - Push takes the source's own mutex and nothing else, and that mutex is never held while anything is decoded, so
//     the network thread does not wait for a tick. Bus.mu is held for a whole tick: control threads wait for it.
//   - Lock order: Bus.mu of two buses by their number, then Source.mu.
//   - Callbacks of Play and Config run with no lock held. Send functions of listeners and taps run inside of the tick: they
//     must be short and must not call the bus.
//
// Nothing here outlives the process; a worker that crashes loses the jitter buffers, some 40 ms of sound.
//
// The mixing follows the service figures of guide chapter 15.7; levels RFC 6464; packet times RFC 3551; dominant speakers
// Volfin and Cohen, "Dominant speaker identification for multipoint videoconferencing" (2013).
package audio
