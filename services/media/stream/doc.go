// Package stream carries pictures between RTP packets and encoded frames, and from one producer to many receivers.
//
// The way of a picture:
//
//	packets → [Receiver] → [Stream] → [Sender] → packets       forwarded: nothing is decoded, nothing is copied twice
//	packets → [Receiver] → [AccessUnit] → decoder              when somebody needs pixels
//	encoder → [Packetizer] → [Stream] → [Sender] → packets     composed: encoded once, split once, sent many times
//
// A Stream numbers its packets with a group sequence and keeps the last second of them in one cache, which answers the
// retransmission requests of all its receivers. A Sender is one outgoing SSRC: it rewrites the header of what its Stream
// gives it and changes to another Stream only where that one has a key frame, so that its receiver sees one unbroken
// sequence with rising timestamps, whatever happens behind it.
//
// Invariants:
//   - No packet allocates. Buffers are bounded: a Stream by [MaxCache], an access unit by [MaxUnit], a Receiver by
//     its window; what the net sends cannot make anything grow.
//   - A Stream has one publisher at a time. Its packets lie in the cache with room before them, into which each
//     Sender in turn writes its header: there is no copy a receiver, until the transport encrypts into its own buffer.
//   - Locks are taken in the order Stream.publish, Sender.mu, then the short ones of a Stream. Callbacks that ask for
//     key frames and retransmissions run without any Sender's lock.
//
// Everything here is lost in a crash and made anew: a receiver sees a new SSRC and asks for a key frame.
//
// RFC 3550 (RTP), 4588 (retransmission), 6184 (H.264), 7741 (VP8), 8285 (header extensions), 9628 (VP9).
package stream
