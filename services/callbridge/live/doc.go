// Package live is what the API shows and changes of calls that go on: calls, callLegs and participants (reference section 2.3), the counters
// of system/status, the load, diagnostics of a meeting, and what calls use of licences.
//
// It is a [api.Live] over [meeting.Control]. All that is shown is read when it is asked for: nothing is kept here but counters since the start, a
// bounded history of what changed in each meeting, and figures of media that are at most a second old. So there is nothing to lose in a crash:
// calls end with the Call Bridge, and counters begin again at 0.
//
// Invariants: a list never asks the media engine, unless it is filtered by a figure; the engine is asked for many legs at once, by one request at
// a time, however many clients poll. Memory is bounded by the number of legs and by the limits in history.go.
//
// Source: reference sections 2.3, 2.4, 2.11, 5.6 to 5.8 and 5.11; deployment guide chapters 16.3 and 17.1.5 to 17.1.9.
package live
