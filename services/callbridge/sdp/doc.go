// Package sdp translates between session descriptions of SIP endpoints and legs of the media engine: offers and answers as pure,
// deterministic functions. It does no I/O, holds no lock and knows no SIP; one [Session] belongs to one leg and to one goroutine at a time.
//
// The order of calls, for each of the ways a description comes about:
//
//	call comes in:    ReadOffer → Apply, put → WriteAnswer
//	call goes out:    Prepare → Apply, put → WriteOffer … ReadAnswer → Apply, put
//	late offer:       Prepare → Apply, put → WriteOffer (in 2xx) … ReadAnswer (of the ACK) → Apply, put
//	re-INVITE comes:  as a call that comes in; without a body: PrepareAll → Apply, put → WriteOffer … ReadAnswer → Apply, put
//	re-INVITE goes:   as a call that goes out; Prepare keeps what was agreed on
//	offer is refused: Rollback → Apply, put
//	worker is lost:   the same as a re-INVITE that goes out; only ports differ
//
// Invariants: an m-line keeps its place for the life of the session, rejected ones with port 0; a payload type means the same format for as
// long as the session lasts; the version of o= rises exactly when something else of the description changed; keys stay the same from one
// description to the next, and are new when the far end is another one. What cannot be read changes nothing: after an error the session is as
// it was before. Nothing is kept on a disk: after a crash of the Call Bridge its dialogs are gone and their sessions with them.
//
// Bounds of what comes from outside: 64 KiB, 32 m-lines, 64 formats a line. Unknown lines and attributes are ignored.
//
// pion/sdp refuses what endpoints send every day (m=image, unknown b= types, a= before t=), so descriptions are read by a parser of this
// package; tests read everything that is written with pion/sdp.
//
// Source: RFC 8866 and 3264 (offer/answer), 3551, 3605, 3890, 4145, 4568 (SDES), 4585, 5104, 5763 and 8842 (DTLS-SRTP), 5761, 6184 (H.264),
// 6464, 7587 (Opus), 7741 (VP8), 7714, 8839 (ICE), 8843 (BUNDLE), 8856 (BFCP), 4573 (H.224); deployment guide 7.3, 7.4, appendix D and I.3.
package sdp
