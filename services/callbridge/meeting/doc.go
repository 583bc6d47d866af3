// Package meeting is the meetings that go on: calls, the participants in them, and their legs, from the first ring to the last goodbye.
// It decides who may come in and who waits in the lobby, who hears and sees whom, when a meeting ends and why; it tells the
// media engine by package mixer and the far ends by [Line], and it knows neither SIP nor XML.
//
// Words: a call is a meeting that goes on (the API's calls); a participant is somebody in it; a leg is one connection of a participant
// (callLegs). A gateway call between two endpoints is a call of type forwarding with two legs.
//
// Invariants: every decision is made under one lock from what is known at that moment, and takes no time that others would feel: what waits for
// the network or the disk is done outside, in order, leg by leg. Observers hear every [Change] once, in order, after [Control] shows
// it. A leg is in one call at a time, or in none (a menu). A call without legs ends, unless it is to stay when it is empty.
//
// Nothing is kept on a disk: when the process ends, its calls end; the next process tells the far ends (package callbridge). Source: deployment
// guide chapters 2.10, 2.11, 6, 7 and 17.1.2; reference sections 2.3 to 2.6, 5.5 to 5.8.
package meeting
