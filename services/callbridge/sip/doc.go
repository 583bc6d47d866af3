// Package sip is the Call Bridge's end of the SIP wire: sockets, messages, transactions and dialogs of calls (RFC 3261). What a call is for and
// what its session descriptions mean is decided elsewhere; this package carries them as bytes.
//
// An [Agent] owns the sockets. A [Call] is one INVITE dialog; its methods return at once, and what comes of them is told to its [Handler],
// in order, never under a lock of this package.
//
// Invariants:
//   - An idle call costs memory and one timer, no goroutine. A UDP socket has one goroutine, a stream connection two.
//   - Everything that comes from outside is bounded by [Limits]: size, number and time. What is over a limit gets a 503 with Retry-After where an
//     answer is worth its cost, and nothing otherwise. Requests outside of calls are answered without keeping state.
//   - A UDP source that has not shown that it gets our answers is sent one answer to a request, which is no longer than needed; a 2xx to INVITE
//     is sent again four times.
//   - A transaction's message is written once; retransmissions send the same bytes.
//   - What the network says of a datagram (ICMP) counts for a request that has heard nothing yet, and that it quotes; no call that is up ends by it.
//
// After a crash nothing is left but what [Options.Keep] noted: with that the next process sends a BYE to each far end ([Agent.Bury]). Those that it does not
// reach end calls by their session timers (RFC 4028) and, as our answer to whatever they send in a dialog that nobody knows is 481, by their next request. Far ends that
// die are found by our session timers in the same way.
//
// Messages and transactions are our own and not those of emiago/sipgo, which is a far end in the package's tests. In its version 1.7.2 each message is
// handled by a goroutine of its own, so that an ACK and the BYE behind it change places, and a flood is a flood of goroutines; a client transaction
// waits for its user under its lock, and sleeps for T2 there when a final answer comes again; a server transaction answers CANCEL by itself, with a To tag
// other than that of the 180; timers are variables of the package; the UDP transport keeps an entry for every source address. Of the 59 torture messages
// in the tests its parser takes nine that are malformed for good ones and refuses a good one, and of five malformed ones it returns nothing, so
// that nobody can be told what is wrong.
//
// Source: RFC 3261, 3262 (PRACK), 3263 (by the caller's resolver), 3311 (UPDATE), 3326 (Reason), 3515 and 4488 (REFER), 3581 (rport), 3891
// (Replaces), 3966 (tel), 4028 (session timers), 5626 (keep-alives), 5923, 6026, 6086 (INFO), 7616 and 8760 (digest); deployment guide chapters 6, 16.1 and
// appendix B.
package sip
