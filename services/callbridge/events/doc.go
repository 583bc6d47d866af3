// Package events tells clients of what goes on in meetings, as it happens, over a WebSocket: which calls there are, how a call is, and who is
// in it.
//
// A client gets a token by POST /api/v1/authTokens and connects to /events/v1?authToken=…, on the port of the Web Admin. Both
// sides send JSON in text frames. Every message has a number of its sender's, messageId, and is acknowledged by the other side. A client
// sends one kind of message, subscribeRequest, which replaces everything that it had subscribed to before; it is answered with the
// state of each subscription and then, for as long as the connection lasts, with what changed, and only in the elements that were asked for. The
// elements are the tables in elements.go.
//
// # Invariants
//
// What a client was told, put together, is what is; on the way there, states that passed before they could be told are left out. For
// that, no message waits anywhere: a subscription knows which objects changed since the client was last told of them, and what it was told,
// and a message is made of the difference when it can be sent. So a client that is slow costs no memory but that, and nobody waits
// for it. At most [window] messages are unacknowledged at a time. A client that leaves one without an answer for a minute is
// disconnected, with a reason that it can read.
//
// Work is in proportion to what changes: a change of one participant looks at that participant in each subscription to its call.
//
// Tokens, connections, subscriptions, sizes of messages and objects that a client follows are bounded. Nothing is kept on a disk: at the end
// of the process, or in a crash, connections end and tokens with them; clients log in again and subscribe again.
//
// Source: deployment guide 18.2, reference section 4, RFC 6455.
package events
