// Package transport moves the packets of all legs of one media worker: it owns their UDP sockets, their ports, their keys
// and the one thread that reads them.
//
// # Threads
//
// [Loop.Run] locks itself to an operating-system thread and waits in epoll for every socket of every [Endpoint]. The sockets
// are plain non-blocking descriptors, not net.UDPConn: a packet goes from recvmmsg into the [Handler] without a hop through
// the runtime's poller and without an allocation. All methods of a Handler are called on that thread, one at a time, so that
// what a handler keeps for receiving needs no lock. Sending is done on the caller's thread, from any number of them; the
// lock of an endpoint is held while packets are protected, never during a system call.
//
// # What comes in
//
// The first byte tells STUN, DTLS and RTP apart (RFC 7983), the second RTP and RTCP when both share a port (RFC 5761). Every
// packet passes a token bucket before any cryptography: one for the source that the endpoint is locked to, a small one for
// all the others, so that strangers cannot use up what the peer may send. Plain RTP is locked to the first source that sends
// until it falls silent; protected RTP moves only with a packet that authenticates (RFC 4961 for why it moves at all).
//
// An [Exchange] is the one port that takes packets from more than one source: those of the other workers of the machine, on
// a loopback address.
//
// # Keys
//
// SDES (RFC 4568) takes both keys from the control client. DTLS-SRTP (RFC 5763, 5764) makes them in a handshake which runs
// in goroutines of its own over a queue that the loop fills; the certificate is made when the loop is made and lives as long
// as the worker. Until there are keys nothing is delivered and nothing is sent.
//
// # ICE
//
// An agent of pion/ice (RFC 8445, 7675) sees only the STUN messages of our sockets. Once it has selected a pair whose local
// end is one of these sockets, media goes straight from the socket to the remote address; only a relayed pair goes through
// the agent's TURN client, over two bounded queues, because a TURN server behind TCP may block.
//
// # Crashes
//
// Nothing is kept on disk. A worker that dies takes its ports with it; the controller puts its legs again elsewhere.
package transport
