package srtp

// windowSize is how many packets back a late one is still told from a replay. RFC 3711 section 3.3.2 asks for 64 at least.
// Here answers to NACK without a retransmission stream come with their first number, up to a second late: at 4 Mbit/s that is
// about 450 packets. 1024 costs 128 bytes a source.
const windowSize = 1024

// window knows which indices of one source have been used: bit i%windowSize stands for index i, for the windowSize indices
// up to the highest.
type window struct {
	started bool
	highest uint64
	bits    [windowSize / 64]uint64
}

// guess returns the index of a packet with this sequence number, the nearest to the highest so far (RFC 3711 section 3.3.1
// and appendix A). It is false if that would lie before the first one.
func (w *window) guess(sequence uint16) (index uint64, ok bool) {
	if !w.started {
		return uint64(sequence), true
	}
	distance := int64(int16(sequence - uint16(w.highest)))
	if distance < 0 && uint64(-distance) > w.highest {
		return 0, false
	}
	return w.highest + uint64(distance), true
}

// fresh reports whether an index is neither used nor too old.
func (w *window) fresh(index uint64) bool {
	if !w.started || index > w.highest {
		return true
	}
	if w.highest-index >= windowSize {
		return false
	}
	return w.bits[index%windowSize/64]&(1<<(index%64)) == 0
}

// use marks an index as used.
func (w *window) use(index uint64) {
	switch {
	case !w.started || index > w.highest+windowSize:
		clear(w.bits[:])
		w.highest = max(w.highest, index)
		w.started = true
	case index > w.highest:
		for i := w.highest + 1; i < index; i++ {
			w.bits[i%windowSize/64] &^= 1 << (i % 64)
		}
		w.highest = index
	case w.highest-index >= windowSize:
		return // a repeat from before the window
	}
	w.bits[index%windowSize/64] |= 1 << (index % 64)
}
