// Package floor is the Binary Floor Control Protocol: who of a call's two ends may send the presentation. One [Connection] belongs to one leg.
//
// As the floor control server the far end asks us ([Handler.Requested]) and the meeting decides ([Connection.Grant], Deny, Revoke); as the client
// we ask a far end that hosts meetings itself (other bridges, recorders). The protocol is a pure state machine with the time handed in; a
// connection is that machine, one socket and one goroutine, which also calls the handler.
//
// For a meeting both roles are the same: the far end wants to present when the server hears Requested or the client StatusOther(true), and has ended
// when it hears Released or StatusOther(false); others present to the far end with ShowOther(true) as the server, with Request as the client, whose
// Denied or Revoked says that the far end does not take it.
//
// Invariants: there is one floor, one user and one request at a time to a connection, so its memory is bounded whatever the far end sends.
// Over UDP only the far end that was negotiated is heard; when it sits behind a translator, the first that knows conference and user takes its
// place. Requests over UDP are repeated after 0.5, 1 and 2 s; nobody answering 4 s later is a lost peer: what it held is given back, a client goes on
// trying to come back.
//
// Nothing is kept on a disk. Source: RFC 8855 (messages, UDP as version 2, TCP as version 1), RFC 8856 (session description, in package sdp),
// deployment guide chapter on call settings (server role only, server and client role).
package floor
