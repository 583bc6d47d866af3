// Package mixer is the Call Bridge's end of the media engine: it holds what each leg and each conference should be, tells the engine, and
// tells it again when a media worker was lost.
//
// The wanted state of a leg has two writers, signalling (transports, codecs, keys) and the meeting (conference, view, mutes); both change
// their own fields by [Leg.Set] or [Leg.Put], and the leg puts the sum, one put after the other, the newest state only.
//
// Invariants: puts of one object are in order and never two at once; nobody waits for the engine but who asked to; when a leg's worker dies,
// it is put again at once and whoever signals hears of its new ports ([Handler.Moved]), within the two seconds that the far end is
// without media. Nothing is kept on a disk; a Call Bridge that starts anew finds what it left deleted (control.NewClient).
// Source: deployment guide chapter 2.10, docs/reference/media-control.md.
package mixer
