package rtp

import (
	"encoding/binary"
	"time"
)

// Transport-wide congestion feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.
const (
	// arrivalWindow is how many packet numbers are remembered, a power of two: over a second of 8 Mbit/s, ten times what one
	// interval of feedback brings.
	arrivalWindow = 1024
	// maxDeltas bounds the bytes of arrival times in one packet of feedback, so that it stays under 1200 bytes with the
	// worst of chunks.
	maxDeltas = 800

	deltaUnit     = 250 * time.Microsecond
	referenceUnit = 64 * time.Millisecond
)

// Symbols of a packet's state.
const (
	notReceived = iota
	smallDelta  // one byte, up to 63.75 ms after the packet before
	largeDelta  // two bytes with a sign
)

// Arrivals notes when the packets of one transport arrive and makes feedback of it. The zero value is ready. Feedback is due
// every 50 to 100 ms while packets come.
type Arrivals struct {
	numbers Sequence
	// at[n%arrivalWindow] is when packet n came, in nanoseconds since origin plus 1; 0 for one that did not.
	at     [arrivalWindow]int64
	origin time.Time
	// next is the first number that the next feedback tells of.
	next   int64
	fresh  bool
	number uint8

	symbols [arrivalWindow]uint8
}

// Packet notes a packet by its transport sequence number.
func (a *Arrivals) Packet(number uint16, now time.Time) {
	newest, started := a.numbers.Newest()
	if !started {
		// The reference time of 24 bits must not be negative, so the origin is a little before.
		a.origin = now.Add(-referenceUnit)
		a.next = a.numbers.Extend(number)
		newest = a.next - 1
	}
	n := a.numbers.Extend(number)
	if n > newest {
		for m := max(newest+1, n-arrivalWindow+1); m < n; m++ {
			a.at[m&(arrivalWindow-1)] = 0
		}
		a.at[n&(arrivalWindow-1)] = 0
		a.next = max(a.next, n-arrivalWindow+1)
	}
	slot := &a.at[n&(arrivalWindow-1)]
	if n <= newest-arrivalWindow || *slot != 0 {
		return
	}
	*slot = max(int64(now.Sub(a.origin)), 0) + 1
	// A late packet was told to be lost before; telling again from it on puts that right.
	a.next = min(a.next, n)
	a.fresh = true
}

// Due reports whether there is anything to tell.
func (a *Arrivals) Due() bool { return a.fresh }

// AppendFeedback appends one feedback packet, or nothing. If more is true there is more to tell than fits into it, and the
// caller sends this one and calls again.
func (a *Arrivals) AppendFeedback(dst []byte, sender, media uint32) (out []byte, more bool) {
	if !a.fresh {
		return dst, false
	}
	newest, _ := a.numbers.Newest()
	first := a.next
	for first <= newest && a.at[first&(arrivalWindow-1)] == 0 {
		first++
	}
	if first > newest {
		a.fresh = false
		return dst, false
	}
	reference := (a.at[first&(arrivalWindow-1)] - 1) / int64(referenceUnit)

	// Pass 1: the symbols, as many as have room and whose times can be told from the one before.
	previous := reference * int64(referenceUnit/deltaUnit)
	count, deltas := 0, 0
	for n := a.next; n <= newest; n++ {
		symbol := uint8(notReceived)
		if at := a.at[n&(arrivalWindow-1)]; at != 0 {
			units := (at - 1) / int64(deltaUnit)
			delta := units - previous
			if delta != int64(int16(delta)) || deltas+2 > maxDeltas {
				break
			}
			previous = units
			symbol = smallDelta
			deltas++
			if delta < 0 || delta > 255 {
				symbol = largeDelta
				deltas++
			}
		}
		a.symbols[count] = symbol
		count++
	}

	start := len(dst)
	dst = beginFeedback(dst, typeRTPFB, formatTransport, sender, media)
	dst = binary.BigEndian.AppendUint16(dst, uint16(a.next))
	dst = binary.BigEndian.AppendUint16(dst, uint16(count))
	dst = binary.BigEndian.AppendUint32(dst, uint32(reference)<<8|uint32(a.number))
	dst = appendChunks(dst, a.symbols[:count])

	// Pass 2: the times.
	previous = reference * int64(referenceUnit/deltaUnit)
	for i, symbol := range a.symbols[:count] {
		if symbol == notReceived {
			continue
		}
		units := (a.at[(a.next+int64(i))&(arrivalWindow-1)] - 1) / int64(deltaUnit)
		if symbol == smallDelta {
			dst = append(dst, byte(units-previous))
		} else {
			dst = binary.BigEndian.AppendUint16(dst, uint16(units-previous))
		}
		previous = units
	}
	// What fills the last word is declared as padding: a reader that takes it for a time would be off.
	if fill := -(len(dst) - start) & 3; fill > 0 {
		dst = append(dst, 0, 0, 0)[:len(dst)+fill]
		dst[len(dst)-1] = byte(fill)
		dst[start] |= 0x20
	}
	dst = end(dst, start)
	a.next += int64(count)
	a.number++
	a.fresh = a.next <= newest
	return dst, a.fresh
}

const (
	maxRun   = 1<<13 - 1
	wideBits = 14 // symbols of one bit in a vector
	wideTwos = 7  // symbols of two bits
)

// appendChunks encodes the states: a run where that covers at least as much as a vector would, else the vector that holds
// them (section 3.1.3 and 3.1.4).
func appendChunks(dst []byte, symbols []uint8) []byte {
	for len(symbols) > 0 {
		run := 1
		for run < len(symbols) && run < maxRun && symbols[run] == symbols[0] {
			run++
		}
		n := min(wideBits, len(symbols))
		for i, s := range symbols[:n] {
			if s == largeDelta {
				n = min(i, n)
				break
			}
		}
		chunk := uint16(0)
		switch {
		case run >= wideBits || run == len(symbols) || n < wideTwos && run >= wideTwos:
			n = run
			chunk = uint16(symbols[0])<<13 | uint16(run)
		case n >= wideTwos:
			chunk = 1 << 15
			for i, s := range symbols[:n] {
				chunk |= uint16(s) << (wideBits - 1 - i)
			}
			// A vector always stands for 14 packets; only the last may tell of packets beyond the count.
			if n < wideBits && n < len(symbols) {
				n = wideTwos
				chunk = twoBits(symbols[:n])
			}
		default:
			n = min(wideTwos, len(symbols))
			chunk = twoBits(symbols[:n])
		}
		dst = binary.BigEndian.AppendUint16(dst, chunk)
		symbols = symbols[n:]
	}
	return dst
}

func twoBits(symbols []uint8) uint16 {
	chunk := uint16(3 << 14)
	for i, s := range symbols {
		chunk |= uint16(s) << (2 * (wideTwos - 1 - i))
	}
	return chunk
}

// Transport begins a walk over the packets that a Transport packet tells of.
func (c *Compound) Transport() TransportFeedback {
	head := binary.BigEndian.Uint32(c.body[12:])
	f := TransportFeedback{
		number: binary.BigEndian.Uint16(c.body[8:]),
		left:   int(binary.BigEndian.Uint16(c.body[10:])),
		// 24 bits with a sign, as it is read by others.
		Reference: time.Duration(int32(head)>>8) * referenceUnit,
		Count:     uint8(head),
		chunks:    c.body[16:],
	}
	// The times begin behind the chunks, which are as many as it takes to cover the count.
	covered, n := 0, 0
	for covered < f.left && n+2 <= len(f.chunks) {
		covered += chunkLength(binary.BigEndian.Uint16(f.chunks[n:]))
		n += 2
	}
	if covered < f.left {
		f.left = 0
		f.bad = true
	}
	f.chunks, f.deltas = f.chunks[:n], f.chunks[n:]
	return f
}

func chunkLength(chunk uint16) int {
	switch {
	case chunk>>15 == 0:
		return int(chunk & maxRun)
	case chunk>>14 == 2:
		return wideBits
	}
	return wideTwos
}

// TransportFeedback walks over the packets of a feedback packet.
type TransportFeedback struct {
	// Reference is the time that arrivals count from, on the far end's clock; it wraps after 2^24 · 64 ms. Count numbers the
	// feedback packets.
	Reference time.Duration
	Count     uint8
	// Number, Received and Arrived (since Reference) are of the current packet.
	Number   uint16
	Received bool
	Arrived  time.Duration

	number         uint16
	left           int
	chunks, deltas []byte
	chunk          uint16
	inChunk        int
	bad            bool
}

// Next goes on to the next packet.
func (f *TransportFeedback) Next() bool {
	if f.left == 0 || f.bad {
		return false
	}
	for f.inChunk == 0 { // a run of 0 is allowed, and tells nothing
		if len(f.chunks) < 2 {
			f.bad = true
			return false
		}
		f.chunk = binary.BigEndian.Uint16(f.chunks)
		f.chunks = f.chunks[2:]
		f.inChunk = chunkLength(f.chunk)
	}
	f.inChunk--
	f.left--
	var symbol uint16
	switch {
	case f.chunk>>15 == 0:
		symbol = f.chunk >> 13
	case f.chunk>>14 == 2:
		symbol = f.chunk >> f.inChunk & 1
	default:
		symbol = f.chunk >> (2 * f.inChunk) & 3
	}
	f.Number, f.number = f.number, f.number+1
	f.Received = symbol == smallDelta || symbol == largeDelta
	switch {
	case symbol == smallDelta && len(f.deltas) >= 1:
		f.Arrived += time.Duration(f.deltas[0]) * deltaUnit
		f.deltas = f.deltas[1:]
	case symbol == largeDelta && len(f.deltas) >= 2:
		f.Arrived += time.Duration(int16(binary.BigEndian.Uint16(f.deltas))) * deltaUnit
		f.deltas = f.deltas[2:]
	case f.Received:
		f.bad = true
		return false
	}
	return true
}

// OK reports whether the feedback held what it announced, as far as the walk went.
func (f *TransportFeedback) OK() bool { return !f.bad }
