// Package leg is one SIP leg of a meeting: it joins a dialog (package sip), what is agreed on in it (sdp), the leg's media (mixer), the floor of
// presentations (floor) and the far end's camera (camera), and shows the meeting a [meeting.Line]. It makes outgoing calls, as a
// [meeting.Dialer], by the ways that the dial plan gives.
//
// What a leg may have is decided by [Settings], which come from callLegProfiles, the Call settings and the licence; who may be in a meeting,
// and when an incoming call is answered, is the meeting's.
//
// Invariants:
//   - Everything about one leg happens in order, in a goroutine that lives only while there is something to do: a leg that is up costs none.
//     Methods of [Line] and of what it is told by return at once.
//   - No description goes out before the media engine has opened the ports in it, and none that names ports which the engine gave up: a leg whose
//     worker died is offered anew as soon as it has ports at another one.
//   - There is one exchange of offer and answer at a time. What changes meanwhile is offered when it is over; what the far end refuses leaves
//     what was agreed on before.
//   - A leg ends exactly once: its caller is told, its media are deleted, its sockets closed, whichever side began.
//   - What comes from outside is bounded: a far end that asks faster than it is served is refused.
//
// Nothing is kept on a disk. After a crash of the Call Bridge far ends find out by their session timers, and the media engine deletes the legs.
//
// Source: RFC 3261, 3264, 3515, 3891, 5168 (fast update), 8855; deployment guide chapters 3.1.6, 6, 7.3, 16.1 and appendix D; reference
// sections 2.3, 2.4, 2.7 and 5.2.
package leg
