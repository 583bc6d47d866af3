package stream

// order numbers the packets of one SSRC for the group sequence and tells a packet from its duplicate.
type order struct {
	begun  bool
	newest int64
	seen   [seenWindow / 64]uint64 // one bit for each of the newest packets
}

// seenWindow is how far back a packet is told from its duplicate: two seconds of a 4 Mbit/s picture.
const seenWindow = 1024

// firstSequence leaves numbers above 0 for packets that come before the first one.
const firstSequence = 1 << 16

// The limits within which a packet is one of this stream (RFC 3550, A.1): MAX_DROPOUT and MAX_MISORDER.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// extend returns the number nearest to the newest one.
func (o *order) extend(sequence uint16) int64 {
	if !o.begun {
		return firstSequence + int64(sequence)
	}
	return o.newest + int64(int16(sequence-uint16(o.newest)))
}

// far says whether a number is so far from the newest one that only a stream that begins anew can have it.
func (o *order) far(sequence uint16) bool {
	n := o.extend(sequence)
	return o.begun && (n-o.newest > maxDropout || o.newest-n > maxMisorder)
}

// missed says whether a packet with this number is missing from those that are long past.
func (o *order) missed(sequence uint16) bool {
	n := o.extend(sequence)
	back := o.newest - n
	return o.begun && back > maxMisorder && back < seenWindow && !o.has(n)
}

func (o *order) has(n int64) bool { return o.seen[n/64%int64(len(o.seen))]>>(n%64)&1 == 1 }

func (o *order) set(n int64, there bool) {
	word := &o.seen[n/64%int64(len(o.seen))]
	*word &^= 1 << (n % 64)
	if there {
		*word |= 1 << (n % 64)
	}
}

// restart makes room in the numbers, so that Senders see a jump that no loss makes.
func (o *order) restart(sequence uint16) {
	o.newest = (o.newest | 0xffff + 1) + 1<<16 + int64(sequence) - 1
	o.seen = [seenWindow / 64]uint64{}
}

// place returns the number of a packet, and false for one that has come before or is too old to tell.
func (o *order) place(sequence uint16, rtx bool) (int64, bool) {
	n := o.extend(sequence)
	switch {
	case !o.begun && rtx:
		return 0, false // nothing was asked for yet
	case !o.begun:
		o.begun, o.newest = true, n
	case n > o.newest && rtx:
		return 0, false
	case n > o.newest:
		if n-o.newest >= seenWindow {
			o.seen = [seenWindow / 64]uint64{}
		} else {
			for i := o.newest + 1; i < n; i++ {
				o.set(i, false)
			}
		}
		o.newest = n
	case o.newest-n >= seenWindow || o.has(n):
		return n, false
	}
	o.set(n, true)
	return n, true
}
