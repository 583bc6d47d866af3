// Package turn is the STUN and TURN server (RFC 8489, RFC 8656; deployment guide chapters 2.5, 2.6, 3.3 and 4.7): the verb "turn" of
// the program services.
//
// # What it owns
//
// UDP 3478 on every address of the chosen interfaces, TCP 3478 and a port for TCP and TLS when one is set, and the relay ports UDP
// 50000–62000. Its settings are a file that PID 1 writes ([Main]); it follows the addresses of its interfaces by itself. Nothing is
// kept on disk: a crash ends the allocations, and clients make others.
//
// # Who decides what
//
// pion/turn answers requests: lifetimes, permissions, channels, nonces. A front stands before each of its servers (front.go)
// and judges every STUN message first, without allocating for strangers: credentials (static, or time-limited user names with the
// HMAC-SHA1 or HMAC-SHA256 of a shared secret), how often a source is answered without good ones, quotas, peers that nobody
// may reach. What does not authenticate reaches pion without its signature, so that pion answers with 401 and a nonce. An
// allocation keeps the user and the key that it was made with: neither the end of a time-limited name nor new credentials
// cut a call.
//
// # The fast path
//
// In high-capacity mode pion never sees media of UDP clients. For each core and address there is a lane: a listening socket in a group
// of SO_REUSEPORT, among which the kernel shares out the clients, with the relays of its clients, a table of them, and one
// thread. The thread is pion's own reading goroutine: [lane.ReadFrom] is the loop of the lane, and returns only when a
// STUN message is for pion, which answers it there and then and comes back. So nothing that belongs to a lane needs a lock, and
// no two cores share one. What pion's timers end on other threads is posted to the lane.
//
// A round of the loop takes what is there with recvmmsg and GRO, and collects what leaves: packets of one allocation for one
// receiver and of equal size become one message with UDP GSO. Nothing is copied; a message is a list of pieces that lie where
// they came in, with channel headers between them. Channels and permissions of an allocation are a value that never changes
// but by a copy, so that any lane may read those of any allocation: what goes from relay to relay is sent to the other's
// client at once. It never leaves the process, and no firewall has to send it back (appendix G.3). A lane that carries more than
// 10,000 packets a second looks at its sockets every 300 µs, as network cards hold back interrupts, and waits for none of
// them: half of all packets are through in 0.3 ms, nine of ten in 0.55 ms. It goes back to waiting when four looks in a row have
// found nothing.
//
// Measured beside coturn 4.6.1 on one core each, medians of five rounds beside other work (make bench-turn; two busy cores of an
// AMD EPYC), CPU time of a packet:
//
//	              fast path   pion alone   coturn
//	200 bytes     8.4 µs      18.4 µs      18.7 µs
//	1,000 bytes   5.0 µs      11.2 µs      8.6 µs
//
// Of what is left more than nine tenths are the kernel's: half is sending, a third receiving. Each part paid: without the
// naps 200 bytes took 13.5 µs; without GSO, which needs frames to be whole, 1,000 bytes 6.7. Naps of 200 µs with a wait in epoll
// between them took 5.3 µs where naps of 300 µs alone took 4.3, and 400 µs no less; to wait first and nap then was no better.
// An idle allocation takes 12 kB, half of coturn's; the goroutine that pion keeps for each relay is ended by its first read
// ([fastRelay.ReadFrom]).
//
// # What TCP and the other mode do
//
// Clients over TCP and TLS are carried by pion, each with a queue of 128 kB that drops the oldest media and never an answer.
// So is everybody without high-capacity mode. Such relays reach others by the kernel's own loopback, under the
// addresses that clients know.
//
// # What strangers can do
//
// Every table is bounded: ports, quotas, 64 channels and permissions an allocation, 4,000 connections, and a rate limiter of fixed
// size. Peers that are loopback, link-local, multicast, below port 1024, or this machine below the ports of media are refused
// and counted. The figures are on loopback, see [Server.Handler].
package turn
