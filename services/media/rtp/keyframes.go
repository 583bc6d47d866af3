package rtp

import "time"

// keyFrameInterval is the shortest time between two requests for a key frame of one stream, and the time after which an
// unanswered one is repeated. A key frame is five to ten times as large as another; more often they would be the congestion.
const keyFrameInterval = time.Second

// KeyFrames decides when to ask for a key frame, or when to make one for those who ask. The zero value is ready.
type KeyFrames struct {
	// Number of the last request for FIR (RFC 5104): the same for a repeat. Asked counts requests, repeats included.
	Number uint8
	Asked  uint64

	wanted, sent bool
	last         time.Time

	seen     bool
	seenLast uint8
}

// Want notes that somebody needs a key frame.
func (k *KeyFrames) Want() { k.wanted = true }

// WantNumber notes a FIR; one with the number of the last is its repeat and asks for nothing.
func (k *KeyFrames) WantNumber(number uint8) {
	if k.seen && number == k.seenLast {
		return
	}
	k.seen, k.seenLast = true, number
	k.Want()
}

// Came notes that a key frame came, or was made: nobody waits any more.
func (k *KeyFrames) Came() { k.wanted, k.sent = false, false }

// Wanted reports whether somebody still waits.
func (k *KeyFrames) Wanted() bool { return k.wanted }

// Due reports whether a request is to be sent now, and counts it as sent.
func (k *KeyFrames) Due(now time.Time) bool {
	if !k.wanted || !k.last.IsZero() && now.Sub(k.last) < keyFrameInterval {
		return false
	}
	if !k.sent {
		k.Number++
	}
	k.sent, k.last = true, now
	k.Asked++
	return true
}
